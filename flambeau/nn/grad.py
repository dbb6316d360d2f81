"""Gradients of convolutions with respect to their input and weight, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.common_types import _sizes_t


def _gradient(
    conv: Callable[..., Tensor],
    fixed: Tensor,
    size: Sequence[int],
    grad_output: Tensor,
    options: tuple,
    wants_input: bool,
) -> Tensor:
    """Vector-Jacobian product of ``conv`` for the argument of `size`; convolution is linear in it."""
    with fb.enable_grad():
        wanted = fb.zeros(size, dtype=fixed.dtype, device=fixed.device, requires_grad=True)
        pair = (wanted, fixed) if wants_input else (fixed, wanted)
        result = conv(*pair, None, *options)
    differentiable = fb.is_grad_enabled() and (fixed.requires_grad or grad_output.requires_grad)
    return fb.autograd.grad(result, wanted, grad_output, create_graph=differentiable)[0]


def conv1d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv1d` for an input of `input_size`."""
    return _gradient(fb.conv1d, weight, input_size, grad_output, (stride, padding, dilation, groups), True)


def conv1d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv1d` for a weight of `weight_size`."""
    return _gradient(fb.conv1d, input, weight_size, grad_output, (stride, padding, dilation, groups), False)


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv2d` for an input of `input_size`."""
    return _gradient(fb.conv2d, weight, input_size, grad_output, (stride, padding, dilation, groups), True)


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv2d` for a weight of `weight_size`."""
    return _gradient(fb.conv2d, input, weight_size, grad_output, (stride, padding, dilation, groups), False)


def conv3d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv3d` for an input of `input_size`."""
    return _gradient(fb.conv3d, weight, input_size, grad_output, (stride, padding, dilation, groups), True)


def conv3d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: _sizes_t = 1,
    padding: str | _sizes_t = 0,
    dilation: _sizes_t = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of :func:`~flambeau.nn.functional.conv3d` for a weight of `weight_size`."""
    return _gradient(fb.conv3d, input, weight_size, grad_output, (stride, padding, dilation, groups), False)
