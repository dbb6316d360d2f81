"""The accelerator of this machine, whichever it is: a CUDA device, or none."""

from __future__ import annotations

from typing import Any

from flambeau import _C, cuda

from ._device import in_use as _cuda
from ._device import is_available

__all__ = [
    "Graph",
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "empty_host_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def device_count() -> int:
    """Return the number of accelerators."""
    return cuda.device_count() if is_available() else 0


def current_accelerator(check_available: bool = False) -> _C.device | None:
    """Return the type of the accelerator; None where there is none."""
    return _C.device("cuda") if is_available() else None


def current_device_index() -> int:
    """Return the number of the device in use."""
    return _cuda().current_device()


current_device_idx = current_device_index


def set_device_index(device: Any, /) -> None:
    """Choose the device to use."""
    _cuda().set_device(device)


set_device_idx = set_device_index


def current_stream(device: Any = None, /) -> Any:
    """Return the stream in use on a device."""
    return _cuda().current_stream(device)


def set_stream(stream: Any) -> None:
    """Choose the stream to use."""
    _cuda().set_stream(stream)


def synchronize(device: Any = None, /) -> None:
    """Wait until all work on a device is done."""
    _cuda().synchronize(device)


def get_device_capability(device: Any = None, /) -> dict[str, Any]:
    """Return what a device can do."""
    return _cuda().get_device_capability(device)


class device_index:
    """A context in which a device is the one in use; None changes nothing."""

    def __init__(self, device: int | None, /) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None:
            self._before = current_device_index()
            set_device_index(self.idx)

    def __exit__(self, *error: object) -> None:
        if self.idx is not None:
            set_device_index(self._before)


from .graphs import Graph  # noqa: E402
from .memory import (  # noqa: E402
    empty_cache,
    empty_host_cache,
    get_memory_info,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_accumulated_memory_stats,
    reset_peak_memory_stats,
)
