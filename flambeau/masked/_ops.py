"""Reductions and normalizations that leave out masked elements; True in a mask means that the element
counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp",
    "mean", "median", "norm",
    "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip


def _filled(input: Any, mask: Any, value: Any) -> Any:
    """The input with `value` where the mask is False."""
    if mask is None:
        return input
    if len(mask.shape) > input.dim():
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
        )
    mask = mask.to(dtype=fb.bool)
    return fb.where(mask.expand(input.shape), input, fb.tensor(value, dtype=input.dtype, device=input.device))


def _extreme(dtype: Any, lowest: bool) -> float:
    """The value that never wins a maximum (minimum)."""
    if dtype.is_floating_point or dtype.is_complex:
        return -math.inf if lowest else math.inf
    if dtype == fb.bool:
        return not lowest
    return fb.iinfo(dtype).min if lowest else fb.iinfo(dtype).max


def _dims(input: Any, dim: Any) -> tuple[int, ...]:
    """Dimensions counted from the front; all of them for None and ()."""
    n = input.dim()
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(n))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    wrapped = []
    for d in dims:
        if not -max(n, 1) <= d < max(n, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(n, 1)}, {max(n, 1) - 1}], but got"
                f" {d})"
            )
        d %= max(n, 1)
        if d in wrapped:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        wrapped.append(d)
    return tuple(wrapped) if n else ()


def _count(input: Any, mask: Any, dims: tuple, keepdim: bool) -> Any:
    ones = fb.ones(input.shape, dtype=fb.int64, device=input.device)
    return _over(_filled(ones, mask, 0), dims, keepdim, lambda t, d, k: t.sum(d, k))


def _over(t: Any, dims: tuple, keepdim: bool, reduce: Callable) -> Any:
    keep = bool(keepdim)
    return reduce(t, list(dims), keep) if dims else reduce(t.reshape(1), [0], False)


def _is_small_int(dtype: Any) -> bool:
    return dtype in (fb.uint8, fb.bool, fb.int8, fb.int16, fb.int32)


def sum(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Sum of the elements that count; 0 where none does."""
    if dtype is None:
        dtype = fb.int64 if _is_small_int(input.dtype) else input.dtype
    return _over(
        _filled(input, mask, 0), _dims(input, dim), keepdim, lambda t, d, k: t.sum(d, k, dtype=dtype)
    )


def prod(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Product of the elements that count; 1 where none does."""
    if dtype is None:
        dtype = fb.int64 if _is_small_int(input.dtype) else input.dtype
    keep = bool(keepdim)
    result = _filled(input, mask, 1)
    for d in sorted(_dims(input, dim), reverse=True):
        result = result.prod(d, keep)
    return result.to(dtype=dtype, copy=result is input)


def cumsum(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Running sums, masked elements being 0."""
    dtype = input.dtype if dtype is None else dtype
    first, *_ = _dims(input, dim) or (0,)
    return _filled(input, mask, 0).cumsum(first, dtype=dtype).to(dtype=dtype)


def cumprod(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Running products, masked elements being 1."""
    dtype = input.dtype if dtype is None else dtype
    first, *_ = _dims(input, dim) or (0,)
    return _filled(input, mask, 1).cumprod(first, dtype=dtype).to(dtype=dtype)


def amax(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Largest element that counts; the smallest number of the dtype where none does."""
    dtype = input.dtype if dtype is None else dtype
    t = _filled(input, mask, _extreme(input.dtype, True))
    return _over(t, _dims(input, dim), keepdim, lambda t, d, k: t.amax(d, k)).to(dtype=dtype)


def amin(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Smallest element that counts; the largest number of the dtype where none does."""
    dtype = input.dtype if dtype is None else dtype
    t = _filled(input, mask, _extreme(input.dtype, False))
    return _over(t, _dims(input, dim), keepdim, lambda t, d, k: t.amin(d, k)).to(dtype=dtype)


def argmax(
    input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Index of the largest element that counts."""
    dtype = input.dtype if dtype is None else dtype
    t = _filled(input, mask, _extreme(input.dtype, True))
    return t.argmax(dim, bool(keepdim)).to(dtype=dtype)


def argmin(
    input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Index of the smallest element that counts."""
    dtype = input.dtype if dtype is None else dtype
    t = _filled(input, mask, _extreme(input.dtype, False))
    return t.argmin(dim, bool(keepdim)).to(dtype=dtype)


def mean(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Mean of the elements that count; NaN where none does."""
    dtype = input.dtype if dtype is None else dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or complex"
            f" dtype. Got: {dtype}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, mask, _dims(input, dim), bool(keepdim))


def median(input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Any:
    """Median of the elements that count (the lower of two); NaN where none does."""
    t = input  # PyTorch takes a dtype and leaves it
    if not t.is_floating_point():
        t = t.to(fb.get_default_dtype())
        counted = _count(input, mask, _dims(input, dim), keepdim)
        if bool((counted == 0).any()):
            raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
        return _filled(t, mask, math.nan).nanmedian(dim, keepdim).values.to(input.dtype)
    return _filled(t, mask, math.nan).nanmedian(dim, keepdim).values  # a NaN is as good as masked


def logsumexp(
    input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """Logarithm of the sum of exponentials of the elements that count."""
    dtype = input.dtype if dtype is None else dtype
    if input.dtype == fb.bool:
        raise NotImplementedError(f"identity of logsumexp on {input.dtype} input")
    t = input if input.is_floating_point() or input.is_complex() else input.to(fb.get_default_dtype())
    filled = _filled(t, mask, -math.inf)
    return fb.logsumexp(filled, list(_dims(input, dim)) or 0, keepdim=keepdim).to(dtype=dtype)


def logaddexp(
    input: Any, other: Any, *, dtype: Any = None, input_mask: Any = None, other_mask: Any = None
) -> Any:
    """Elementwise ``log(exp(input) + exp(other))``, masked elements being minus infinity."""
    dtype = input.dtype if dtype is None else dtype
    a, b = (t if t.is_floating_point() else t.to(fb.get_default_dtype()) for t in (input, other))
    return fb.logaddexp(_filled(a, input_mask, -math.inf), _filled(b, other_mask, -math.inf)).to(dtype=dtype)


def norm(
    input: Any,
    ord: float | None = 2.0,
    dim: Any = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """Vector norm of the elements that count."""
    ord = 2.0 if ord is None else ord
    t = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return _over(
        t, _dims(input, dim), keepdim, lambda t, d, k: fb.linalg.vector_norm(t, ord, d, k, dtype=dtype)
    )


def normalize(
    input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Any = None
) -> Any:
    """Elements divided by the norm of those that count, at least `eps`; masked ones become 0."""
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / fb.maximum(size, size.new_full((), eps))


def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """Variance of the elements that count, divided by their number less `correction` (default 1)."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask, root=False)


def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: int | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """Root of `var`."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask, root=True)


def _variance(
    input: Any,
    dim: Any,
    unbiased: bool | None,
    correction: Any,
    keepdim: Any,
    dtype: Any,
    mask: Any,
    root: bool,
) -> Any:
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    if input.dtype == fb.bool:
        return input - input  # refused, with the reason
    t = input if input.is_floating_point() or input.is_complex() else input.to(fb.float32)
    if dtype is None:
        dtype = t.dtype
    dims = _dims(input, dim)
    count = _count(t, mask, dims, True) if dims else _count(t, mask, dims, False)
    centre = sum(t, dim, keepdim=True, mask=mask) / count
    deviation = _filled(t - centre, mask, 0)
    squares = deviation * deviation.conj() if deviation.is_complex() else deviation * deviation
    total = _over(
        squares.real if squares.is_complex() else squares, dims, bool(keepdim), lambda t, d, k: t.sum(d, k)
    )
    if not keepdim:
        count = count.reshape(total.shape)
    freedom = (count - correction).clamp_min(0) if correction else count
    result = total / freedom.to(total.dtype)
    result = result.sqrt() if root else result
    return result.to(dtype=dtype)


def softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Softmax over the elements that count; masked ones get 0."""
    return fb.softmax(_filled(input, mask, _extreme(input.dtype, True)), dim, dtype=dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Logarithm of `softmax`."""
    return fb.log_softmax(_filled(input, mask, _extreme(input.dtype, True)), dim, dtype=dtype)


def softmin(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Softmax of the negated elements that count; masked ones get 0."""
    return fb.softmax(-_filled(input, mask, _extreme(input.dtype, False)), dim, dtype=dtype)
