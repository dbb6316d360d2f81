"""Integers of four and two bits, several in a byte."""

from __future__ import annotations

import flambeau as fb

__all__ = ["packed", "unpacked"]


def packed(values: fb.Tensor, dtype: fb.dtype) -> fb.Tensor:
    """The bytes of a line of such integers, the first in the lowest bits."""
    count = 2 if dtype == fb.quint4x2 else 4
    flat = fb.nn.functional.pad(values.reshape(-1), (0, -values.numel() % count)).reshape(-1, count)
    shifts = fb.arange(count, dtype=fb.int32) * (8 // count)
    return (flat.to(fb.int32) << shifts).sum(1).to(fb.uint8)


def unpacked(data: fb.Tensor, dtype: fb.dtype, size: tuple[int, ...]) -> fb.Tensor:
    """The reverse of `packed`."""
    count = 2 if dtype == fb.quint4x2 else 4
    bits = 8 // count
    flat = (data.reshape(-1, 1).to(fb.int32) >> fb.arange(count, dtype=fb.int32) * bits) & (2**bits - 1)
    wanted = fb.Size(size).numel()
    return flat.reshape(-1)[:wanted].to(fb.uint8).reshape(size)
