"""Where does the time go? Calls of public functions and own ranges, with their times.

Operators are seen where Python calls them, so what a backward runs appears as one range of `backward`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb

from ..overrides import TorchFunctionMode
from ..utils._contextlib import context_decorator

__all__ = ["profile", "record_function", "emit_nvtx", "emit_itt", "load_nvprof"]

_running: list[profile] = []


class FunctionEvent:
    """One call: its name, start and end in microseconds, thread, shapes of its tensors, and the calls
    inside."""

    def __init__(self, name: str, start: float, shapes: list | None, parent: FunctionEvent | None) -> None:
        self.name, self.start, self.end = name, start, start
        self.thread = threading.get_ident()
        self.input_shapes = shapes or []
        self.cpu_parent = parent
        self.cpu_children: list[FunctionEvent] = []
        self.count = 1
        if parent is not None:
            parent.cpu_children.append(self)

    @property
    def key(self) -> str:
        """The name, by which averages are taken."""
        return self.name

    @property
    def cpu_time_total(self) -> float:
        """Microseconds."""
        return self.end - self.start

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds less those of the calls inside."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    cpu_time = cpu_time_total

    def __repr__(self) -> str:
        return f"<FunctionEvent name={self.name} cpu_time={self.cpu_time_total:.3f}us>"


class FunctionEventAvg:
    """All calls of one name together."""

    def __init__(self, key: str) -> None:
        self.key, self.count = key, 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.input_shapes: list = []

    def add(self, event: FunctionEvent) -> None:
        """Count one more call."""
        self.count += 1
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        self.input_shapes = event.input_shapes

    @property
    def cpu_time(self) -> float:
        """Mean of a call, in microseconds."""
        return self.cpu_time_total / max(self.count, 1)

    def __repr__(self) -> str:
        return f"<FunctionEventAvg key={self.key} cpu_time={self.cpu_time:.3f}us count={self.count}>"


def _time(us: float) -> str:
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


class EventList(list):
    """Calls or their averages."""

    def total_average(self) -> FunctionEventAvg:
        """All of them together."""
        total = FunctionEventAvg("Total")
        for e in self:
            total.add(e)
        return total

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all of them."""
        return sum(e.self_cpu_time_total for e in self)

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:
        """A table, the rows in descending order of the attribute `sort_by` (such as
        ``"self_cpu_time_total"``)."""
        events = list(self)
        if sort_by is not None:
            events.sort(key=lambda e: getattr(e, sort_by), reverse=True)
        total = self.self_cpu_time_total or 1.0
        rows = [("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")]
        for e in events[:row_limit] if row_limit >= 0 else events:
            rows.append(
                (
                    e.key[:max_name_column_width],
                    f"{100 * e.self_cpu_time_total / total:.2f}%",
                    _time(e.self_cpu_time_total),
                    f"{100 * e.cpu_time_total / total:.2f}%",
                    _time(e.cpu_time_total),
                    _time(e.cpu_time_total / max(e.count, 1)),
                    str(e.count),
                )
            )
        widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
        line = "  ".join("-" * w for w in widths)
        text = ["  ".join(c.rjust(w) for c, w in zip(r, widths)) for r in rows]
        head = [header] if header else []
        return "\n".join(
            [*head, line, text[0], line, *text[1:], line, f"Self CPU time total: {_time(total)}", ""]
        )

    __str__ = table

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls as a file for chrome://tracing."""
        trace = [
            {
                "ph": "X",
                "cat": "cpu_op",
                "name": e.name,
                "ts": e.start,
                "dur": e.cpu_time_total,
                "pid": 0,
                "tid": e.thread,
            }
            for e in self
        ]
        with open(path, "w") as f:
            json.dump({"traceEvents": trace, "displayTimeUnit": "ms"}, f)


class _Watch(TorchFunctionMode):
    """Times every call of a public function."""

    def __init__(self, owner: profile) -> None:
        self.owner = owner

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
    ) -> None:
        self.enabled, self.record_shapes = enabled, record_shapes
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

    def _begin(self, name: str, args: tuple = ()) -> FunctionEvent:
        shapes = [list(a.shape) for a in args if isinstance(a, fb.Tensor)] if self.record_shapes else None
        event = FunctionEvent(name, time.perf_counter() * 1e6, shapes, self._open[-1] if self._open else None)
        self._open.append(event)
        self.function_events.append(event)
        return event

    def _finish(self, event: FunctionEvent) -> None:
        event.end = time.perf_counter() * 1e6
        self._open.remove(event)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """Calls of the same name (and shapes) together."""
        groups: dict[Any, FunctionEventAvg] = {}
        for e in self.function_events:
            key = (e.name, str(e.input_shapes)) if group_by_input_shape else e.name
            groups.setdefault(key, FunctionEventAvg(e.name)).add(e)
        return EventList(groups.values())

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

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls as a file for chrome://tracing."""
        self.function_events.export_chrome_trace(path)

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
            self._event = _running[-1]._begin(self.name)
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

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(f"flambeau.autograd.profiler.{name} is not there yet; use profile()")

    needs_gpu.__name__ = name
    return needs_gpu


emit_nvtx = _needs_gpu("emit_nvtx")
emit_itt = _needs_gpu("emit_itt")


def load_nvprof(path: str) -> EventList:
    """Not there: nvprof files are not read."""
    raise NotImplementedError("flambeau.autograd.profiler.load_nvprof is not there yet")
