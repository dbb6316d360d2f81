"""The profiler of training programs: steps of which some are recorded, and what to do with each recording."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from ..autograd import profiler as _base
from ..autograd.profiler import record_function

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
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
    CUDA = 2


class ProfilerAction(Enum):
    """What a step does."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


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


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable:
    """A handler for `on_trace_ready` that writes each recording into a folder."""
    if use_gzip:
        raise NotImplementedError("flambeau.profiler.tensorboard_trace_handler has no use_gzip yet")

    def write(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json"))

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
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready, self.record_shapes = on_trace_ready, record_shapes
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: _base.profile | None = None
        self._recording = False

    def _follow(self) -> None:
        """Start or stop recording as the schedule says."""
        wanted = self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and not self._recording:
            self.profiler = _base.profile(record_shapes=self.record_shapes)
            self.profiler.__enter__()
        elif not wanted and self._recording:
            self._stop()
        self._recording = wanted

    def _stop(self) -> None:
        if self._recording:
            self.profiler.__exit__(None, None, None)
            self._recording = False

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

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> Any:
        """Calls of the same name (and shapes) together."""
        return self._recorded().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls as a file for chrome://tracing."""
        self._recorded().export_chrome_trace(path)
