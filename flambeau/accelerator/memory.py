"""The memory of the accelerator."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ._device import in_use as _cuda

__all__ = [
    "empty_cache",
    "empty_host_cache",
    "get_memory_info",
    "memory_stats",
    "memory_allocated",
    "max_memory_allocated",
    "memory_reserved",
    "max_memory_reserved",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
]


def empty_cache() -> None:
    """Give unused memory back to the device."""
    _cuda().empty_cache()


def empty_host_cache() -> None:
    """Give unused pinned memory back to the system."""
    _cuda().empty_cache()


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """Return the free and the whole memory of a device in bytes."""
    return _cuda().mem_get_info(device_index)


def memory_stats(device_index: Any = None, /) -> OrderedDict[str, Any]:
    """Return the allocator's counters."""
    return _cuda().memory_stats(device_index)


def memory_allocated(device_index: Any = None, /) -> int:
    """Return the bytes tensors take."""
    return _cuda().memory_allocated(device_index)


def max_memory_allocated(device_index: Any = None, /) -> int:
    """Return the most bytes tensors have taken."""
    return _cuda().max_memory_allocated(device_index)


def memory_reserved(device_index: Any = None, /) -> int:
    """Return the bytes the allocator holds."""
    return _cuda().memory_reserved(device_index)


def max_memory_reserved(device_index: Any = None, /) -> int:
    """Return the most bytes the allocator has held."""
    return _cuda().max_memory_reserved(device_index)


def reset_accumulated_memory_stats(device_index: Any = None, /) -> None:
    """Set the allocator's sums to zero."""
    _cuda().reset_accumulated_memory_stats(device_index)


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Forget the most bytes taken so far."""
    _cuda().reset_peak_memory_stats(device_index)
