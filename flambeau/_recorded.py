"""The arguments of a recorded program (``_C._Graph.steps``) as Python objects."""

from __future__ import annotations

from typing import Any

import flambeau as fb

_DTYPES = dict(enumerate([
    fb.uint8, fb.int8, fb.int16, fb.int32, fb.int64, fb.float16, fb.float32, fb.float64, fb.complex32,
    fb.complex64, fb.complex128, fb.bool,
])) | {15: fb.bfloat16}  # fmt: skip
_FORMATS = {0: fb.contiguous_format, 1: fb.preserve_format, 2: fb.channels_last, 3: fb.channels_last_3d}


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
        return fb.strided if content == 0 else content
    if kind == "complex":
        return complex(*content)
    if kind == "device":
        if content[0] != 0:
            raise NotImplementedError("a recorded program that names a device other than the cpu")
        return fb.device("cpu")
    return content
