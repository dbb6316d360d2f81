"""What the user has set for loading: allowed names, byte order, checksums, places of storages."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from enum import Enum
from typing import Any

import flambeau as fb
from flambeau._places import torch_place

__all__ = [
    "LoadEndianness",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "location_tag",
    "register_package",
    "safe_globals",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

SafeGlobal = Callable | tuple[Callable, str]


class LoadEndianness(Enum):
    """The byte order of a file that does not tell it."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


_safe: dict[str, tuple[SafeGlobal, Any]] = {}
_endianness: LoadEndianness | None = None
_checksums = True
_skipping = False
_mmap = False
_mmap_flags: int | None = getattr(mmap, "MAP_PRIVATE", None)
_packages: list[tuple[int, Callable, Callable]] = []


def _safe_entries(safe: list[SafeGlobal]) -> dict[str, tuple[SafeGlobal, Any]]:
    entries = {}
    for item in safe:
        if isinstance(item, tuple):
            if len(item) != 2 or not isinstance(item[1], str):
                raise ValueError(f"Expected a tuple of 2 items (global, name), but got {item!r}")
            value, path = item
        else:
            value, path = item, f"{item.__module__}.{item.__qualname__}"
            entries[f"{torch_place(item, item.__module__, item.__qualname__)}.{item.__qualname__}"] = (
                item,
                value,
            )
        entries[path] = item, value
    return entries


def add_safe_globals(safe_globals: list[SafeGlobal]) -> None:
    """Let `load` make objects of these classes, and call these functions, with ``weights_only=True``.

    An item is a class or function, or a pair of it and the dotted name by which files know it.
    """
    _safe.update(_safe_entries(safe_globals))


def get_safe_globals() -> list[SafeGlobal]:
    """What `add_safe_globals` was given."""
    return list({id(item): item for item, _ in _safe.values()}.values())


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` was given."""
    _safe.clear()


def allowed_globals() -> dict[str, Any]:
    """The objects that a user allowed, by dotted name."""
    return {path: value for path, (_, value) in _safe.items()}


class safe_globals(contextlib.ContextDecorator):
    """`add_safe_globals` for the length of a with block."""

    def __init__(self, safe_globals: list[SafeGlobal]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self.before = dict(_safe)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *_: object) -> None:
        _safe.clear()
        _safe.update(self.before)


def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order taken for files that do not tell theirs; None means little."""
    return _endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order taken for files that do not tell theirs."""
    global _endianness
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _endianness = endianness


def get_crc32_options() -> bool:
    """Whether checksums are compared on loading."""
    return _checksums


def set_crc32_options(compute_crc32: bool) -> None:
    """Set whether checksums are compared on loading. (Files are always written with them.)"""
    global _checksums
    _checksums = compute_crc32


class skip_data:
    """Within this block `save` writes zeros instead of values: a file of the right layout, to fill later.

    Parameters
    ----------
    materialize_fake_tensors : accepted; there are no fake tensors.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        global _skipping
        self.before, _skipping = _skipping, True

    def __exit__(self, *_: object) -> None:
        global _skipping
        _skipping = self.before


def is_skipping_data() -> bool:
    """Whether this is in a `skip_data` block."""
    return _skipping


def get_default_mmap() -> bool:
    """Whether `load` maps a file where the call does not say."""
    return _mmap


def set_default_mmap(mmap: bool) -> None:
    """Set whether `load` maps a file where the call does not say."""
    global _mmap
    _mmap = bool(mmap)


def get_default_mmap_options() -> int | None:
    """The flags with which ``load(mmap=True)`` maps a file."""
    return _mmap_flags


class set_default_mmap_options:
    """Set the flags with which ``load(mmap=True)`` maps: MAP_PRIVATE or MAP_SHARED. Also a context
    manager.
    """

    def __init__(self, flags: int) -> None:
        global _mmap_flags
        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected MAP_PRIVATE or MAP_SHARED, "
                f"got {flags}"
            )
        self.before, _mmap_flags = _mmap_flags, flags

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        global _mmap_flags
        _mmap_flags = self.before


def register_package(priority: int, tagger: Callable[[Any], str | None], deserializer: Callable) -> None:
    """Add a kind of place for storages: `tagger` names it, `deserializer(storage, location)` moves a storage
    there.
    """
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda package: package[0])


def location_tag(storage: Any) -> str:
    """The name of the place of a storage, as files have it."""
    for _, tagger, _ in _packages:
        if (tag := tagger(storage)) is not None:
            return tag
    device = storage.device
    return device.type if device.type in ("cpu", "meta") else f"{device.type}:{device.index or 0}"


def default_restore_location(storage: Any, location: str) -> Any:
    """The storage, moved to the place of that name."""
    for _, _, move in _packages:
        if (moved := move(storage, location)) is not None:
            return moved
    location = str(location)
    if location == "cpu":
        return storage
    if location.startswith("cuda"):
        _check_cuda(location)
    if location == "meta" or location.startswith("cuda"):
        flat = fb.empty(0, dtype=fb.uint8).set_(storage, 0, (storage.nbytes(),), (1,))
        return flat.to(location).untyped_storage()
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.{type(storage).__name__} "
        f"(tagged with {location})\n"
        "map_location='cpu' loads it into main memory."
    )


def _check_cuda(location: str) -> None:
    if not fb.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If "
            "you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    index = fb.device(location).index or 0
    count = fb.cuda.device_count()
    if index >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is "
            f"{count}. Please use torch.load with map_location to map your storages to an existing device."
        )


def relocation(map_location: Any) -> Callable[[Any, str], Any]:
    """The function (storage, location) -> storage that a `map_location` argument means."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, map_location.get(location, location)
        )
    if isinstance(map_location, (str, bytes, fb.device)):
        place = map_location.decode() if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, location: default_restore_location(storage, place)

    if not callable(map_location):
        raise TypeError(
            f"'{type(map_location).__name__}' object is not callable\n"
            "map_location is a device, a dict from old to new places or a function (storage, place) -> "
            "storage."
        )

    def by_function(storage: Any, location: str) -> Any:
        moved = map_location(storage, location)
        if moved is None:
            return default_restore_location(storage, location)
        if not fb.is_storage(moved):
            raise TypeError(
                f"map_location gave {moved!r:.80}, where a storage is needed\n"
                "Return the storage, storage.cuda(), or None to leave it to load."
            )
        return moved.untyped()

    return by_function
