"""Reading checkpoints."""

from __future__ import annotations

import contextlib
import io
import mmap as mmap_flags
import os
import pickle
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

import flambeau as fb
from flambeau import _places

from . import archive, files, names, options
from .rebuild import Stored
from .saving import MAGIC_NUMBER, PROTOCOL_VERSION
from .unpickler import Refused, Unpickler

_ZIP_START = b"PK\x03\x04"
_LEGACY_START = pickle.dumps(MAGIC_NUMBER, 2)[2:-1]  # without protocol and STOP
_ONCE = (
    "Weights only load failed. This file can still be loaded, to do so you have two options, "
    "\033[1mdo those steps only if you trust the source of the checkpoint\033[0m. \n"
    "\t(1) Call load with `weights_only=False`. That can run any code that the file contains.\n"
    "\t(2) Alternatively, keep `weights_only=True` and allow what the file needs:\n\tWeightsUnpickler "
    "error: {}"
)
_NEVER = (
    "Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument "
    "in `torch.load` from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will "
    "likely succeed, but it can result in arbitrary code execution. Do it only if you got the file from a "
    "trusted source.\n"
    "{}"
)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save`, or PyTorch, wrote: the zip format and the older one.

    Parameters
    ----------
    f : a path, or a file open for reading that can seek.
    map_location : where the tensors go: a device, a dict from old to new places, or a function (storage,
    place) -> storage.
    weights_only : True (the default) makes nothing but tensors and plain data and never runs code. False
    unpickles whatever
        the file says, which can run any code: only for files from people you trust.
    mmap : leave the tensors in the file and read them as they are used (default:
        ``flambeau.utils.serialization.config.load.mmap``).
    """
    if weights_only is None:
        weights_only = pickle_module is None
        if os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true"):
            weights_only = True
        if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true"):
            weights_only = False
    elif weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    encoding = pickle_load_args.pop("encoding", "utf-8")
    if pickle_load_args and weights_only:
        raise TypeError(
            f"Unpickler.__init__() got an unexpected keyword argument '{next(iter(pickle_load_args))}'"
        )
    settings = _Settings(
        options.relocation(map_location), weights_only, pickle_module or pickle, encoding, pickle_load_args
    )
    is_path = isinstance(f, (str, os.PathLike))
    if mmap is None:
        mmap = is_path and options.get_default_mmap()
    if mmap and not is_path:
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _opened(f) as file:
        start = file.tell()
        head = file.read(512)
        if isinstance(head, str):
            raise TypeError("a bytes-like object is required, not 'str'\nOpen the file in binary mode: 'rb'.")
        file.seek(start)
        if head.startswith(_ZIP_START):
            return _load_zip(file, settings, os.fspath(f) if mmap else None)
        if mmap:
            raise RuntimeError(
                f"mmap can only be used with files saved with `torch.save({os.fspath(f)}, "
                "_use_new_zipfile_serialization=True), please torch.save your checkpoint with this option in "
                "order to use mmap."
            )
        _check_legacy(head, weights_only)
        return _load_legacy(file, settings)


# what a pickle of nonsense leads to when it is run
DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    EOFError,
    RecursionError,
    struct.error,
    SyntaxError,
)


class _Settings:
    """How one file is to be loaded."""

    def __init__(
        self, relocate: Callable, weights_only: bool, pickle_module: Any, encoding: str, pickle_args: dict
    ) -> None:
        self._relocate = relocate
        self.user_error: Exception | None = None
        self.weights_only = weights_only
        self.pickle_module = pickle_module
        self.encoding = encoding
        self.pickle_args = pickle_args

    def relocate(self, storage: Any, location: str) -> Any:
        """Move a storage to where `map_location` says; what that raises is no fault of the file."""
        try:
            return self._relocate(storage, location)
        except Exception as error:
            self.user_error = error
            raise

    def unpickle(self, reader: Any, persistent: Callable[[Any], Any]) -> Any:
        """Run one pickle, in the safe machine or in Python's own."""
        if not self.weights_only:
            return _full_unpickler(self.pickle_module, persistent)(
                reader, encoding=self.encoding, **self.pickle_args
            ).load()
        try:
            return Unpickler(reader, options.allowed_globals(), persistent, self.encoding).load()
        except Refused as error:
            if error.path is None or "is blocked" in str(error):
                raise pickle.UnpicklingError(_NEVER.format(f"WeightsUnpickler error: {error}")) from None
            remedy = (
                f"{error} Please use `torch.serialization.add_safe_globals([{error.path}])` or the "
                f"`torch.serialization.safe_globals([{error.path}])` context manager to allowlist this "
                "global if you trust this class/function."
            )
            raise pickle.UnpicklingError(_ONCE.format(remedy)) from None
        except DAMAGE as error:
            if error is self.user_error:
                raise
            raise pickle.UnpicklingError(
                _NEVER.format(f"The file is damaged, or was made to do harm: {type(error).__name__}: {error}")
            ) from error


def _full_unpickler(module: Any, persistent: Callable[[Any], Any]) -> type:
    class FullUnpickler(module.Unpickler):
        def find_class(self, module_name: str, name: str) -> Any:
            root = module_name.partition(".")[0]
            if root in _places.PACKAGES or (module_name, name) in names.storage_classes():
                return names.find(module_name, name)
            return super().find_class(module_name, name)

        def persistent_load(self, saved: Any) -> Any:
            return persistent(saved)

    return FullUnpickler


@contextlib.contextmanager
def _opened(f: Any) -> Iterator[Any]:
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            yield file
        return
    for method in ("seek", "tell", "read"):
        if not hasattr(f, method):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{method}'. You can only torch.load from a "
                "file that is seekable. Please pre-load the data into a buffer like io.BytesIO and try to "
                "load from it instead."
            )
    yield f if hasattr(f, "readinto") else _WithReadInto(f)


class _WithReadInto:
    """A file of the user that can only `read`."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def readline(self, limit: int = -1) -> bytes:
        return self.file.readline()

    def seekable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:
        data = self.file.read(len(target))
        target[: len(data)] = data
        return len(data)


def _make_storage(data: np.ndarray, dtype: fb.dtype | None, location: str, settings: _Settings) -> Stored:
    return Stored(settings.relocate(fb.from_numpy(data).untyped_storage(), location), dtype)


def _public(value: Any, seen: set[int]) -> Any:
    """Put storages that were saved by themselves into the form that users know."""
    if isinstance(value, Stored):
        return value.public()
    if type(value) is tuple:
        return tuple(_public(part, seen) for part in value)
    if id(value) in seen or isinstance(value, type):
        return value
    seen.add(id(value))
    if type(value) is list:
        value[:] = [_public(part, seen) for part in value]
    elif isinstance(value, dict):
        for key in value:
            value[key] = _public(value[key], seen)
    if hasattr(value, "__dict__"):
        _public(value.__dict__, seen)
    return value


class _Storages:
    """The storages of one file, made when a tensor first asks for them."""

    def __init__(self, settings: _Settings) -> None:
        self.settings = settings
        self.made: dict[str, Stored] = {}

    def of(self, saved: Any, fetch: Callable[[str, int, fb.dtype | None], np.ndarray]) -> Stored:
        kind, key, location, count = _storage_id(saved)
        if key not in self.made:
            data = fetch(key, count * (kind.dtype.itemsize if kind.dtype is not None else 1), kind.dtype)
            self.made[key] = _make_storage(data, kind.dtype, location, self.settings)
        stored = self.made[key]
        if stored.dtype is not kind.dtype:
            stored = self.made.setdefault(f"{key} {kind.name}", Stored(stored.untyped, kind.dtype))
        stored.references += 1
        return stored

    def finish(self, result: Any) -> Any:
        alone = any(stored.references > stored.used for stored in self.made.values())
        return _public(result, set()) if alone else result


def _storage_id(saved: Any) -> tuple[names.StorageClass, str, str, int]:
    if not isinstance(saved, tuple) or len(saved) < 5 or saved[0] not in ("storage", b"storage"):
        raise Refused(f"Unknown typename for persistent_load, expected 'storage' but got {saved!r:.80}")
    kind, key, location, count = saved[1:5]
    if not isinstance(kind, names.StorageClass) or not isinstance(count, int) or count < 0:
        raise Refused(f"a reference to a storage is wrong: {saved!r:.80}")
    text = [part.decode() if isinstance(part, bytes) else str(part) for part in (key, location)]
    return kind, text[0], text[1], count


# the zip format


def _load_zip(file: Any, settings: _Settings, path: str | None) -> Any:
    reader = archive.Reader(file, options.get_crc32_options())
    if "constants.pkl" in reader:
        if settings.weights_only:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``. "
                "Use torch.jit.load to load them."
            )
        warnings.warn(
            "'torch.load' received a zip file that looks like a TorchScript archive dispatching to "
            "'torch.jit.load' (call 'torch.jit.load' directly to silence this warning)",
            stacklevel=3,
        )
        file.seek(0)
        return fb.jit.load(file)
    if "data.pkl" not in reader:
        what = archive.MISSING.format("data.pkl") if "version" in reader else archive.NO_VERSION
        raise RuntimeError(
            f"{what}\nThe file is a zip archive but no checkpoint: it has "
            + ", ".join(list(reader.infos)[:5])
        )
    return _load_records(reader, settings, path)


def _load_records(reader: archive.Reader, settings: _Settings, path: str | None) -> Any:
    swap = _needs_swap(reader)
    shared = options.get_default_mmap_options() == mmap_flags.MAP_SHARED
    mapped = np.memmap(path, np.uint8, "r+" if shared else "c").view(np.ndarray) if path else None
    storages = _Storages(settings)

    def fetch(key: str, size: int, dtype: fb.dtype | None) -> np.ndarray:
        record = f"data/{key}"
        if reader.size(record) < size:
            raise ValueError(f"record {record} has {reader.size(record)} bytes where {size} are announced")
        if mapped is not None:
            start = reader.offset(record)
            if shared:
                reader.forget_checksum(record, mapped)
            return mapped[start : start + size]
        data = np.empty(reader.size(record), np.uint8)
        reader.read_into(record, data)
        return _swapped(data, dtype) if swap else data

    data = io.BytesIO(reader.read("data.pkl"))
    return storages.finish(
        settings.unpickle(
            files.Bounded(data) if settings.weights_only else data, lambda saved: storages.of(saved, fetch)
        )
    )


def _needs_swap(reader: archive.Reader) -> bool:
    if "byteorder" in reader:
        order = reader.read("byteorder")
        if order not in (b"little", b"big"):
            raise ValueError("Unknown endianness type: " + order.decode("latin-1"))
        return order.decode() != sys.byteorder
    default = options.get_default_load_endianness()
    if default in (None, options.LoadEndianness.LITTLE):
        return sys.byteorder != "little"
    return default == options.LoadEndianness.BIG and sys.byteorder != "big"


def _swapped(data: np.ndarray, dtype: fb.dtype | None) -> np.ndarray:
    if dtype is None:
        raise NotImplementedError("an untyped storage written on a machine of the other byte order")
    size = dtype.itemsize // (2 if dtype.is_complex else 1)
    return data.reshape(-1, size)[:, ::-1].reshape(-1)


# the format before PyTorch 1.6


def _check_legacy(head: bytes, weights_only: bool) -> None:
    """Raise what is right for a file that does not begin as `save` writes."""
    if not head:
        raise EOFError("Ran out of input\nThe file is empty: was the program that wrote it stopped?")
    if head[257:262] == b"ustar":
        raise NotImplementedError(
            "the tar format of PyTorch before 0.1.10 is not supported: load and save the file with an old "
            "PyTorch"
        )
    if head[:1] != b"\x80":
        what = files.describe(head)
        if weights_only:
            raise pickle.UnpicklingError(_NEVER.format(what))
        key = chr(head[0]) if 32 <= head[0] < 127 else f"\\x{head[0]:02x}"
        raise pickle.UnpicklingError(f"invalid load key, '{key}'.\n{what}")
    if (
        head[2 : 2 + len(_LEGACY_START)] != _LEGACY_START
        and head[11 : 11 + len(_LEGACY_START)] != _LEGACY_START
    ):
        raise RuntimeError(
            "Invalid magic number; corrupt file?\nThe file is a pickle, but torch.save did not write it."
        )


def _load_legacy(file: Any, settings: _Settings) -> Any:
    reader = files.Bounded(file)
    plain = _Settings(settings.relocate, True, pickle, settings.encoding, {})

    def data_only(_: Any) -> Any:
        raise Refused("a storage where none can be")

    if plain.unpickle(reader, data_only) != MAGIC_NUMBER:
        raise RuntimeError("Invalid magic number; corrupt file?")
    version = plain.unpickle(reader, data_only)
    if version != PROTOCOL_VERSION:
        raise RuntimeError(f"Invalid protocol version: {version}")
    system = plain.unpickle(reader, data_only)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    storages = _Storages(settings)

    def fetch(key: str, size: int, dtype: fb.dtype | None) -> np.ndarray:
        _check_room(size, reader.end, f"A storage has {size} bytes, the whole file {reader.end}")
        return np.zeros(size, np.uint8)

    def persistent(saved: Any) -> Any:
        if isinstance(saved, tuple) and saved and saved[0] in ("module", b"module"):
            return saved[1]  # a class, with the source text that it had when it was saved
        if len(saved) > 5 and saved[5] is not None:
            raise NotImplementedError("a storage that is a view of another (files of PyTorch before 0.4)")
        stored = storages.of(saved, fetch)
        stored.empty = True
        return stored

    # the storages come after the pickle: it is run with empty ones, which are then filled
    result = settings.unpickle(reader if settings.weights_only else file, persistent)
    keys = plain.unpickle(reader, data_only)
    if not isinstance(keys, list):
        raise RuntimeError("the list of storages is missing; corrupt file?")
    for key in keys:
        _fill(reader, storages.made, str(key), swap=little != (sys.byteorder == "little"), settings=settings)
    for stored in storages.made.values():
        stored.filled()
    return storages.finish(result)


def _check_room(size: int, there: int, what: str) -> None:
    if size > there:
        raise RuntimeError(
            f"unexpected EOF, expected {size - there} more bytes. The file might be corrupted.\n"
            f"{what}: the file ended early when it was written or copied."
        )


def _fill(reader: files.Bounded, made: dict[str, Stored], key: str, swap: bool, settings: _Settings) -> None:
    from .pickler import storage_bytes

    if key not in made:
        raise RuntimeError(f"storage {key} belongs to nothing; corrupt file?")
    stored = made[key]
    (count,) = struct.unpack("<q", reader.read(8))
    size = count * (stored.dtype.itemsize if stored.dtype is not None else 1)
    if size != stored.untyped.nbytes():
        raise RuntimeError(f"storage has wrong byte size: expected {stored.untyped.nbytes()} got {size}")
    _check_room(size, reader.end - reader.tell(), f"Storage {key} of {size} bytes is cut off")
    data = np.empty(size, np.uint8)
    reader.readinto(memoryview(data))
    if swap:
        data = _swapped(data, stored.dtype)
    if stored.untyped.device.type == "cpu":
        storage_bytes(stored.untyped)[:] = data
    elif stored.untyped.device.type != "meta":
        target = fb.empty(0, dtype=fb.uint8, device=stored.untyped.device).set_(
            stored.untyped, 0, (size,), (1,)
        )
        target.copy_(fb.from_numpy(data))


def get_unsafe_globals_in_checkpoint(f: str | os.PathLike[str] | IO[bytes]) -> list[str]:
    """The names in a file that ``load(weights_only=True)`` refuses; nothing is loaded."""
    with _opened(f) as file:
        start = file.tell()
        head = file.read(len(_ZIP_START))
        file.seek(start)
        if head != _ZIP_START:
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        reader = archive.Reader(file)
        data = files.Bounded(io.BytesIO(reader.read("data.pkl")))
        # tensors are not needed here: every storage is an empty one on the meta device

        def persistent(saved: Any) -> Any:
            kind, _, _, count = _storage_id(saved)
            size = count * (kind.dtype.itemsize if kind.dtype is not None else 1)
            return Stored(fb.empty(size, dtype=fb.uint8, device="meta").untyped_storage(), kind.dtype)

        machine = Unpickler(data, options.allowed_globals(), persistent, survey=True)
        machine.load()
    return list(dict.fromkeys(machine.unknown))
