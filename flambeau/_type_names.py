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
    **{
        name: name.capitalize() + "Tensor"
        for name in (
            "float8_e5m2",
            "float8_e4m3fn",
            "float8_e5m2fnuz",
            "float8_e4m3fnuz",
            "float8_e8m0fnu",
            "float4_e2m1fn_x2",
        )
    },
}
DTYPES = {name: dtype for dtype, name in TYPE_NAMES.items()}


_CPP_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "int64": "long int",
    "int32": "int",
    "int16": "short int",
    "int8": "signed char",
    "uint8": "unsigned char",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def cpp_word(dtype: Any) -> str:
    """How messages of C++ call a dtype, such as ``long int``."""
    name = str(dtype).removeprefix("torch.")
    return _CPP_NAMES.get(name, name)


def type_word(dtype: Any) -> str:
    """How messages call a dtype, such as ``Float``."""
    return TYPE_NAMES[str(dtype).removeprefix("torch.")].removesuffix("Tensor")
