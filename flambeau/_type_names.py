"""The old names of tensor types, one for each dtype."""

from __future__ import annotations

from typing import Any

TYPE_NAMES = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "bfloat16": "BFloat16Tensor",
    "int64": "LongTensor",
    "int32": "IntTensor",
    "int16": "ShortTensor",
    "int8": "CharTensor",
    "uint8": "ByteTensor",
    "bool": "BoolTensor",
    "complex64": "ComplexFloatTensor",
    "complex128": "ComplexDoubleTensor",
    "complex32": "ComplexHalfTensor",
    "uint16": "UInt16Tensor",
    "uint32": "UInt32Tensor",
    "uint64": "UInt64Tensor",
}
DTYPES = {name: dtype for dtype, name in TYPE_NAMES.items()}


def type_word(dtype: Any) -> str:
    """How messages call a dtype, such as ``Float``."""
    return TYPE_NAMES[str(dtype).removeprefix("torch.")].removesuffix("Tensor")
