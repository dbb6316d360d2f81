"""`finfo` and `iinfo`: the limits of element types."""

from __future__ import annotations

from typing import Any

from flambeau import _C

__all__ = ["finfo", "iinfo"]

# bits, explicit mantissa bits, exponent of the largest power of two, exponent of the smallest normal,
# decimal resolution, and the
# largest value where the format spends its top code on NaN
_FLOATS: dict[str, tuple] = {
    "float16": (16, 10, 15, -14, 1e-3, None),
    "bfloat16": (16, 7, 127, -126, 1e-2, None),
    "float32": (32, 23, 127, -126, 1e-6, None),
    "float64": (64, 52, 1023, -1022, 1e-15, None),
    "float8_e4m3fn": (8, 3, 8, -6, 1.0, 448.0),
    "float8_e5m2": (8, 2, 15, -14, 1.0, None),
    "float8_e4m3fnuz": (8, 3, 7, -7, 1.0, 240.0),
    "float8_e5m2fnuz": (8, 2, 15, -15, 1.0, None),
    "float8_e8m0fnu": (8, 0, 127, -127, 1.0, None),
}
_PARTS = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _checked(what: str, kind: Any) -> Any:
    if not isinstance(kind, _C.dtype):
        raise TypeError(
            f"{what}(): argument 'type' (position 1) must be torch.dtype, not {type(kind).__name__}"
        )
    return kind


class finfo:
    """Limits of a floating-point dtype (of the parts of a complex one).

    Attributes
    ----------
    bits : size of a number.
    eps : distance from 1 to the next number.
    max, min : largest and smallest number.
    tiny, smallest_normal : smallest positive number of full precision.
    resolution : approximate decimal resolution.
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "tiny")

    def __init__(self, type: Any = None) -> None:
        name = _name(_checked("finfo", _C.get_default_dtype() if type is None else type))
        name = _PARTS.get(name, name)
        if name == "float4_e2m1fn_x2":
            raise TypeError("bad argument type for built-in operation")
        if name not in _FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        self.dtype = name
        self.bits, mantissa, top, bottom, self.resolution, largest = _FLOATS[name]
        self.eps = 2.0**-mantissa
        self.max = (2.0 - self.eps) * 2.0**top if largest is None else largest
        self.tiny = 2.0**bottom
        self.min = self.tiny if name == "float8_e8m0fnu" else -self.max

    @property
    def smallest_normal(self) -> float:
        """Smallest positive number of full precision."""
        return self.tiny

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("finfo", self.dtype))

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.tiny:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype.

    Attributes
    ----------
    bits : size of a number.
    max, min : largest and smallest number.
    """

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: Any) -> None:
        name = _name(_checked("iinfo", type))
        if name == "bool":
            raise TypeError("torch.bool is not supported by torch.iinfo")
        # of a quantized type, those of the bytes that hold its numbers
        stored = {"quint4x2": "uint8", "quint2x4": "uint8"}.get(name, name.removeprefix("q"))
        signed, unsigned = stored.startswith("int"), stored.startswith("uint")
        if not (signed or unsigned):
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
            )
        self.dtype = name
        self.bits = int(stored[3:] if signed else stored[4:])
        self.max = 2 ** (self.bits - 1) - 1 if signed else 2**self.bits - 1
        self.min = -(2 ** (self.bits - 1)) if signed else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("iinfo", self.dtype))

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
