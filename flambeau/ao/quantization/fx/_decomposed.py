"""``torch.ops.quantized_decomposed``: quantizing with tensors of ordinary dtypes, as exported programs do.

Importing this module registers the operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.library import Library

__all__ = ["quantized_decomposed_lib"]

quantized_decomposed_lib = Library("quantized_decomposed", "DEF")
_BOUNDS = {
    fb.uint8: (0, 255), fb.int8: (-128, 127), fb.uint16: (0, 2**16 - 1), fb.int16: (-(2**15), 2**15 - 1),
    fb.int32: (-(2**31), 2**31 - 1),
    **{t: (int(fb.finfo(t).min), int(fb.finfo(t).max)) for t in (fb.float8_e5m2, fb.float8_e4m3fn)},
}  # fmt: skip
_HALF = (fb.float16, fb.bfloat16)


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise AssertionError(text)


def _operator(schema: str, fake: Callable | None = None) -> Callable[[Callable], Callable]:
    """Register a function under a schema; `fake` gives what it returns where there are no numbers to read."""

    def register(fn: Callable) -> Callable:
        name = schema.partition("(")[0]
        quantized_decomposed_lib.define(schema)
        quantized_decomposed_lib.impl(name, fn, "CompositeExplicitAutograd")
        quantized_decomposed_lib.impl(name, fake or fn, "Meta")
        return fn

    return register


def _checked(quant_min: int, quant_max: int, dtype: fb.dtype) -> None:
    if dtype not in _BOUNDS:
        raise ValueError(f"Unsupported dtype: {dtype}")
    low, high = _BOUNDS[dtype]
    _require(
        quant_min >= low,
        f"quant_min out of bounds for dtype, quant_min_lower_bound: {low} quant_min: {quant_min}",
    )
    _require(
        quant_max <= high,
        f"quant_max out of bounds for dtype, quant_max_upper_bound: {high} quant_max: {quant_max}",
    )


def _wide(input: Tensor) -> Tensor:
    input = input.float() if input.dtype in _HALF else input
    _require(
        input.dtype == fb.float32,
        f"Expecting input to have dtype torch.float32, but got dtype: {input.dtype}",
    )
    return input


def _one(value: Any, what: str) -> Any:
    _require(value.numel() == 1, f"Expecting {what} tensor to be one element, but received : {value.numel()}")
    return value.item()


# ---------------------------------------------------------------------------------- the whole tensor
_RANGE = "int quant_min, int quant_max, ScalarType dtype"
_TENSORS = "Tensor quant_min, Tensor quant_max, ScalarType dtype"
_OUT = "*, ScalarType? out_dtype=None) -> Tensor"


def _quantized_shape(input: Tensor, *rest: Any) -> Tensor:
    return fb.empty_like(input, dtype=rest[-1])


def _number_shape(input: Tensor, *rest: Any, out_dtype: fb.dtype | None = None) -> Tensor:
    return fb.empty_like(input, dtype=out_dtype or fb.float32)


@_operator(f"quantize_per_tensor(Tensor input, float scale, int zero_point, {_RANGE}) -> Tensor")
def quantize_per_tensor(
    input: Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: fb.dtype
) -> Tensor:
    """Numbers as steps of one scale."""
    input = _wide(input)
    _checked(quant_min, quant_max, dtype)
    return fb.clamp(fb.round(input * (1.0 / scale)) + zero_point, quant_min, quant_max).to(dtype)


@_operator(
    f"quantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor zero_point, {_RANGE}) -> Tensor",
    _quantized_shape,
)
def _quantize_by_tensors(input: Tensor, scale: Tensor, zero_point: Tensor, *limits: Any) -> Tensor:
    return quantize_per_tensor(input, _one(scale, "scale"), _one(zero_point, "zero_point"), *limits)


@_operator(
    f"quantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor zero_point, {_TENSORS}) -> Tensor",
    _quantized_shape,
)
def _quantize_by_tensors2(
    input: Tensor, scale: Tensor, zero_point: Tensor, quant_min: Tensor, quant_max: Tensor, dtype: fb.dtype
) -> Tensor:
    return _quantize_by_tensors(input, scale, zero_point, quant_min.item(), quant_max.item(), dtype)


@_operator(f"dequantize_per_tensor(Tensor input, float scale, int zero_point, {_RANGE}, {_OUT}")
def dequantize_per_tensor(
    input: Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: fb.dtype,
    *, out_dtype: fb.dtype | None = None,
) -> Tensor:  # fmt: skip
    """The numbers that steps of one scale stand for."""
    _require(input.dtype == dtype, f"Expecting input to have dtype: {dtype}, but got {input.dtype}")
    if dtype not in _BOUNDS:
        raise ValueError(f"Unsupported dtype in dequantize_per_tensor: {dtype}")
    return (input.to(out_dtype or fb.float32) - zero_point) * scale


@_operator(
    f"dequantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor zero_point, {_RANGE}, {_OUT}",
    _number_shape,
)
def _dequantize_by_tensors(
    input: Tensor, scale: Tensor, zero_point: Tensor, *limits: Any, out_dtype: fb.dtype | None = None
) -> Tensor:
    given = _one(scale, "scale"), _one(zero_point, "zero_point")
    return dequantize_per_tensor(input, *given, *limits, out_dtype=out_dtype)


@_operator(
    f"dequantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor zero_point, {_TENSORS}, {_OUT}",
    _number_shape,
)
def _dequantize_by_tensors2(
    input: Tensor, scale: Tensor, zero_point: Tensor, quant_min: Tensor, quant_max: Tensor, dtype: fb.dtype,
    *, out_dtype: fb.dtype | None = None,
) -> Tensor:  # fmt: skip
    limits = quant_min.item(), quant_max.item(), dtype
    return _dequantize_by_tensors(input, scale, zero_point, *limits, out_dtype=out_dtype)


def _fake_qparams(input: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    device = input.device
    return fb.empty(1, dtype=fb.float64, device=device), fb.empty(1, dtype=fb.int64, device=device)


def _extremes(input: Tensor, quant_min: int, quant_max: int, dtype: fb.dtype) -> tuple[Tensor, Tensor]:
    _require(
        input.dtype in (fb.float32, *_HALF),
        f"Expecting input to have dtype torch.float32/16/b16, but got dtype: {input.dtype}",
    )
    _require(
        dtype in _BOUNDS,
        f"Expecting target dtype to be one of {dict.fromkeys(_BOUNDS).keys()}, but got: {dtype}",
    )
    _require(quant_min <= 0 <= quant_max, "Used-specified quantization range must include 0.")
    low, high = fb.aminmax(input)
    return low.float().clamp(max=0), high.float().clamp(min=0)


_QPARAMS = "(Tensor input, int quant_min, int quant_max, float eps, ScalarType dtype) -> (Tensor, Tensor)"


@_operator("choose_qparams.tensor" + _QPARAMS, _fake_qparams)
def choose_qparams_tensor(
    input: Tensor, qmin: int, qmax: int, eps: float, dtype: fb.dtype
) -> tuple[Tensor, Tensor]:
    """A scale and the step of zero that hold all numbers."""
    low, high = _extremes(input, qmin, qmax, dtype)
    scale = ((high - low) / float(qmax - qmin)).clamp(min=eps)
    zero_point = (qmin - fb.round(low / scale).to(fb.int)).clamp(qmin, qmax)
    return scale.to(fb.float64).reshape(1), zero_point.to(fb.int64).reshape(1)


@_operator("choose_qparams_symmetric.tensor" + _QPARAMS, _fake_qparams)
def choose_qparams_symmetric_tensor(
    input: Tensor, qmin: int, qmax: int, eps: float, dtype: fb.dtype
) -> tuple[Tensor, Tensor]:
    """A scale alike for both signs, and the step in the middle."""
    low, high = _extremes(input, qmin, qmax, dtype)
    scale = (fb.maximum(-low, high) / (float(qmax - qmin) / 2)).clamp(min=eps)
    zero_point = fb.full((1,), 128 if dtype == fb.uint8 else 0, dtype=fb.int64, device=input.device)
    return scale.to(fb.float64).reshape(1), zero_point


# ------------------------------------------------------------------------------- channels and tokens
def _along(values: Tensor, axis: int, ndim: int) -> Tensor:
    return values.reshape([-1 if d == axis else 1 for d in range(ndim)])


@_operator(
    f"quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, {_RANGE}) -> Tensor"
)
def quantize_per_channel(
    input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, quant_min: int, quant_max: int,
    dtype: fb.dtype,
) -> Tensor:  # fmt: skip
    """Numbers as steps of a scale for each channel."""
    input = _wide(input)
    _require(axis < input.dim(), f"Expecting axis to be < {input.dim()}")
    _checked(quant_min, quant_max, dtype)
    scale, zero = (_along(t, axis, input.dim()) for t in (scales, zero_points))
    return fb.clamp(fb.round(input * (1.0 / scale)) + zero, quant_min, quant_max).to(dtype)


@_operator(
    f"dequantize_per_channel(Tensor input, Tensor scales, Tensor? zero_points, int axis, {_RANGE}, {_OUT}"
)
def dequantize_per_channel(
    input: Tensor, scales: Tensor, zero_points: Tensor | None, axis: int, quant_min: int, quant_max: int,
    dtype: fb.dtype, *, out_dtype: fb.dtype | None = None,
) -> Tensor:  # fmt: skip
    """The numbers that steps of a scale for each channel stand for."""
    _require(input.dtype == dtype, f"Expecting input to have dtype: {dtype}, but got dtype: {input.dtype}")
    _require(axis < input.dim(), f"Expecting axis to be < {input.dim()}")
    _checked(quant_min, quant_max, dtype)
    steps = input if zero_points is None else input - _along(zero_points, axis, input.dim())
    return (steps * _along(scales, axis, input.dim())).to(out_dtype or fb.float32)


@_operator("choose_qparams_per_token(Tensor input, ScalarType dtype) -> (Tensor, Tensor)")
def choose_qparams_per_token(input: Tensor, dtype: fb.dtype) -> tuple[Tensor, Tensor]:
    """A scale for each line, alike for both signs."""
    if dtype != fb.int8:
        raise Exception(f"unsupported dtype in choose_qparams_per_token: {dtype}")
    scales = input.abs().amax(dim=-1, keepdim=True)
    scales = scales.float() if scales.dtype == fb.float16 else scales
    scales = scales.clamp(min=1e-5).div(127)
    return scales, fb.zeros_like(scales)


@_operator("_choose_qparams_per_token_asymmetric_impl(Tensor input, ScalarType dtype) -> (Tensor, Tensor)")
@_operator("choose_qparams_per_token_asymmetric(Tensor input, ScalarType dtype) -> (Tensor, Tensor)")
def choose_qparams_per_token_asymmetric(input: Tensor, dtype: fb.dtype) -> tuple[Tensor, Tensor]:
    """A scale and the step of zero for each line."""
    low = input.amin(dim=-1, keepdim=True).clamp(max=0)
    high = input.amax(dim=-1, keepdim=True).clamp(min=0)
    scale = ((high - low) / 255.0).clamp(min=fb.finfo(fb.float32).eps)
    low, high = low / scale, high / scale
    # the end that is met less exactly gives way
    zero = fb.where((-128 + low) + (127 + high) > 0, -128 - low, 127 - high)
    return scale.to(fb.float64), zero.clamp(-128, 127).round().to(fb.int64)


def _check_tokens(input: Tensor, scales: Tensor, zero_points: Tensor) -> None:
    tokens = fb.Size(input.shape[:-1]).numel()
    _require(tokens == scales.numel(), f"num_tokens: {tokens} scales: {scales.size()}")
    _require(tokens == zero_points.numel(), f"num_tokens: {tokens} zero_points: {zero_points.size()}")


@_operator(f"quantize_per_token(Tensor input, Tensor scales, Tensor zero_points, {_RANGE}) -> Tensor")
def quantize_per_token(
    input: Tensor, scales: Tensor, zero_points: Tensor, quant_min: int, quant_max: int, dtype: fb.dtype
) -> Tensor:
    """Numbers as steps of a scale for each line."""
    _checked(quant_min, quant_max, dtype)
    _check_tokens(input, scales, zero_points)
    steps = (input.mul(1.0 / scales).add(zero_points)).round()
    return steps.clamp(quant_min, quant_max).to(dtype)


@_operator(
    f"dequantize_per_token(Tensor input, Tensor scales, Tensor zero_points, {_RANGE}, "
    "ScalarType output_dtype) -> Tensor"
)
def dequantize_per_token(
    input: Tensor, scales: Tensor, zero_points: Tensor, quant_min: int, quant_max: int, dtype: fb.dtype,
    output_dtype: fb.dtype = fb.float32,
) -> Tensor:  # fmt: skip
    """The numbers that steps of a scale for each line stand for."""
    _check_tokens(input, scales, zero_points)
    return ((input - zero_points) * scales).to(output_dtype)


def _grouped(input: Tensor, scales: Tensor, group_size: int) -> Tensor:
    _require(group_size > 1, "group_size must be > 1")
    if group_size > input.shape[-1] and scales.shape[-1] == 1:
        group_size = input.shape[-1]
    _require(input.shape[-1] % group_size == 0, "input.shape[-1] must be divisible by group_size")
    _require(input.dim() == 2, f"input needs to be 2D, but got {input.dim()}D")
    return input.reshape(-1, group_size)


@_operator(
    f"quantize_per_channel_group(Tensor input, Tensor scales, Tensor zero_points, {_RANGE}, "
    "int group_size) -> Tensor"
)
def quantize_per_channel_group(
    input: Tensor, scales: Tensor, zero_points: Tensor, quant_min: int, quant_max: int, dtype: fb.dtype,
    group_size: int = 128,
) -> Tensor:  # fmt: skip
    """Numbers as steps of a scale for each group within a line."""
    parts = _grouped(input, scales, group_size)
    steps = parts.mul(1.0 / scales.reshape(-1, 1)).add(zero_points.reshape(-1, 1)).round()
    return steps.clamp(quant_min, quant_max).to(dtype).reshape_as(input)


@_operator(
    f"dequantize_per_channel_group(Tensor input, Tensor scales, Tensor? zero_points, {_RANGE}, "
    "int group_size, ScalarType output_dtype) -> Tensor"
)
def dequantize_per_channel_group(
    input: Tensor, scales: Tensor, zero_points: Tensor | None, quant_min: int, quant_max: int,
    dtype: fb.dtype, group_size: int = 128, output_dtype: fb.dtype = fb.float32,
) -> Tensor:  # fmt: skip
    """The numbers that steps of a scale for each group stand for."""
    parts = _grouped(input, scales, group_size)
    steps = parts if zero_points is None else parts.sub(zero_points.reshape(-1, 1))
    return steps.mul(scales.reshape(-1, 1)).reshape_as(input).to(output_dtype)


@_operator(
    "fake_quant_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, int quant_min, "
    "int quant_max) -> Tensor"
)
def fake_quant_per_channel(
    input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """Numbers as steps of a scale for each channel, and back; within the range the gradient passes."""
    limits = axis, quant_min, quant_max
    return fb.fake_quantize_per_channel_affine(_wide(input), scales, zero_points.to(fb.int32), *limits)


@_operator("convert_element_type.no_fuse(Tensor input, ScalarType dtype) -> Tensor")
def convert_element_type(input: Tensor, dtype: fb.dtype) -> Tensor:
    """Numbers of another dtype."""
    return input.to(dtype)
