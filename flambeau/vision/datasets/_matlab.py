"""Numbers from MATLAB files of version 5, in which some data sets come: arrays of numbers, nothing else.

The format: MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format".
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_COMPRESSED, _MATRIX = 15, 14
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_MOST = 1 << 32  # bytes that one array may unpack to


class _Damaged(ValueError):
    pass


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of the elements in a row."""
    at = 0
    while at + 8 <= len(data):
        (kind,) = struct.unpack_from(order + "I", data, at)
        if kind >> 16:  # a small element: its size is in the upper half
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            (size,) = struct.unpack_from(order + "I", data, at + 4)
            start = at + 8
            after = start + size + (-size % 8 if kind != _COMPRESSED else 0)
        if start + size > len(data):
            raise _Damaged(f"an element of {size} bytes at {at} reaches beyond the end")
        yield kind, data[start : start + size]
        at = after


def _numbers(kind: int, content: memoryview, order: str) -> np.ndarray:
    if kind not in _STORED:
        raise _Damaged(f"numbers of type {kind} are not known")
    dtype = np.dtype(_STORED[kind]).newbyteorder(order)
    return np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)


def _matrix(data: memoryview, order: str) -> tuple[str, np.ndarray] | None:
    parts = list(_elements(data, order))
    if len(parts) < 4:
        return None
    flags = int(_numbers(*parts[0], order)[0])
    shape = tuple(int(n) for n in _numbers(*parts[1], order))
    name = bytes(parts[2][1]).decode("latin-1")
    if flags & 0xFF not in _CLASSES or flags & 0x800:  # text, structures, complex numbers
        return None
    values = _numbers(*parts[3], order)
    if values.size != int(np.prod(shape, dtype=object)):
        raise _Damaged(f"{name} has {values.size} numbers, but the shape {shape}")
    return name, values.astype(_CLASSES[flags & 0xFF]).reshape(shape, order="F")


def read_matlab(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of numbers in a MATLAB file of version 5, by name; everything else in it is left out."""
    with open(path, "rb") as file:
        data = file.read()
    marks = {b"IM": "<", b"MI": ">"}
    if len(data) < 128 or data[126:128] not in marks:
        raise ValueError(f"{path} is no MATLAB file of version 5: it begins with {data[:16]!r}")
    order = marks[data[126:128]]
    found = {}
    try:
        for kind, content in _elements(memoryview(data)[128:], order):
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                plain = unpacker.decompress(content, _MOST)
                if unpacker.unconsumed_tail:
                    raise _Damaged(f"an array unpacks to more than {_MOST} bytes")
                if len(plain) < 8:
                    raise _Damaged("a packed element is empty")
                kind, content = next(_elements(memoryview(plain), order))
            if kind == _MATRIX and (entry := _matrix(content, order)) is not None:
                found[entry[0]] = entry[1]
    except (_Damaged, zlib.error, struct.error, IndexError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return found


def scipy_matlab(path: str | os.PathLike) -> dict[str, Any]:
    """Everything in a MATLAB file, also its structures, read by SciPy; axes of length 1 are left out."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise RuntimeError(
            "Scipy is not found. This dataset needs to have scipy installed: please run pip install scipy"
        ) from error
    return loadmat(path, squeeze_me=True)
