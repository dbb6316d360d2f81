"""Pooling: maxima, means and norms of windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.common_types import _sizes_t
from flambeau.nn.functional._core import core, op, publish

avg_pool1d = op("avg_pool1d")
avg_pool2d = op("avg_pool2d")
avg_pool3d = op("avg_pool3d")
adaptive_avg_pool1d = op("adaptive_avg_pool1d")

# with `return_indices` a pair; Any spares callers that ask for the maxima only a cast
_MaybeIndices: TypeAlias = Tensor | Any


def max_pool1d_with_indices(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, L), and where they were."""
    return fb.max_pool1d_with_indices(
        input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode
    )


def max_pool1d(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> _MaybeIndices:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, L); with `return_indices` also where they were."""
    stride = kernel_size if stride is None else stride
    if return_indices:
        return fb.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return fb.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, H, W), and where they were."""
    return core.max_pool2d_with_indices(
        input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode
    )


def max_pool2d(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> _MaybeIndices:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, H, W); with `return_indices` also where they were."""
    stride = kernel_size if stride is None else stride
    if return_indices:
        return core.max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return fb.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, D, H, W), and where they were."""
    return core.max_pool3d_with_indices(
        input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode
    )


def max_pool3d(
    input: Tensor, kernel_size: _sizes_t, stride: _sizes_t | None = None, padding: _sizes_t = 0,
    dilation: _sizes_t = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> _MaybeIndices:  # fmt: skip
    """Maxima of windows of an input of shape (N, C, D, H, W); with `return_indices` also where they were."""
    stride = kernel_size if stride is None else stride
    if return_indices:
        return core.max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return fb.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


# ---------------------------------------------------------------------------------------- adaptive


def _sizes_or_given(output_size: int | Sequence[int | None], given: Sequence[int]) -> int | list[int]:
    """`output_size` where None stands for the size of the input."""
    if isinstance(output_size, int):
        return output_size
    count = len(output_size)
    if len(given) <= count:
        raise ValueError(f"Input dimension should be at least {count + 1}")
    return [g if o is None else o for o, g in zip(output_size, given[len(given) - count :], strict=True)]


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None]) -> Tensor:
    """Means of as many windows as make a result of `output_size` (H, W)."""
    return core.adaptive_avg_pool2d(input, _sizes_or_given(output_size, input.size()))


def adaptive_avg_pool3d(input: Tensor, output_size: int | Sequence[int | None]) -> Tensor:
    """Means of as many windows as make a result of `output_size` (D, H, W)."""
    return core.adaptive_avg_pool3d(input, _sizes_or_given(output_size, input.size()))


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: _sizes_t, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of as many windows as make a result of length `output_size`, and where they were."""
    return fb.adaptive_max_pool1d(input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: _sizes_t, return_indices: bool = False) -> _MaybeIndices:
    """Maxima of as many windows as make a result of length `output_size`."""
    result = fb.adaptive_max_pool1d(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of as many windows as make a result of `output_size` (H, W), and where they were."""
    return core.adaptive_max_pool2d(input, _sizes_or_given(output_size, input.size()))


def adaptive_max_pool2d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> _MaybeIndices:
    """Maxima of as many windows as make a result of `output_size` (H, W)."""
    result = adaptive_max_pool2d_with_indices(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of as many windows as make a result of `output_size` (D, H, W), and where they were."""
    return core.adaptive_max_pool3d(input, _sizes_or_given(output_size, input.size()))


def adaptive_max_pool3d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> _MaybeIndices:
    """Maxima of as many windows as make a result of `output_size` (D, H, W)."""
    result = adaptive_max_pool3d_with_indices(input, output_size)
    return result if return_indices else result[0]


# ------------------------------------------------------------------------------------ fractional


def _fractional(
    dims: int,
    input: Tensor,
    kernel_size: _sizes_t,
    output_size: _sizes_t | None,
    output_ratio: Sequence[float] | None,
    random_samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{dims}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        if len(output_ratio) > dims:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        output_size = [int(size * output_ratio[d]) for d, size in enumerate(input.shape[-dims:])]
    if random_samples is None:
        batch = 1 if input.dim() == dims + 1 else input.size(0)
        channels = input.size(-dims - 1)
        random_samples = fb.rand(batch, channels, dims, dtype=input.dtype, device=input.device)
    return getattr(core, name)(input, kernel_size, output_size, random_samples)


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: _sizes_t, output_size: _sizes_t | None = None,
    output_ratio: Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Like :func:`fractional_max_pool2d`, with the places of the maxima."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input: Tensor, kernel_size: _sizes_t, output_size: _sizes_t | None = None,
    output_ratio: Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> _MaybeIndices:  # fmt: skip
    """Maxima of windows at random steps that give `output_size`, or `output_ratio` of the input (Graham
    2014).
    """
    result = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: _sizes_t, output_size: _sizes_t | None = None,
    output_ratio: Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Like :func:`fractional_max_pool3d`, with the places of the maxima."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d(
    input: Tensor, kernel_size: _sizes_t, output_size: _sizes_t | None = None,
    output_ratio: Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> _MaybeIndices:  # fmt: skip
    """Maxima of windows at random steps that give `output_size`, or `output_ratio` of the input (Graham
    2014).
    """
    result = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


# ---------------------------------------------------------------------------------------- unpool


def _tuple(value: _sizes_t, dims: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Iterable) else (value,) * dims


def _unpooled_size(
    input: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output_size: Sequence[int] | None,
) -> list[int]:
    dims = len(kernel_size)
    natural = [
        (size - 1) * stride[d] + kernel_size[d] - 2 * padding[d] for d, size in enumerate(input.shape[-dims:])
    ]
    if output_size is None:
        return natural
    if len(output_size) == dims + 2:
        output_size = output_size[2:]
    if len(output_size) != dims:
        raise ValueError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a length "
            f"of '{len(output_size)}'"
        )
    for d in range(dims):
        low, high = natural[d] - stride[d], natural[d] + stride[d]
        if not low < output_size[d] < high:
            raise ValueError(
                f'invalid output_size "{output_size}" (dim {d} must be between {low} and {high})'
            )
    return list(output_size)


def _unpool_arguments(
    dims: int,
    input: Tensor,
    kernel_size: _sizes_t,
    stride: _sizes_t | None,
    padding: _sizes_t,
    output_size: Sequence[int] | None,
) -> tuple:
    kernel_size = _tuple(kernel_size, dims)
    stride = kernel_size if stride is None else _tuple(stride, dims)
    padding = _tuple(padding, dims)
    return stride, padding, _unpooled_size(input, kernel_size, stride, padding, output_size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: _sizes_t,
    stride: _sizes_t | None = None,
    padding: _sizes_t = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back to where :func:`max_pool1d` found them; zeros elsewhere."""
    _, _, size = _unpool_arguments(1, input, kernel_size, stride, padding, output_size)
    return core.max_unpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), [*size, 1]).squeeze(-1)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: _sizes_t,
    stride: _sizes_t | None = None,
    padding: _sizes_t = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back to where :func:`max_pool2d` found them; zeros elsewhere."""
    _, _, size = _unpool_arguments(2, input, kernel_size, stride, padding, output_size)
    return core.max_unpool2d(input, indices, size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: _sizes_t,
    stride: _sizes_t | None = None,
    padding: _sizes_t = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back to where :func:`max_pool3d` found them; zeros elsewhere."""
    stride, padding, size = _unpool_arguments(3, input, kernel_size, stride, padding, output_size)
    return core.max_unpool3d(input, indices, size, stride, padding)


# ------------------------------------------------------------------------------------- p-norms


def _lp_pool(
    avg_pool: Callable[..., Tensor],
    max_pool: Callable[..., Tensor],
    count: int,
    input: Tensor,
    norm_type: float,
    kernel_size: _sizes_t,
    stride: _sizes_t | None,
    ceil_mode: bool,
) -> Tensor:
    """Norms of windows of `count` elements, from the means of their p-th powers."""
    if norm_type == math.inf:
        return max_pool(input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    if norm_type == -math.inf:
        return -max_pool(-input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    mean = avg_pool(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    # a negative mean of an odd power keeps its sign, and has no root
    return (mean.sign() * mean.abs().relu()).mul(count).pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: int | float,
    kernel_size: int,
    stride: _sizes_t | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`norm_type`-norms of windows of an input of shape (N, C, L)."""
    return _lp_pool(avg_pool1d, max_pool1d, kernel_size, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: int | float,
    kernel_size: _sizes_t,
    stride: _sizes_t | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`norm_type`-norms of windows of an input of shape (N, C, H, W)."""
    high, wide = _tuple(kernel_size, 2)
    count = high * wide
    return _lp_pool(avg_pool2d, max_pool2d, count, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: int | float,
    kernel_size: _sizes_t,
    stride: _sizes_t | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`norm_type`-norms of windows of an input of shape (N, C, D, H, W)."""
    deep, high, wide = _tuple(kernel_size, 3)
    count = deep * high * wide
    return _lp_pool(avg_pool3d, max_pool3d, count, input, norm_type, kernel_size, stride, ceil_mode)


publish(globals())
