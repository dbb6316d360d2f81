"""Numbers and names that ONNX and its exporters share."""

from __future__ import annotations

import enum

import flambeau as fb


class _Numbered(enum.Enum):
    """Members that can be used as numbers."""

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


class TrainingMode(_Numbered):
    """The mode that a module has while it is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(_Numbered):
    """How operators are written; there is only ONNX."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


TensorProtoDataType = _Numbered(
    "TensorProtoDataType",
    "UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64 COMPLEX64 "
    "COMPLEX128 BFLOAT16 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ".split(),
    start=0,
)

DTYPES = {
    1: fb.float32, 2: fb.uint8, 3: fb.int8, 4: fb.uint16, 5: fb.int16, 6: fb.int32, 7: fb.int64, 9: fb.bool,
    10: fb.float16, 11: fb.float64, 12: fb.uint32, 13: fb.uint64, 14: fb.complex64, 15: fb.complex128,
    16: fb.bfloat16, 17: fb.float8_e4m3fn, 18: fb.float8_e4m3fnuz, 19: fb.float8_e5m2, 20: fb.float8_e5m2fnuz,
}  # fmt: skip
