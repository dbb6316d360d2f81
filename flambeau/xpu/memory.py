"""The memory of an Intel GPU: there is none."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import Device, _no_xpu, empty_cache, memory_allocated, memory_reserved, memory_stats

__all__ = [
    "MemPool", "XPUPluggableAllocator", "change_current_allocator", "empty_cache", "memory_allocated",
    "memory_reserved", "memory_snapshot", "memory_stats", "memory_stats_as_nested_dict", "use_mem_pool",
]  # fmt: skip


class XPUPluggableAllocator:
    """An allocator out of a library.

    Parameters
    ----------
    path_to_lib_file : the library.
    alloc_fn_name, free_fn_name : its functions.

    Raises
    ------
    OSError : there is no such library.
    """

    def __init__(self, path_to_lib_file: str, alloc_fn_name: str, free_fn_name: str) -> None:
        library = ctypes.CDLL(path_to_lib_file)
        for name in (alloc_fn_name, free_fn_name):
            getattr(library, name)
        raise _no_xpu()


def change_current_allocator(allocator: XPUPluggableAllocator) -> None:
    """Use another allocator."""
    raise AttributeError(
        "module 'torch._C' has no attribute '_xpu_changeCurrentAllocator'\n"
        "flambeau has no support for Intel GPUs"
    )


class MemPool:
    """A pool of memory.

    Parameters
    ----------
    allocator : where it gets its memory.
    use_on_oom : whether others may take from it when there is no memory left.
    """

    def __init__(self, allocator: Any = None, use_on_oom: bool = False) -> None:
        raise RuntimeError(
            "Tried to instantiate dummy base class MemPool\nflambeau has no support for Intel GPUs"
        )


@contextmanager
def use_mem_pool(pool: MemPool, device: Device = None) -> Iterator[None]:
    """Context manager: take memory from a pool.

    Parameters
    ----------
    pool : the pool.
    device : of which device.
    """
    raise _no_xpu()
    yield


def memory_snapshot(mempool_id: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """What the allocator holds: nothing.

    Parameters
    ----------
    mempool_id : of which pool.
    """
    return []


def memory_stats_as_nested_dict(device: Device = None) -> dict[str, Any]:
    """Statistics of the allocator: none.

    Parameters
    ----------
    device : of which device.
    """
    return {}


def __getattr__(name: str) -> Any:
    from flambeau import xpu

    return getattr(xpu, name)
