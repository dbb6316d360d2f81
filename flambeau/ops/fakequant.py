"""Operators that play quantization through in training; those with a given scale are in the core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import Tensor

from .registry import composite

_LEAST_SCALE = np.float32(6.1e-5)


def choose_qparams(
    low: Any, high: Any, least: int, most: int, symmetric: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Scales (double) and zero points of ranges of numbers.

    Parameters
    ----------
    low, high : array of float32
        Least and greatest number of each range.
    least, most : int
        Least and greatest integer.
    symmetric : bool
        Whether zero is to lie in the middle where a range has numbers of both signs.
    """
    low, high = np.array(low, np.float32), np.array(high, np.float32)
    if np.any(low > high):
        raise RuntimeError("In ChooseQuantizationParams, min should be less than or equal to max")
    both = (low < 0) & (high > 0) if symmetric else np.zeros(low.shape, bool)
    half = (most - least) // 2
    widest = np.maximum(np.abs(low / np.float32(-half - 1)), np.abs(high / np.float32(half))).astype(
        np.float64
    )
    low = np.where(both, (widest * (-half - 1)).astype(np.float32), low)
    high = np.where(both, (widest * half).astype(np.float32), high)
    low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
    scale = (high.astype(np.float64) - low) / (most - least)
    with np.errstate(divide="ignore", over="ignore"):
        none = (scale.astype(np.float32) == 0) | np.isinf(np.float32(1) / scale.astype(np.float32))
    scale = np.where(none, 0.1, scale)
    small = scale < _LEAST_SCALE
    if small.any():
        wider = np.where(small, _LEAST_SCALE / scale, 1.0)
        reach = np.float32(_LEAST_SCALE * np.float32(most - least))
        new_low = np.where(low == 0, low, np.where(high == 0, -reach, low * wider)).astype(np.float32)
        new_high = np.where(low == 0, reach, np.where(high == 0, high, high * wider)).astype(np.float32)
        low, high = np.where(small, new_low, low), np.where(small, new_high, high)
        scale = np.where(small, np.float64(_LEAST_SCALE), scale)
    # of the two ends, the one that rounding moves less
    from_low, from_high = least - low / scale, most - high / scale
    by_low = abs(least) - np.abs(low / scale) < abs(most) - np.abs(high / scale)
    zero = np.where(by_low, from_low, from_high)
    zero = np.where((low < 0) & (high > 0) & symmetric, (least + most) / 2, zero)
    return scale, np.rint(np.clip(zero, least, most)).astype(np.int64)


def _observe(
    x: Tensor, running_min: Tensor, running_max: Tensor, scale: Tensor, zero_point: Tensor, share: float,
    span: tuple[int, int], axis: int, per_channel: bool, symmetric: bool,
) -> None:  # fmt: skip
    if per_channel:
        if axis != 0:
            raise RuntimeError(
                "Per-channel FakeQuant in fused_moving_avg_obs_fake_quant is only supported on axis == 0"
            )
        x = x.flatten(1) if x.dim() != 2 else x
        channels = x.size(0)
        if running_min.numel() == 0:
            running_min.resize_(channels).fill_(math.inf)
            running_max.resize_(channels).fill_(-math.inf)
            scale.resize_(channels)
            zero_point.resize_(channels)
        low, high = fb.aminmax(x, dim=1)
    else:
        low, high = fb.aminmax(x)
    share = float(np.float32(share))
    for own, seen in ((running_min, low), (running_max, high)):
        seen = seen.to(own.dtype).reshape(own.shape)
        own.copy_(fb.where(own.isinf(), seen, own + share * (seen - own)))
    scales, zeros = choose_qparams(
        running_min.reshape(-1).numpy(), running_max.reshape(-1).numpy(), *span, symmetric
    )
    scale.copy_(fb.from_numpy(scales).reshape(scale.shape))
    zero_point.copy_(fb.from_numpy(zeros).reshape(zero_point.shape))


@composite(
    "fused_moving_avg_obs_fake_quant(Tensor self, Tensor observer_on, Tensor fake_quant_on, "
    "Tensor(a!) running_min, Tensor(b!) running_max, Tensor(c!) scale, Tensor(d!) zero_point, "
    "float averaging_const, int quant_min, "
    "int quant_max, int ch_axis, bool per_row_fake_quant=False, bool symmetric_quant=False) -> Tensor"
)
def fused_moving_avg_obs_fake_quant(
    input: Tensor, observer_on: Tensor, fake_quant_on: Tensor, running_min: Tensor, running_max: Tensor,
    scale: Tensor, zero_point: Tensor, averaging_const: float, quant_min: int, quant_max: int, ch_axis: int,
    per_row_fake_quant: bool = False, symmetric_quant: bool = False,
) -> Tensor:  # fmt: skip
    """Moving averages of minimum and maximum, scale and zero point, and the errors of quantization."""
    if input.numel() == 0:
        return input.clone()
    if per_row_fake_quant and not 0 <= ch_axis < input.dim():
        raise RuntimeError("Error in fused_moving_avg_obs_fake_quant_cpu: ch_axis must be < self.dim()")
    if observer_on.item():
        with fb.no_grad():
            _observe(
                input.detach(), running_min, running_max, scale, zero_point, averaging_const,
                (quant_min, quant_max), ch_axis, per_row_fake_quant, symmetric_quant,
            )  # fmt: skip
    if not fake_quant_on.item():
        return input.clone()
    # the backward keeps them, and the next call writes into the given ones
    scale, zero_point = scale.detach().clone(), zero_point.detach().clone()
    if per_row_fake_quant:
        return fb.fake_quantize_per_channel_affine(input, scale, zero_point, ch_axis, quant_min, quant_max)
    return fb.fake_quantize_per_tensor_affine(input, scale, zero_point, quant_min, quant_max)


class _Learnable(fb.autograd.Function):
    """Errors of quantization whose scale and zero point get gradients: those of learned step sizes."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor,
        axis: int | None,
        least: int,
        most: int,
        share: float,
    ) -> Tensor:
        if axis is None:
            zero = int(min(max(float(zero_point.reshape(-1)[0]) + 0.5, least), most))
            s, z = scale.reshape(-1)[0], fb.tensor(float(zero))
        else:
            shape = [-1 if k == axis % x.dim() else 1 for k in range(x.dim())]
            s, z = scale.reshape(shape), zero_point.round().clamp(least, most).reshape(shape)
        ctx.save_for_backward(x, s, z)
        ctx.settings = axis, least, most, share, scale.shape, zero_point.shape
        steps = fb.round(x * s.reciprocal() + z)
        return (steps.clamp(least, most) - z) * s

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        x, s, z = ctx.saved_tensors
        axis, least, most, share, scale_shape, zero_shape = ctx.settings
        inverse = s.reciprocal()
        steps = fb.round(x * inverse + z)
        below, above = steps < least, steps > most
        outside = below | above
        for_x = fb.where(outside, 0, grad)
        step = fb.where(below, least - z, fb.where(above, most - z, ((steps - z) * s - x) * inverse))
        for_scale = step * grad * share
        for_zero = fb.where(outside, grad * -1 * s * share, 0)
        if axis is None:
            return (
                for_x,
                for_scale.sum().reshape(scale_shape),
                for_zero.sum().reshape(zero_shape),
                *[None] * 4,
            )
        others = [k for k in range(x.dim()) if k != axis % x.dim()]
        if others:
            for_scale, for_zero = for_scale.sum(others), for_zero.sum(others)
        return for_x, for_scale.reshape(scale_shape), for_zero.reshape(zero_shape), *[None] * 4


@composite(
    "_fake_quantize_learnable_per_tensor_affine(Tensor self, Tensor scale, Tensor zero_point, int quant_min, "
    "int quant_max, float grad_factor=1.0) -> Tensor"
)
def _fake_quantize_learnable_per_tensor_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int, grad_factor: float = 1.0
) -> Tensor:
    """Errors of quantization; scale and zero point get gradients."""
    return _Learnable.apply(input, scale, zero_point, None, quant_min, quant_max, grad_factor)


@composite(
    "_fake_quantize_learnable_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, "
    "int quant_min, int quant_max, float grad_factor=1.0) -> Tensor"
)
def _fake_quantize_learnable_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int,
    grad_factor: float = 1.0,
) -> Tensor:  # fmt: skip
    """Errors of quantization, each channel with a scale; scales and zero points get gradients."""
    return _Learnable.apply(input, scale, zero_point, axis, quant_min, quant_max, grad_factor)
