"""Batch normalisation folded into the layer before it, for evaluation."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.parameter import Parameter

if TYPE_CHECKING:
    from flambeau.nn.modules.batchnorm import _BatchNorm
    from flambeau.nn.modules.conv import _ConvNd
    from flambeau.nn.modules.linear import Linear

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

_Conv = TypeVar("_Conv", bound="_ConvNd")
_Linear = TypeVar("_Linear", bound="Linear")


def fuse_conv_bn_eval(conv: _Conv, bn: _BatchNorm, transpose: bool = False) -> _Conv:
    """A convolution that computes what `conv` and `bn`, both in evaluation mode, compute together.

    Parameters
    ----------
    conv : convolution layer
    bn : batch normalisation layer with running statistics
    transpose : bool
        Whether the convolution is a transposed one.
    """
    if conv.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused = copy.deepcopy(conv)
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a convolution followed by batch normalisation."""
    weight_dtype = conv_w.dtype
    bias_dtype = weight_dtype if conv_b is None else conv_b.dtype
    bias = fb.zeros_like(bn_rm) if conv_b is None else conv_b
    scale = (fb.ones_like(bn_rm) if bn_w is None else bn_w) * fb.rsqrt(bn_rv + bn_eps)
    shift = fb.zeros_like(bn_rm) if bn_b is None else bn_b
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    fused_w = (conv_w * scale.reshape(shape)).to(dtype=weight_dtype)
    fused_b = ((bias - bn_rm) * scale + shift).to(dtype=bias_dtype)
    return (
        Parameter(fused_w, conv_w.requires_grad),
        Parameter(fused_b, bias.requires_grad if conv_b is not None else False),
    )


def fuse_linear_bn_eval(linear: _Linear, bn: _BatchNorm) -> _Linear:
    """A linear layer that computes what `linear` and `bn`, both in evaluation mode, compute together."""
    if linear.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a linear layer followed by batch normalisation."""
    weight_dtype = linear_w.dtype
    bias_dtype = weight_dtype if linear_b is None else linear_b.dtype
    bias = fb.zeros_like(bn_rm) if linear_b is None else linear_b
    scale = bn_w * fb.rsqrt(bn_rv + bn_eps)
    fused_w = linear_w * scale.unsqueeze(-1).to(dtype=weight_dtype)
    fused_b = ((bias - bn_rm) * scale + bn_b).to(dtype=bias_dtype)
    return Parameter(fused_w, linear_w.requires_grad), Parameter(fused_b, bias.requires_grad)
