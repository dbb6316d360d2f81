"""Numbers to quantized tensors and back."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from .tensor import (
    INTEGERS,
    PerChannel,
    PerTensor,
    QuantizedTensor,
    along,
    bounds,
    cannot_run,
    is_quantized,
    make,
)

__all__ = [
    "_choose_qparams_per_tensor", "_empty_affine_quantized", "_empty_per_channel_affine_quantized",
    "_make_per_channel_quantized_tensor", "_make_per_tensor_quantized_tensor", "choose_qparams_optimized",
    "empty_quantized", "from_numbers", "inverse", "levels", "levels_apart", "numbers", "qparams_of_range",
    "quantize_per_channel",
    "quantize_per_tensor", "quantize_per_tensor_dynamic", "rounded_once", "single",
]  # fmt: skip

_TYPE = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16"}
_BYTES = (fb.quint8, fb.qint8)
_ZERO_POINTS = {t: (0, 255) if t in (fb.quint4x2, fb.quint2x4) else bounds(t) for t in INTEGERS}
_GREATEST = 2147483520.0  # the greatest float32 that is an int32


@functools.lru_cache(4096)
def single(x: float) -> float:
    """A number rounded to float32."""
    return fb.tensor(x, dtype=fb.float32).item()


@functools.lru_cache(4096)
def inverse(scale: float) -> float:
    """``1 / scale`` in float32."""
    return (1.0 / fb.tensor(scale, dtype=fb.float32)).item()


def _in_float64(x: fb.Tensor, factor: Any, shift: Any) -> fb.Tensor:
    """``x * factor + shift``: float64 has the product of two float32 exactly."""
    return (x.to(fb.float64) * factor).add_(shift).to(fb.float32)


@functools.cache
def _adds_once() -> bool:
    """Whether the core's sum with a factor rounds once, as its kernels with fused multiply-add do."""
    x, factor, shift = fb.arange(1, 4003, dtype=fb.float32) * 0.0371, fb.tensor(27.027027), fb.tensor(117.0)
    exact = _in_float64(x, factor, shift)
    return fb.equal(fb.add(shift, x, alpha=factor.item()), exact) and fb.equal(
        fb.addcmul(shift, x, factor), exact
    )


def rounded_once(x: fb.Tensor, factor: Any, shift: Any) -> fb.Tensor:
    """``x * factor + shift`` of float32, rounded once; numbers or tensors that broadcast."""
    with fb.no_grad():
        if not _adds_once():
            return _in_float64(x, factor, shift)
        if not isinstance(shift, fb.Tensor):
            shift = fb.tensor(shift, dtype=fb.float32)
        if isinstance(factor, fb.Tensor):
            return fb.addcmul(shift.to(fb.float32), x, factor)
        return fb.add(shift.to(fb.float32), x, alpha=factor)


def levels(x: fb.Tensor, inverse_scale: Any, zero: Any, dtype: fb.dtype) -> fb.Tensor:
    """The integers nearest to ``x * inverse_scale + zero``, rounded to float32 once and then to even."""
    kind, low, high = INTEGERS[dtype]
    if dtype in _BYTES and isinstance(inverse_scale, float) and isinstance(zero, int):
        return fb._quantized_levels(
            x.detach() if x.requires_grad else x, inverse_scale, zero, low, high, False
        )
    if dtype == fb.qint32:  # there PyTorch has no vector code, and rounds the product as well
        moved = (x * inverse_scale).add_(zero).round_().to(fb.float64)
        return moved.nan_to_num_(-2147483648.0).clamp_(low, high).to(kind)
    if dtype in (fb.quint4x2, fb.quint2x4):  # there the steps are rounded alone, as an int64
        steps = (x * inverse_scale).round_()
        steps = steps.masked_fill_(~(steps.abs() < 2.0**63), low - 256.0)
        return steps.add_(zero).clamp_(low, high).to(kind)
    moved = rounded_once(x, inverse_scale, zero).round_()
    return moved.nan_to_num_(float(high)).clamp_(low, high).to(kind)


def levels_apart(x: fb.Tensor, inverse_scale: Any, zero: Any, dtype: fb.dtype) -> fb.Tensor:
    """The same where ``x * inverse_scale`` is rounded to even, then moved, as PyTorch's vector code does."""
    kind, low, high = INTEGERS[dtype]
    if dtype in _BYTES and isinstance(inverse_scale, float) and isinstance(zero, int):
        return fb._quantized_levels(
            x.detach() if x.requires_grad else x, inverse_scale, zero, low, high, True
        )
    steps = (x * inverse_scale).round_()
    if dtype == fb.qint32:
        steps = steps.to(fb.float64)
    return steps.add_(zero).nan_to_num_(low).clamp_(low, high).to(kind)


def from_numbers(x: fb.Tensor, quantizer: PerTensor | PerChannel) -> fb.Tensor:
    """The integers of numbers."""
    if isinstance(quantizer, PerTensor):
        return levels(x, inverse(quantizer.scale), quantizer.zero_point, quantizer.dtype)
    q = quantizer
    scales = along(q.scales.to(fb.float32), q.axis, x.dim())
    zeros = along(q.zero_points, q.axis, x.dim())
    if q.zero_points.is_floating_point():
        kind, low, high = INTEGERS[q.dtype]
        return (x * (1.0 / scales) + zeros).round_().clamp_(low, high).to(kind)
    return levels(x, 1.0 / scales, zeros, q.dtype)


def numbers(integers: fb.Tensor, quantizer: PerTensor | PerChannel) -> fb.Tensor:
    """What integers stand for, in float32."""
    if isinstance(quantizer, PerTensor):
        if quantizer.dtype == fb.qint32:
            return (integers - quantizer.zero_point).to(fb.float32) * single(quantizer.scale)
        return fb._quantized_numbers(integers, single(quantizer.scale), quantizer.zero_point, False)
    q = quantizer
    scales = along(q.scales.to(fb.float32), q.axis, integers.dim())
    zeros = along(q.zero_points, q.axis, integers.dim())
    if q.zero_points.is_floating_point():
        return (integers.to(fb.float32) - zeros) * scales
    return (integers.to(fb.int64) - zeros).to(fb.float32) * scales


QuantizedTensor._numbers = staticmethod(numbers)


def _given_over(tensors: Any) -> bool:
    """Whether other kinds of tensors take a call over."""
    return fb._C._has_torch_function(tensors if type(tensors) is tuple else tuple(tensors))


def _check(x: fb.Tensor, dtype: fb.dtype) -> None:
    if x.dtype != fb.float32:
        raise RuntimeError(
            f"Quantize only works on Float Tensor, got {_TYPE.get(str(x.dtype)[6:]) or _word(x)}"
        )
    if dtype not in INTEGERS:
        raise RuntimeError(f"ScalarType {_word(dtype)} is not supported in new_qtensor.")


def _word(x: Any) -> str:
    from flambeau._type_names import type_word

    return type_word(x.dtype if isinstance(x, fb.Tensor) else x)


def _check_zero(zero: int, dtype: fb.dtype, name: str) -> None:
    low, high = _ZERO_POINTS[dtype]
    if zero > high:
        raise RuntimeError(f"{name} zero_point {zero} is above upper bound.")
    if zero < low:
        raise RuntimeError(f"{name} zero_point {zero} is below lower bound.")


def quantize_per_tensor(input: Any, scale: Any, zero_point: Any, dtype: fb.dtype) -> Any:
    """Integers that stand for numbers, ``round(x / scale) + zero_point``.

    Parameters
    ----------
    input : float32 numbers; also a list of tensors, of which each has its element of `scale` and
    `zero_point`.
    scale, zero_point : numbers, or tensors of one element.
    dtype : ``quint8``, ``qint8`` or ``qint32``.
    """
    if isinstance(input, (list, tuple)):
        parts = zip(input, scale, zero_point, strict=True)
        return tuple(quantize_per_tensor(x, s.item(), int(z), dtype) for x, s, z in parts)
    if _given_over((input, scale, zero_point)):
        tensors = [t for t in (input, scale, zero_point) if isinstance(t, fb.Tensor)]
        return fb.overrides.handle_torch_function(
            quantize_per_tensor, tensors, input, scale, zero_point, dtype
        )
    _check(input, dtype)
    quantizer = PerTensor(dtype, float(scale), int(zero_point))
    _check_zero(quantizer.zero_point, dtype, "quantize_tensor_per_tensor_affine")
    return make(from_numbers(input.detach() if input.requires_grad else input, quantizer), quantizer)


def quantize_per_channel(
    input: fb.Tensor, scales: fb.Tensor, zero_points: fb.Tensor, axis: int, dtype: fb.dtype
) -> QuantizedTensor:
    """The same with a scale and a zero point for each index of the dimension `axis`."""
    if _given_over((input, scales, zero_points)):
        return fb.overrides.handle_torch_function(
            quantize_per_channel, (input, scales, zero_points), input, scales, zero_points, axis, dtype
        )
    _check(input, dtype)
    quantizer = _per_channel(scales, zero_points, axis, dtype)
    if scales.numel() != input.shape[axis]:
        raise RuntimeError(
            f"length of scales must equal to channel, expected {input.shape[axis]} got, {scales.numel()}"
        )
    if not quantizer.zero_points.is_floating_point() and quantizer.zero_points.numel():
        for zero in quantizer.zero_points.aminmax():
            _check_zero(int(zero), dtype, "quantize_tensor_per_channel_affine")
    with fb.no_grad():
        return make(from_numbers(input.detach(), quantizer), quantizer)


def _per_channel(scales: fb.Tensor, zeros: fb.Tensor, axis: int, dtype: fb.dtype) -> PerChannel:
    if scales.dim() != 1:
        raise RuntimeError("scale tensor must have dimension 1")
    if zeros.dim() != 1:
        raise RuntimeError("zero_points tensor must have dimension 1")
    if scales.numel() != zeros.numel():
        raise RuntimeError("number of elements in scales and zero_points must match")
    real = zeros.is_floating_point()
    with fb.no_grad():
        scales = scales.detach().to(fb.float32 if real else fb.float64)
        zeros = zeros.detach().to(fb.float32 if real else fb.int64)
    return PerChannel(dtype, scales, zeros, axis)


def qparams_of_range(
    low: float, high: float, qmin: int, qmax: int, reduce_range: bool = False
) -> tuple[float, int]:
    """The scale and zero point with which integers from `qmin` to `qmax` cover numbers from `low` to `high`.

    Zero is always one of the numbers. The zero point is taken from the end at which it is hit more closely.
    """
    if reduce_range:
        qmin, qmax = int(qmin / 2), qmax // 2
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (qmax - qmin)
    if single(scale) == 0.0 or math.isinf(1.0 / single(scale)):
        scale = 0.1
    smallest = single(6.1e-5)
    if scale < smallest:
        scale, before = smallest, scale
        if low == 0.0:
            high = single(smallest * (qmax - qmin))
        elif high == 0.0:
            low = single(-smallest * (qmax - qmin))
        else:
            low, high = (single(v * single(smallest / before)) for v in (low, high))
    from_low, from_high = qmin - low / scale, qmax - high / scale
    error_low = abs(qmin) - abs(low / scale)
    error_high = abs(qmax) - abs(high / scale)
    first = from_low if error_low < error_high else from_high
    if first < qmin:
        return scale, qmin
    return scale, qmax if first > qmax else round(first)


def _range(x: fb.Tensor) -> tuple[float, float]:
    if x.numel() == 0:
        return 0.0, 0.0
    low, high = x.aminmax()
    return low.item(), high.item()


def _choose_qparams_per_tensor(input: fb.Tensor, reduce_range: bool = False) -> tuple[float, int]:
    """The scale and zero point of ``quint8`` that cover the numbers of a tensor."""
    return qparams_of_range(*_range(input), 0, 255, reduce_range)


def quantize_per_tensor_dynamic(input: fb.Tensor, dtype: fb.dtype, reduce_range: bool) -> QuantizedTensor:
    """A tensor with the scale and zero point that cover its numbers."""
    if _given_over((input,)):
        return fb.overrides.handle_torch_function(
            quantize_per_tensor_dynamic, (input,), input, dtype, reduce_range
        )
    if dtype not in (fb.qint8, fb.quint8, fb.float16):
        raise RuntimeError("dtype " + str(dtype)[6:] + " not supported")
    if dtype == fb.float16:
        return input.to(fb.float16)
    _check(input, dtype)
    return quantize_per_tensor(input, *qparams_of_range(*_range(input), *bounds(dtype), reduce_range), dtype)


def choose_qparams_optimized(
    input: fb.Tensor, numel: int, n_bins: int, ratio: float, bit_width: int
) -> tuple[fb.Tensor, fb.Tensor]:
    """The ends of a range narrower than that of the numbers, with which `bit_width` bits lose the least.

    The ends come nearer by a bin at a time, whichever loses less, until `ratio` of all bins is gone.
    """
    if numel < 0 or numel > input.numel():
        raise RuntimeError("numel is out of the bound of input tensor")
    if not (math.isfinite(n_bins) and n_bins > 0):
        raise RuntimeError("n_bins must be positive")
    row = input.detach().reshape(-1)[:numel]
    low, high = _range(row)

    def loss(a: float, b: float) -> float:
        a, b = fb.tensor(a), fb.tensor(b)
        scale = (b - a) / single(2.0**bit_width - 1)
        inverse_scale = fb.tensor(1.0) if scale == 0 else 1.0 / scale
        codes = ((row - a) * inverse_scale).round_().clamp_(0, 2**bit_width - 1)
        return (row - (codes * scale + a)).double().square().sum().sqrt().item()

    step = single(single(high - low) / n_bins)
    narrowest = single(int(n_bins * (1.0 - single(ratio))) * step)
    a, b, now = low, high, loss(low, high)
    best = (low, high, now)
    while single(a + narrowest) < b:
        left, right = loss(single(a + step), b), loss(a, single(b - step))
        if now < min(left, right, best[2]):  # a local optimum
            best = (a, b, now)
        if left < right:
            a, now = single(a + step), left
        else:
            b, now = single(b - step), right
    return fb.tensor([best[1]]), fb.tensor([best[0]])


def _needs(x: Any, name: str) -> None:
    if not is_quantized(x):
        cannot_run(name, "CPU")


def empty_quantized(size: Sequence[int], qtensor: Any, **options: Any) -> QuantizedTensor:
    """A tensor of that size, quantized as `qtensor` is."""
    _needs(qtensor, "empty_quantized")
    quantizer = qtensor.quantizer
    memory_format = options.get("memory_format") or fb.contiguous_format
    return make(fb.empty(size, dtype=INTEGERS[quantizer.dtype][0], memory_format=memory_format), quantizer)


def _empty(size: tuple, dtype: Any, options: dict, quantizer: Callable) -> QuantizedTensor:
    if len(size) == 1 and isinstance(size[0], (list, tuple)):
        size = tuple(size[0])
    if dtype not in INTEGERS:
        raise RuntimeError("Creation of quantized tensor requires quantized dtype like torch.quint8")
    form = options.get("memory_format") or fb.contiguous_format
    if form == fb.preserve_format:
        form = fb.contiguous_format
    return make(fb.empty(size, dtype=INTEGERS[dtype][0], memory_format=form), quantizer())


def _empty_affine_quantized(
    *size: Any, scale: float = 1.0, zero_point: int = 0, dtype: Any = None, **options: Any
) -> QuantizedTensor:
    """A quantized tensor of any integers."""
    return _empty(
        size or (options.pop("size"),),
        dtype,
        options,
        lambda: PerTensor(dtype, float(scale), int(zero_point)),
    )


def _empty_per_channel_affine_quantized(
    *size: Any, scales: fb.Tensor, zero_points: fb.Tensor, axis: int, dtype: Any = None, **options: Any
) -> QuantizedTensor:
    """The same with a scale for each channel."""
    return _empty(
        size or (options.pop("size"),), dtype, options, lambda: _per_channel(scales, zero_points, axis, dtype)
    )


_QUANTIZED = {fb.int8: fb.qint8, fb.uint8: fb.quint8, fb.int32: fb.qint32}


def _quantized_dtype(x: fb.Tensor) -> fb.dtype:
    if x.dtype not in _QUANTIZED:
        raise RuntimeError(f"ScalarType {_word(x)} is not an underlying type of quantized tensors")
    return _QUANTIZED[x.dtype]


def _make_per_tensor_quantized_tensor(self: fb.Tensor, scale: float, zero_point: int) -> QuantizedTensor:
    """A quantized tensor of integers."""
    return make(
        self.clone(memory_format=fb.contiguous_format), PerTensor(_quantized_dtype(self), scale, zero_point)
    )


def _make_per_channel_quantized_tensor(
    self: fb.Tensor, scale: fb.Tensor, zero_point: fb.Tensor, axis: int
) -> QuantizedTensor:
    """The same with a scale for each channel."""
    quantizer = _per_channel(scale, zero_point, axis, _quantized_dtype(self))
    return make(self.clone(memory_format=fb.contiguous_format), quantizer)
