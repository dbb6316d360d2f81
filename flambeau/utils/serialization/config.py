"""How `load` and `save` work where a call does not say it.

``config.load.mmap = True`` sets one for the program, ``with config.patch("load.mmap", True):`` for a block.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from flambeau._settings import changed

from ...serialization import options

__all__ = ["load", "patch", "save"]


class _Load:
    """Settings of `load`.

    Attributes
    ----------
    mmap : leave tensors in files, where `load` is given a path and not told otherwise.
    endianness : the byte order of files that do not tell theirs.
    mmap_flags : MAP_PRIVATE or MAP_SHARED.
    """

    __slots__ = ()

    mmap = property(
        lambda self: options.get_default_mmap(), lambda self, value: options.set_default_mmap(value)
    )
    endianness = property(
        lambda self: options.get_default_load_endianness(),
        lambda self, value: options.set_default_load_endianness(value),
    )
    mmap_flags = property(
        lambda self: options.get_default_mmap_options(),
        lambda self, value: options.set_default_mmap_options(value) and None,
    )


class _Save:
    """Settings of `save`.

    Attributes
    ----------
    compute_crc32 : whether checksums are looked at.
    """

    __slots__ = ()

    compute_crc32 = property(
        lambda self: options.get_crc32_options(), lambda self, value: options.set_crc32_options(value)
    )


load, save = _Load(), _Save()


def patch(settings: str | dict[str, Any], value: Any = None) -> AbstractContextManager[None]:
    """Set what a dotted name, or each of a dict of them, stands for, for the length of a with block."""
    return changed(sys.modules[__name__], settings, value)
