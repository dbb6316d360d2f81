"""Random tensors for tests."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import flambeau as fb

__all__ = ["make_tensor"]

_DEFAULT_RANGE = {"bool": (0, 2), "uint8": (0, 10), "uint16": (0, 10), "uint32": (0, 10), "uint64": (0, 10)}


def make_tensor(
    *shape: int | Sequence[int],
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of uniformly drawn values.

    Parameters
    ----------
    shape : sizes, as integers or as one sequence.
    low, high : range ``[low, high)``; by default [-9, 9) for floats and complex parts, [-9, 10) for signed
        integers, [0, 10) for unsigned, [0, 2) for booleans. Bounds beyond the dtype are brought inside it.
    noncontiguous : lay the values out with gaps where there are two or more.
    exclude_zero : replace zeros by the smallest positive number (one for integers).
    memory_format : layout of the result; not together with `noncontiguous`.
    """
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    name = str(dtype).rpartition(".")[2]
    floating = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not floating:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}"
        )
    low, high = _bounds(name, dtype, low, high)
    count = math.prod(shape)
    doubled = noncontiguous and count > 1
    drawn = (*shape[:-1], 2 * shape[-1]) if doubled and shape else shape
    if name == "bool":
        t = fb.randint(low, high, drawn, device=device, dtype=fb.int64).to(dtype)
    elif dtype.is_complex:
        real = fb.float64 if dtype == fb.complex128 else fb.float32
        t = fb.view_as_complex(_uniform((*drawn, 2), device, real, low, high)).to(dtype)
    elif dtype.is_floating_point:
        draw = dtype if name in ("float16", "bfloat16", "float32", "float64") else fb.float32
        t = _uniform(drawn, device, draw, low, high).to(dtype)
    else:
        t = fb.randint(low, high, drawn, device=device, dtype=fb.int64).to(dtype)
    if doubled and shape:
        t = t[..., ::2]
    elif memory_format is not None:
        t = t.clone(memory_format=memory_format)
    if exclude_zero:
        t[t == 0] = fb.finfo(dtype).tiny if floating else 1
    if requires_grad:
        t.requires_grad_()
    return t


def _uniform(shape: tuple, device: Any, dtype: Any, low: float, high: float) -> fb.Tensor:
    t = fb.empty(shape, device=device, dtype=dtype)
    if high - low > fb.finfo(dtype).max:  # the width itself is no number of this type
        return t.uniform_(low / 2, high / 2).mul_(2)
    return t.uniform_(low, high)


def _bounds(name: str, dtype: Any, low: float | None, high: float | None) -> tuple[Any, Any]:
    """The range to draw from: defaults filled in, inside what the dtype can hold."""
    floating = dtype.is_floating_point or dtype.is_complex
    default = _DEFAULT_RANGE.get(name, (-9, 9) if floating else (-9, 10))
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if low != low or high != high:
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and floating:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated"
            " since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    if low > high or (low == high and not floating):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if name == "bool":
        return max(0, math.ceil(low)), min(2, math.ceil(high))
    info = fb.finfo(dtype) if floating else fb.iinfo(dtype)
    if low > info.max or high < info.min:
        raise ValueError(
            f"The value interval [{low}, {high}) does not meet the range of {dtype}, [{info.min}, {info.max}]"
        )
    low, high = max(low, info.min), min(high, info.max if floating else info.max + 1)
    if floating:
        return low, high
    return math.ceil(low), min(math.ceil(high), 2**63 - 1)
