"""Saving and loading: PyTorch's file formats, read without running code and written atomically."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .. import storage as _storage
from ..types import Device, FileLike, Storage
from .loading import get_unsafe_globals_in_checkpoint, load
from .options import (
    LoadEndianness,
    add_safe_globals,
    clear_safe_globals,
    default_restore_location,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    get_safe_globals,
    location_tag,
    register_package,
    safe_globals,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from .rebuild import _get_layout
from .saving import DEFAULT_PROTOCOL, MAGIC_NUMBER, PROTOCOL_VERSION, save

__all__ = [
    "DEFAULT_PROTOCOL",
    "FileLike",
    "LoadEndianness",
    "MAGIC_NUMBER",
    "MAP_LOCATION",
    "PROTOCOL_VERSION",
    "SourceChangeWarning",
    "_get_layout",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]


_storage._files.update(save=save, load=load)
MAP_LOCATION: TypeAlias = Callable[[Storage, str], Storage] | Device | dict[str, str]


class SourceChangeWarning(Warning):
    """The source of a class differs from the one that a file was written with."""


def __getattr__(name: str) -> object:
    if name.startswith(
        (
            "StorageType", "mkdtemp", "check_", "normalize_", "storage_to_", "validate_", "_load",
            "_legacy_load", "_is_", "_open", "_check_dill_version",
        )
    ):  # fmt: skip
        import importlib

        found = vars(importlib.import_module(".leftovers", __name__))
        if name in found["__all__"]:
            return found[name]
    raise AttributeError(f"module 'torch.serialization' has no attribute '{name}'")
