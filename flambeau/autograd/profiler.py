"""Where does the time go? Calls of public functions and own ranges, with their times.

Operators are seen where Python calls them, so what a backward runs appears as one range of `backward`.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb

from ..overrides import TorchFunctionMode
from ..utils._contextlib import context_decorator
from .profiler_util import EventList, FunctionEvent, FunctionEventAvg, MemRecordsAcc

__all__ = [
    "profile", "record_function", "emit_itt", "emit_nvtx", "load_nvprof", "EnforceUnique",
    "parse_nvprof_trace", "KinetoStepTracker", "EventList", "FunctionEvent", "MemRecordsAcc",
]  # fmt: skip

_running: list[profile] = []
_ids = itertools.count(1)
_OWN = __file__.rpartition("autograd")[0]


def _callers() -> list[str]:
    """The frames of the program that called, innermost first, without those of this package."""
    frame, found = sys._getframe(2), []
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_OWN):
            found.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return found


class _Watch(TorchFunctionMode):
    """Times every call of a public function."""

    def __init__(self, owner: profile) -> None:
        self.owner = owner

    _sees_operators = True

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if name == "__get__":
            return func(*args, **(kwargs or {}))
        event = self.owner._begin(f"aten::{name.strip('_')}", args)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.owner._finish(event)


class profile:
    """Context manager that records calls.

    Parameters
    ----------
    enabled : do nothing where False.
    record_shapes : keep shapes of tensor arguments.
    Other parameters of PyTorch's profiler are accepted; there is no GPU to watch.

    Examples
    --------
    >>> with profile() as p:
    ...     y = net(x)
    >>> print(p.key_averages().table(sort_by="self_cpu_time_total"))
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        experimental_config: Any = None,
        acc_events: bool = False,
        custom_trace_id_callback: Callable | None = None,
        post_processing_timeout_s: float | None = None,
        activities: Any = None,
    ) -> None:
        self.enabled, self.record_shapes, self.with_stack = enabled, record_shapes, with_stack
        self.custom_trace_id_callback, self.trace_id = custom_trace_id_callback, ""
        self._paused = False
        self.function_events = EventList()
        self._open: list[FunctionEvent] = []
        self._mode = _Watch(self)

    def __enter__(self) -> profile:
        if self.enabled:
            if _running:
                raise RuntimeError("Profiler is already enabled on this thread")
            _running.append(self)
            self._mode.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self._mode.__exit__(None, None, None)
            _running.remove(self)

    def _begin(self, name: str, args: tuple = (), user: bool = False) -> FunctionEvent | None:
        if self._paused:
            return None
        shapes = [list(a.shape) for a in args if isinstance(a, fb.Tensor)] if self.record_shapes else None
        stack = _callers() if self.with_stack else None
        now = time.perf_counter() * 1e6
        event = FunctionEvent(
            next(_ids), name, threading.get_ident(), now, now, input_shapes=shapes, stack=stack,
            is_user_annotation=user,
        )  # fmt: skip
        if self._open:
            event.set_cpu_parent(self._open[-1])
            self._open[-1].append_cpu_child(event)
        self._open.append(event)
        self.function_events.append(event)
        return event

    def _finish(self, event: FunctionEvent | None) -> None:
        if event is not None:
            event.time_range.end = time.perf_counter() * 1e6
            self._open.remove(event)

    def toggle_collection_dynamic(self, enabled: bool, activities: Any) -> None:
        """Stop recording, or go on with it."""
        self._paused = not enabled

    def default_trace_id(self) -> str:
        """A name for a recording that no other has."""
        import uuid

        return uuid.uuid4().hex.upper()

    def create_trace_id(self) -> str:
        """The name of a new recording, by the callback where there is one."""
        make = self.custom_trace_id_callback or self.default_trace_id
        self.trace_id = make()
        return self.trace_id

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Calls of the same name (and shapes) together."""
        return self.function_events.key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def total_average(self) -> FunctionEventAvg:
        """All calls together."""
        return self.function_events.total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all calls."""
        return self.function_events.self_cpu_time_total

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """A table of the averages."""
        return self.key_averages().table(sort_by, row_limit, **options)

    def export_chrome_trace(
        self, path: str, metadata: dict | None = None, use_python_export: bool = False
    ) -> None:
        """Write the calls, and `metadata`, as a file for chrome://tracing."""
        trace = {**(metadata or {}), "trace_id": self.trace_id, **self.function_events.chrome_trace()}
        with open(path, "w") as f:
            json.dump(trace, f)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write the time in each stack; needs ``with_stack=True``."""
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        self.function_events.export_stacks(path, metric)

    def __iter__(self) -> Iterator[FunctionEvent]:
        return iter(self.function_events)

    def __repr__(self) -> str:
        return repr(self.function_events)

    def __str__(self) -> str:
        return self.table()


class record_function:
    """Context manager and decorator: a named range in the profile."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._event: FunctionEvent | None = None

    def __enter__(self) -> record_function:
        if _running:
            self._event = _running[-1]._begin(self.name, user=True)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._event is not None and _running:
            _running[-1]._finish(self._event)
        self._event = None

    def __call__(self, func: Callable) -> Callable:
        return context_decorator(lambda: record_function(self.name, self.args), func)


def _needs_gpu(name: str) -> type:
    class needs_gpu:
        """Raises: there is no GPU tool to send ranges to."""

        def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
            raise NotImplementedError(f"flambeau.autograd.profiler.{name} is not there yet; use profile()")

    needs_gpu.__name__ = name
    return needs_gpu


emit_nvtx = _needs_gpu("emit_nvtx")
emit_itt = _needs_gpu("emit_itt")


def load_nvprof(path: str) -> EventList:
    """Not there: nvprof files are not read."""
    raise NotImplementedError("flambeau.autograd.profiler.load_nvprof is not there yet")


def parse_nvprof_trace(path: str) -> EventList:
    """Not there: nvprof files are not read."""
    raise NotImplementedError("flambeau.autograd.profiler.parse_nvprof_trace is not there yet")


def kineto_available() -> bool:
    """Whether the Kineto library is here: never; times come from the profiler of this package."""
    return False


class EnforceUnique:
    """Raises where a key is seen twice."""

    def __init__(self) -> None:
        self.seen: set = set()

    def see(self, *key: Any) -> None:
        """Note a key."""
        if key in self.seen:
            raise RuntimeError("duplicate key: " + str(key))
        self.seen.add(key)


class KinetoStepTracker:
    """The number of the training step, where several count: the largest of theirs."""

    _current_step = 0
    _step_dict: dict[str, int] = {}

    @classmethod
    def init_step_count(cls, requester: str) -> None:
        """Somebody begins to count, from the step that this is."""
        cls._step_dict[requester] = cls._current_step

    @classmethod
    def erase_step_count(cls, requester: str) -> bool:
        """Somebody counts no more; False where they did not."""
        return cls._step_dict.pop(requester, None) is not None

    @classmethod
    def increment_step(cls, requester: str) -> int:
        """Somebody begins the next step; returns its number."""
        if requester not in cls._step_dict:
            cls.init_step_count(requester)
        cls._step_dict[requester] += 1
        cls._current_step = max(cls._step_dict.values())
        return cls._current_step

    @classmethod
    def current_step(cls) -> int:
        """The number of the step."""
        return cls._current_step


def _profiler_enabled() -> bool:
    """Whether a profiler records in this process."""
    return bool(_running)


def _disable_profiler() -> EventList:
    """Stop the profiler that records; returns what it recorded, nothing where none does."""
    if not _running:
        return EventList()
    running = _running[-1]
    running.__exit__(None, None, None)
    return running.function_events
