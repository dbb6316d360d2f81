"""The profiler of training programs: steps of which some are recorded, and what to do with each recording."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from ..autograd import profiler as _base
from ..autograd.profiler import kineto_available, record_function
from . import itt
from .execution_trace import ExecutionTraceObserver

__all__ = [
    "DeviceType",
    "ExecutionTraceObserver",
    "ProfilerAction",
    "ProfilerActivity",
    "itt",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(Enum):
    """What can be watched."""

    CPU = 0
    XPU = 1
    MTIA = 4
    CUDA = 2
    HPU = 3
    PrivateUse1 = 5


class ProfilerAction(Enum):
    """What a step does."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class DeviceType(Enum):
    """Where work is done, by the numbers that traces have."""

    CPU = 0
    CUDA = 1
    MKLDNN = 2
    OPENGL = 3
    OPENCL = 4
    IDEEP = 5
    HIP = 6
    FPGA = 7
    MAIA = 8
    XLA = 9
    Vulkan = 10
    Metal = 11
    XPU = 12
    MPS = 13
    Meta = 14
    HPU = 15
    VE = 16
    Lazy = 17
    IPU = 18
    MTIA = 19
    PrivateUse1 = 20


def supported_activities() -> set[ProfilerActivity]:
    """What this build can watch."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A schedule of steps: skip, then cycles of waiting, warming up and recording.

    Parameters
    ----------
    wait, warmup, active : steps of each part of a cycle.
    repeat : number of cycles (0: without end).
    skip_first : steps before the first cycle.
    skip_first_wait : leave out the waiting of the first cycle.
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step: int) -> ProfilerAction:
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        length = wait + warmup + active
        if repeat > 0 and step // length >= repeat:
            return ProfilerAction.NONE
        place = step % length
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def _default_schedule_fn(_: int) -> ProfilerAction:
    """Every step is recorded."""
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False
) -> Callable:
    """A handler for `on_trace_ready` that writes each recording into a folder, compressed if `use_gzip`."""

    def write(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(
            os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}")
        )

    return write


class profile:
    """Context manager that records calls, all of them or those of chosen steps.

    Parameters
    ----------
    activities : what to watch (default all that can be).
    schedule : step number to `ProfilerAction`; call `step` at the end of each step.
    on_trace_ready : called with this object after each recording.
    record_shapes : keep shapes of tensor arguments.
    Other parameters of PyTorch's profiler are accepted.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        post_processing_timeout_s: float | None = None,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None,
    ) -> None:
        self.activities = set(activities) if activities is not None else supported_activities()
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        self.schedule = schedule or _default_schedule_fn
        self.on_trace_ready, self.record_shapes, self.with_stack = on_trace_ready, record_shapes, with_stack
        self.execution_trace_observer = execution_trace_observer
        self.custom_trace_id_callback = custom_trace_id_callback
        self.preset_metadata: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: _base.profile | None = None
        self._recording = False

    def _follow(self) -> None:
        """Start or stop recording as the schedule says."""
        wanted = self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and not self._recording:
            self.prepare_trace()
            self.start_trace()
        elif not wanted and self._recording:
            self._stop()
        self._recording = wanted

    def _stop(self) -> None:
        if self._recording:
            self.stop_trace()

    def prepare_trace(self) -> None:
        """Make ready what `start_trace` starts."""
        self.profiler = _base.profile(
            record_shapes=self.record_shapes,
            with_stack=self.with_stack,
            custom_trace_id_callback=self.custom_trace_id_callback,
        )
        self.profiler.create_trace_id()
        self._metadata = dict(self.preset_metadata)

    def start_trace(self) -> None:
        """Begin to record, whatever the schedule says."""
        if self.profiler is None:
            self.prepare_trace()
        if self.execution_trace_observer is not None:
            self.execution_trace_observer.start()
        self.profiler.__enter__()
        self._recording = True

    def stop_trace(self) -> None:
        """End the recording."""
        if self._recording:
            self._recorded().__exit__(None, None, None)
            self._recording = False
            if self.execution_trace_observer is not None:
                self.execution_trace_observer.stop()

    def toggle_collection_dynamic(self, enable: bool, activities: Iterable[ProfilerActivity]) -> None:
        """Stop recording, or go on with it, inside a recording."""
        if ProfilerActivity.CPU in activities:
            self._recorded().toggle_collection_dynamic(enable, activities)

    def get_trace_id(self) -> str | None:
        """The name of the recording; None before there is one."""
        return None if self.profiler is None else self.profiler.trace_id

    def set_custom_trace_id_callback(self, callback: Callable[[], str]) -> None:
        """Have a function name the recordings that follow."""
        self.custom_trace_id_callback = callback

    def add_metadata(self, key: str, value: str) -> None:
        """Write a text into the file of this recording."""
        self._metadata[key] = str(value)

    def add_metadata_json(self, key: str, value: str) -> None:
        """Write a JSON value into the file of this recording."""
        self._metadata[key] = json.loads(value)

    def preset_metadata_json(self, key: str, value: str) -> None:
        """Write a JSON value into the files of all recordings that follow."""
        self.preset_metadata[key] = json.loads(value)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write the time in each stack; needs ``with_stack=True``."""
        self._recorded().export_stacks(path, metric)

    def export_memory_timeline(self, path: str, device: str | None = None) -> None:
        """Raise: the memory of single calls is not recorded."""
        raise NotImplementedError(
            "flambeau.profiler.profile.export_memory_timeline is not there: memory is not recorded"
        )

    def start(self) -> None:
        """Begin."""
        self._follow()

    def stop(self) -> None:
        """End, and hand over what was recorded."""
        if self._recording:
            self._stop()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def step(self) -> None:
        """Tell the profiler that the next step begins."""
        saved = self.current_action is ProfilerAction.RECORD_AND_SAVE
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        if saved:
            self._stop()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
        self._follow()

    def _recorded(self) -> _base.profile:
        if self.profiler is None:
            raise AssertionError("Profiler must be started before its results are asked for")
        return self.profiler

    def events(self) -> Any:
        """All calls."""
        return self._recorded().function_events

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> Any:
        """Calls of the same name (and shapes) together."""
        return self._recorded().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path: str, use_python_export: bool = False) -> None:
        """Write the calls as a file for chrome://tracing, compressed where its name ends in ``.gz``."""
        metadata = {
            "record_shapes": int(self.record_shapes),
            "with_stack": int(self.with_stack),
            **self._metadata,
        }
        if not path.endswith(".gz"):
            self._recorded().export_chrome_trace(path, metadata)
            return
        import gzip
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            plain = os.path.join(folder, "trace.json")
            self._recorded().export_chrome_trace(plain, metadata)
            with open(plain, "rb") as source, gzip.open(path, "wb") as target:
                target.write(source.read())


def __getattr__(name: str) -> Any:
    if name == "profiler":  # the file in which PyTorch has these
        import sys

        return sys.modules[__name__]
    raise AttributeError(f"module 'torch.profiler' has no attribute '{name}'")
