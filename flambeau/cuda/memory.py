"""Memory of GPUs. Statistics are empty where there is none; what needs a device raises."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from . import (
    Device,
    _refuse,
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)

__all__ = [
    "caching_allocator_alloc", "caching_allocator_delete", "caching_allocator_enable",
    "get_per_process_memory_fraction", "set_per_process_memory_fraction", "empty_cache", "memory_stats",
    "memory_stats_as_nested_dict", "reset_accumulated_memory_stats", "reset_peak_memory_stats",
    "reset_max_memory_allocated", "reset_max_memory_cached", "host_memory_stats",
    "host_memory_stats_as_nested_dict", "reset_accumulated_host_memory_stats", "reset_peak_host_memory_stats",
    "memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "memory_snapshot",
    "memory_summary", "list_gpu_processes", "mem_get_info", "get_allocator_backend", "CUDAPluggableAllocator",
    "change_current_allocator", "MemPool", "use_mem_pool", "caching_allocator_disabled",
]  # fmt: skip


def caching_allocator_alloc(size: int, device: Device = None, stream: Any = None) -> int:
    """Allocate memory of a GPU."""
    return _refuse()


def caching_allocator_delete(mem_ptr: int) -> None:
    """Free what `caching_allocator_alloc` gave."""
    _refuse()


def caching_allocator_enable(value: bool = True) -> None:
    """Turn the caching allocator of the GPU on or off; without one there is nothing to turn."""


@contextlib.contextmanager
def caching_allocator_disabled() -> Iterator[None]:
    """Turn the caching allocator of the GPU off for a while."""
    yield


def get_per_process_memory_fraction(device: Device = None) -> float:
    """The part of a GPU's memory that this process may use."""
    return _refuse()


def memory_stats_as_nested_dict(device: Device = None) -> dict[str, Any]:
    """Statistics of a GPU's memory: none."""
    return {}


def reset_accumulated_memory_stats(device: Device = None) -> None:
    """Start counting anew."""
    _refuse()


def host_memory_stats() -> dict[str, Any]:
    """Statistics of page-locked memory: none."""
    return OrderedDict()


def host_memory_stats_as_nested_dict() -> dict[str, Any]:
    """Statistics of page-locked memory: none."""
    return {}


def reset_accumulated_host_memory_stats() -> None:
    """Start counting anew."""
    _refuse()


def reset_peak_host_memory_stats() -> None:
    """Forget peaks."""
    _refuse()


def memory_snapshot(mempool_id: Any = None, include_traces: bool = True) -> Any:
    """The state of the allocator."""
    return _refuse()


def list_gpu_processes(device: Device = None) -> str:
    """The processes that use a GPU, in words; needs nvidia-ml-py."""
    try:
        import pynvml  # noqa: F401
    except ModuleNotFoundError:
        return "pynvml module not found, please install nvidia-ml-py"
    return _refuse()


def get_allocator_backend() -> str:
    """The name of the GPU's allocator."""
    return _refuse()


class CUDAPluggableAllocator:
    """An allocator from a shared library."""

    def __init__(self, path_to_so_file: str, alloc_fn_name: str, free_fn_name: str) -> None:
        _refuse()


def change_current_allocator(allocator: Any) -> None:
    """Use another allocator."""
    _refuse()


class MemPool:
    """Memory set apart for some tensors."""

    def __init__(self, allocator: Any = None, use_on_oom: bool = False, no_split: bool = False) -> None:
        _refuse()


@contextlib.contextmanager
def use_mem_pool(pool: MemPool, device: Device = None) -> Iterator[None]:
    """Take memory from `pool` for a while."""
    _refuse()
    yield


def _record_memory_history(*args: Any, **kwargs: Any) -> None:
    """Note who allocates memory of a GPU: not there."""
    _no_history("_record_memory_history")


def _snapshot(device: Device = None, augment_with_fx_traces: bool = False) -> dict[str, Any]:
    """What was noted: not there."""
    return _no_history("_snapshot")


def _no_history(name: str) -> Any:
    import flambeau as fb

    if not fb.cuda.is_available():
        return _refuse()
    raise NotImplementedError(
        f"torch.cuda.memory.{name}: flambeau does not note who allocates; torch.cuda.memory_stats counts"
    )
