"""Streams and events that belong to no backend. The CPU works at once: nothing waits."""

from __future__ import annotations

import time
from typing import Any

import flambeau as fb


def _cpu(device: Any) -> fb.device:
    found = fb.device(device if device is not None else "cpu")
    if found.type != "cpu":
        raise RuntimeError(f"flambeau has no streams on {found.type} devices: streams exist on the CPU only")
    return found


class AcceleratorError(RuntimeError):
    """An error that a device reported, with its code in `error_code`."""

    error_code: int = -1


class Stream:
    """A queue of work; on the CPU everything put into it is already done."""

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        self.device = _cpu(device)
        self.device_type, self.device_index, self.stream_id, self.priority = 0, -1, 0, priority

    def query(self) -> bool:
        """Whether all work is done."""
        return True

    def synchronize(self) -> None:
        """Wait until all work is done."""

    def wait_event(self, event: Event) -> None:
        """Let later work wait for an event."""

    def wait_stream(self, stream: Stream) -> None:
        """Let later work wait for another stream."""

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event here; a new one where none is given."""
        event = Event(self.device) if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.device, self.stream_id) == (other.device, other.stream_id)

    def __hash__(self) -> int:
        return hash((self.device.type, self.stream_id))

    def __repr__(self) -> str:
        return f"torch.Stream device_type=cpu, device_index=-1, stream_id={self.stream_id}"


class Event:
    """A mark in a stream, with the time at which it was recorded."""

    def __init__(
        self,
        device: Any = None,
        *,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
    ) -> None:
        self.device = _cpu(device)
        self.event_id = 0
        self._timed = enable_timing
        self._at: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Mark the end of the work so far."""
        self._at = time.perf_counter()

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work wait for this mark."""

    def query(self) -> bool:
        """Whether the work before the mark is done."""
        return True

    def synchronize(self) -> None:
        """Wait for the mark."""

    def elapsed_time(self, other: Event) -> float:
        """Milliseconds from this mark to `other`."""
        if not (self._timed and other._timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._at is None or other._at is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (other._at - self._at) * 1e3

    def __repr__(self) -> str:
        return f"torch.Event device_type=cpu, device_index=-1, event_flag={int(self._timed)}, event_id=0"
