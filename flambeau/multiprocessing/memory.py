"""Memory that several processes see: anonymous files (memfd) and their mappings.

Such files have no name, need no /dev/shm, and vanish with their last user.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref
from typing import Any

_MAP_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
_FAILED = ctypes.c_void_p(-1).value
_loaded: Any = None


def anonymous_file() -> int:
    """The descriptor of a new empty file in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("flambeau", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def map_file(fd: int, size: int, populate: bool = True) -> ctypes.Array:
    """The content of a file as bytes in memory, unmapped with its last user.

    Unlike mmap.mmap this keeps no descriptor open.
    """
    libc = _libc()
    flags = mmap.MAP_SHARED | (_MAP_POPULATE if populate else 0)
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0)
    if address == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot map {size} bytes of shared memory: {os.strerror(code)}")
    array = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(array, libc.munmap, address, size).atexit = False
    return array


def _libc() -> Any:
    global _loaded
    if _loaded is None:
        _loaded = ctypes.CDLL(None, use_errno=True)
        pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        _loaded.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_int64]
        _loaded.mmap.restype = pointer
        _loaded.munmap.argtypes = [pointer, size]
    return _loaded
