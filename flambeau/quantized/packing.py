"""Integers of four and two bits, several in a byte."""

from __future__ import annotations

from flambeau import _C
from flambeau._C import Tensor

__all__ = ["packed", "unpacked"]


def packed(values: Tensor, dtype: _C.dtype) -> Tensor:
    """The bytes of a line of such integers, the first in the lowest bits."""
    count = 2 if dtype == _C.quint4x2 else 4
    flat = _C.constant_pad_nd(values.reshape(-1), (0, -values.numel() % count)).reshape(-1, count)
    shifts = _C.arange(count, dtype=_C.int32) * (8 // count)
    return (flat.to(_C.int32) << shifts).sum(1).to(_C.uint8)


def unpacked(data: Tensor, dtype: _C.dtype, size: tuple[int, ...]) -> Tensor:
    """The reverse of `packed`."""
    count = 2 if dtype == _C.quint4x2 else 4
    bits = 8 // count
    flat = (data.reshape(-1, 1).to(_C.int32) >> _C.arange(count, dtype=_C.int32) * bits) & (2**bits - 1)
    wanted = _C.Size(size).numel()
    return flat.reshape(-1)[:wanted].to(_C.uint8).reshape(size)
