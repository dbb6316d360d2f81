"""The CPU as a device: one, always there, without streams of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Mapping
from typing import Any

from . import amp as amp

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "memory_summary",
    "set_device",
    "stream",
    "synchronize",
]


def is_available() -> bool:
    """Tell whether there is a CPU."""
    return True


def is_initialized() -> bool:
    """Tell whether it can be used."""
    return True


def device_count() -> int:
    """Return the number of CPU devices: one, whatever the number of cores."""
    return 1


def current_device() -> str:
    """Return the device's name."""
    return "cpu"


def set_device(device: Any) -> None:
    """Do nothing: there is one device."""


def synchronize(device: Any = None) -> None:
    """Do nothing: operators on the CPU are done when they return."""


def memory_summary() -> str:
    """Return a table of the memory that the CPU allocator and the caches of the core hold.

    Packed weights are copies of weights in the order of the kernels, plans are compiled kernels; both are
    bounded in bytes. Packed weights are part of what is allocated; blocks kept for reuse are not.
    """
    from flambeau import _C

    s = _C._memory_stats()
    rows = [
        ("allocated", s["allocated"], f"in {s['live_blocks']} blocks"),
        ("allocated at most", s["peak"], ""),
        ("kept for reuse", s["cached"], ""),
        ("packed weights", s["packed_weights"], "of the allocated"),
        ("plans of kernels", s["plan_bytes"], f"{s['plans']} plans"),
    ]
    return "\n".join(f"{name:18} {size / 2**20:10.1f} MiB  {note}".rstrip() for name, size, note in rows)


class Stream:
    """Stands for the order of calls, so that programs for several devices run."""

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Any) -> None:
        """Do nothing: earlier work is done."""

    def record_event(self) -> None:
        """Do nothing."""

    def wait_event(self, event: Any) -> None:
        """Do nothing: earlier work is done."""


class Event:
    """A point in the order of calls; always reached."""

    def query(self) -> bool:
        """Tell whether earlier work is done: always."""
        return True

    def record(self, stream: Any = None) -> None:
        """Do nothing."""

    def synchronize(self) -> None:
        """Do nothing."""

    def wait(self, stream: Any = None) -> None:
        """Do nothing."""


_stream = Stream()


def current_stream(device: Any = None) -> Stream:
    """Return the stream in use."""
    return _stream


class StreamContext(contextlib.AbstractContextManager):
    """Makes a stream the current one."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        global _stream
        self._before = _stream
        if self.stream is not None:
            _stream = self.stream

    def __exit__(self, *error: object) -> None:
        global _stream
        _stream = self._before


def stream(stream: Stream) -> StreamContext:
    """Return a context in which ``stream`` is the current one."""
    return StreamContext(stream)


@functools.cache
def _is_vnni_supported() -> bool:
    """Whether the processor multiplies and adds bytes in one instruction, without overflow."""
    return bool(get_capabilities().get("avx512_vnni", False))


def get_capabilities() -> Mapping[str, Any]:
    """Return the architecture, the number of cores and, on Linux, the CPU's name and instruction sets."""
    found: dict[str, Any] = {"architecture": platform.machine(), "num_logical_cores": os.cpu_count()}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                found.setdefault("cpu_name", value.strip())
            elif name.strip() in ("flags", "Features"):
                found.update(dict.fromkeys(value.split(), True))
                break
    return found
