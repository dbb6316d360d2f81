"""Streams and events of a GPU. There is none: they can be named and asked for by `isinstance`, not made."""

from __future__ import annotations

from typing import Any

from . import _refuse

__all__ = ["CUDAGraph", "Event", "ExternalStream", "Stream"]


class Stream:
    """A queue of work for a GPU."""

    def __new__(cls, device: Any = None, priority: int = 0, **kwargs: Any) -> Stream:
        return _refuse()

    def query(self) -> bool:
        """Whether all work is done."""
        return _refuse()

    def synchronize(self) -> None:
        """Wait until all work is done."""
        _refuse()

    def wait_event(self, event: Any) -> None:
        """Let later work wait for an event."""
        _refuse()

    def wait_stream(self, stream: Any) -> None:
        """Let later work wait for another stream."""
        _refuse()

    def record_event(self, event: Any = None) -> Any:
        """Record an event here; a new one where none is given."""
        return _refuse()


class ExternalStream(Stream):
    """A stream made outside."""

    def __new__(cls, stream_ptr: int, device: Any = None, **kwargs: Any) -> Stream:
        return _refuse()


class Event:
    """A mark in a stream."""

    def __new__(
        cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False,
        external: bool = False,
    ) -> Event:  # fmt: skip
        return _refuse()

    @classmethod
    def from_ipc_handle(cls, device: Any, handle: bytes) -> Event:
        """The event of another process."""
        return _refuse()

    def record(self, stream: Any = None) -> None:
        """Set the mark in a stream."""
        _refuse()

    def wait(self, stream: Any = None) -> None:
        """Let later work of a stream wait."""
        _refuse()

    def query(self) -> bool:
        """Whether the work before the mark is done."""
        return _refuse()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another."""
        return _refuse()

    def synchronize(self) -> None:
        """Wait until the work before the mark is done."""
        _refuse()

    def ipc_handle(self) -> bytes:
        """The event as another process finds it."""
        return _refuse()


class CUDAGraph:
    """Recorded work."""

    def __new__(cls, *_: Any, **__: Any) -> CUDAGraph:
        return _refuse()
