"""The arguments of a recorded program (``_C._Graph.steps``) as Python objects."""

from __future__ import annotations

from typing import Any

from flambeau import _C

_DTYPES = dict(enumerate([
    _C.uint8, _C.int8, _C.int16, _C.int32, _C.int64, _C.float16, _C.float32, _C.float64, _C.complex32,
    _C.complex64, _C.complex128, _C.bool,
])) | {15: _C.bfloat16}  # fmt: skip
_FORMATS = {0: _C.contiguous_format, 1: _C.preserve_format, 2: _C.channels_last, 3: _C.channels_last_3d}


def constant(kind: str, content: Any) -> Any:
    """An argument that is no tensor.

    Raises
    ------
    NotImplementedError
        For a device that is not the CPU.
    """
    if kind == "dtype":
        return _DTYPES[content]
    if kind == "format":
        return _FORMATS[content]
    if kind == "layout":
        return _C.strided if content == 0 else content
    if kind == "complex":
        return complex(*content)
    if kind == "device":
        if content[0] != 0:
            raise NotImplementedError("a recorded program that names a device other than the cpu")
        return _C.device("cpu")
    return content
