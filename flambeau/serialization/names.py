"""The names that pickles of tensors use: which are data and may be loaded, and what they are here."""

from __future__ import annotations

import _compat_pickle
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb
from flambeau._constants import SCHEMES
from flambeau._places import REBUILDERS, local_name
from flambeau.storage import CLASS_OF, QUANTIZED_CLASS_OF

from . import rebuild

# what files of PyTorch's may hold that is not there here
_ABSENT = {
    "_rebuild_wrapper_subclass": "wrapper subclasses of tensors: save plain tensors",
}
BLOCKED = {"sys", "os", "posix", "nt"}


class StorageClass:
    """Stands for a storage class in a pickle."""

    def __init__(self, module: str, name: str, dtype: fb.dtype | None) -> None:
        self.module = module
        self.name = name
        self.dtype = dtype


@functools.cache
def storage_classes() -> dict[tuple[str, str], StorageClass]:
    """The storage classes that pickles name, by module and name."""
    table = {}
    for dtype, name in CLASS_OF.items():
        kind = StorageClass("torch", name, getattr(fb, dtype))
        table["torch", name] = table["torch.cuda", name] = kind
    for dtype, name in QUANTIZED_CLASS_OF.items():
        table["torch", name] = StorageClass("torch", name, getattr(fb, dtype))
    for module in ("torch.storage", "torch"):
        table[module, "UntypedStorage"] = StorageClass("torch.storage", "UntypedStorage", None)
    table["torch.storage", "_UntypedStorage"] = table["torch.storage", "UntypedStorage"]
    return table


def untyped_class() -> StorageClass:
    """The class of storages of bytes."""
    return storage_classes()["torch.storage", "UntypedStorage"]


@functools.cache
def storage_class_of(dtype: fb.dtype) -> StorageClass:
    """The class a pickle names for storages of `dtype`; of dtypes without one, that of bytes."""
    word = str(dtype).removeprefix("torch.")
    name = CLASS_OF.get(word) or QUANTIZED_CLASS_OF.get(word)
    return storage_classes()["torch", name] if name else untyped_class()


def find(module: str, name: str) -> Any:
    """Any object by the name in a pickle, for ``weights_only=False``."""
    known = data_global(module, name)
    if known is not None:
        return known[0]
    place = local_name(module)
    try:
        found: Any = importlib.import_module(place)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        if place != module and hasattr(fb.nn, name):
            return getattr(fb.nn, name)
        raise AttributeError(
            f"Can't get attribute '{name}' on module '{module}'\n"
            "The file was saved with a class or function that this program does not have: import or define "
            "it under that name before loading."
        ) from error
    return found


def present(module: str, name: str) -> tuple[str, str]:
    """The name that a global of protocol 2, which calls things as Python 2 did, has today."""
    renamed = _compat_pickle.NAME_MAPPING.get((module, name))
    return renamed or (_compat_pickle.IMPORT_MAPPING.get(module, module), name)


Maker = Callable[..., Any] | None


def rebuilder(name: str) -> Callable[..., Any]:
    """The function that files call by this name of ``torch._utils``."""
    return getattr(rebuild, name, None) or getattr(fb.nn.parameter, name)


@functools.cache
def _table() -> dict[tuple[str, str], tuple[Any, Maker]]:
    """(module, name) -> the object, and what calling it does (None: it is a value and cannot be called)."""
    import argparse
    import collections
    import datetime
    import decimal
    import fractions
    import pathlib
    import types
    import uuid

    table: dict[tuple[str, str], tuple[Any, Maker]] = {}
    for module, names in REBUILDERS.items():
        for name in names:
            function = rebuilder(name)
            table[module, name] = function, function
    for key, kind in storage_classes().items():
        table[key] = kind, None
    for name, value in list(vars(fb).items()):
        if isinstance(value, (fb.dtype, fb.layout, fb.memory_format)):
            table["torch", name] = value, None
    for scheme in SCHEMES:
        table["torch", str(scheme).removeprefix("torch.")] = scheme, None
    plain = {
        "torch": {"Size": fb.Size, "device": fb.device},
        "torch.nn.parameter": {"Parameter": fb.nn.Parameter},
        "collections": {
            n: getattr(collections, n) for n in ("OrderedDict", "defaultdict", "Counter", "deque")
        },
        "datetime": {n: getattr(datetime, n) for n in ("date", "datetime", "time", "timedelta", "timezone")},
        "decimal": {"Decimal": decimal.Decimal},
        "fractions": {"Fraction": fractions.Fraction},
        "uuid": {"UUID": uuid.UUID},
        "argparse": {"Namespace": argparse.Namespace},
        "types": {"SimpleNamespace": types.SimpleNamespace},
    }
    for module, members in plain.items():
        for name, value in members.items():
            table[module, name] = value, value
    for module in ("pathlib", "pathlib._local"):  # the second name is Python 3.13's
        for name in ("PosixPath", "WindowsPath", "Path"):
            table[module, name] = pathlib.Path, pathlib.Path
        for name in ("PurePosixPath", "PureWindowsPath"):
            table[module, name] = (getattr(pathlib, name),) * 2
    table["torch", "Tensor"] = fb.Tensor, None
    for module in ("builtins", "__builtin__"):
        for kind in (set, frozenset, complex, slice, range, list, dict, tuple, int, float, str, bool):
            table[module, kind.__name__] = kind, functools.partial(_small, kind)
        table[module, "Ellipsis"] = ..., None
        table[module, "bytes"] = bytes, functools.partial(_bytes, bytes)
        table[module, "bytearray"] = bytearray, functools.partial(_bytes, bytearray)
    table["__builtin__", "xrange"] = table["builtins", "range"]
    table["_codecs", "encode"] = _encode, _encode
    _add_numpy(table)
    return table


def _add_numpy(table: dict) -> None:
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        table[module, "_reconstruct"] = _empty_array, _empty_array
        table[module, "scalar"] = _numpy_scalar, _numpy_scalar
    for module in ("numpy.core.numeric", "numpy._core.numeric"):
        table[module, "_frombuffer"] = _array_from_buffer, _array_from_buffer
    table["numpy", "ndarray"] = np.ndarray, None
    table["numpy", "dtype"] = np.dtype, _numpy_dtype
    for name in dir(np.dtypes):
        kind = getattr(np.dtypes, name)
        if isinstance(kind, type) and issubclass(kind, np.dtype):
            table["numpy.dtypes", name] = kind, functools.partial(_dtype_class, kind)
    for name in "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split():
        table["numpy", name] = getattr(np, name), getattr(np, name)


def _small(kind: type, *args: Any) -> Any:
    """Call a builtin type on data: nothing here can be made large by a small file."""
    if kind in (list, tuple, set, frozenset, dict) and any(isinstance(arg, range) for arg in args):
        raise ValueError(f"{kind.__name__} of a range is not data")
    return kind(*args)


def _bytes(kind: type, *args: Any) -> Any:
    if args and isinstance(args[0], int):
        raise ValueError(f"{kind.__name__}({args[0]}) is not data")
    return kind(*args)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise ValueError(f"encoding {encoding!r} is not used by pickles")
    return text.encode(encoding)


def _numpy_dtype(spec: Any, *_: Any) -> np.dtype:
    dtype = np.dtype(spec, copy=True) if isinstance(spec, (str, type)) else None
    if dtype is None or (dtype.hasobject and spec not in ("O", "O8", "|O")):
        raise ValueError(f"{spec!r} is no plain element type")
    return dtype


def _dtype_class(kind: type, *args: Any) -> np.dtype:
    return np.dtype(kind(), copy=True)


def _numpy_scalar(dtype: np.dtype, data: Any) -> Any:
    data = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, np.dtype) or dtype.hasobject or len(data) != dtype.itemsize:
        raise ValueError("a NumPy scalar whose bytes do not match its type")
    return np.frombuffer(data, dtype)[0]


def _empty_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    if kind is not np.ndarray:
        raise ValueError("only plain arrays can be rebuilt")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _array_from_buffer(
    data: Any, dtype: np.dtype, shape: Any, order: str, axis_order: Any = None
) -> np.ndarray:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError("an array of objects cannot be made of bytes")
    array = np.frombuffer(data, dtype)
    if axis_order is not None:
        return array.reshape(shape, order="K").transpose(axis_order)
    return array.reshape(shape, order=order)


def data_global(module: str, name: str) -> tuple[Any, Maker] | None:
    """An object of the wide list of data types, and its maker; None for anything else."""
    if module == "torch._utils" and name in _ABSENT:
        raise NotImplementedError(f"the file holds what flambeau does not have: {_ABSENT[name]}")
    return _table().get((module, name))
