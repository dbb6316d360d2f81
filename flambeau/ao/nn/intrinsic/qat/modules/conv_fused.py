"""Convolutions with batch normalisation or ReLU and fake quantization of weights."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn import qat
from flambeau.ao.nn.intrinsic.qat.modules._norm import WithNorm
from flambeau.ao.nn.qat.modules.conv import plain_conv
from flambeau.nn import functional as F
from flambeau.nn import init
from flambeau.nn.utils.fusion import fuse_conv_bn_weights

__all__ = [
    "ConvBn1d", "ConvBnReLU1d", "ConvReLU1d", "ConvBn2d", "ConvBnReLU2d", "ConvReLU2d", "ConvBn3d",
    "ConvBnReLU3d", "ConvReLU3d", "update_bn_stats", "freeze_bn_stats",
]  # fmt: skip

# names of version 1 of saved states
_FORMER = {
    "bn.weight": "gamma",
    "bn.bias": "beta",
    "bn.running_mean": "running_mean",
    "bn.running_var": "running_var",
    "bn.num_batches_tracked": "num_batches_tracked",
}


class _ConvBnNd(WithNorm, nn.modules.conv._ConvNd, nni._FusedModule):
    """What convolutions with batch normalisation share."""

    _version = 2
    _FLOAT_MODULE: type[nn.Module]
    _FLOAT_CONV_MODULE: type[nn.Module]
    _FLOAT_BN_MODULE: type[nn.Module]
    _FLOAT_RELU_MODULE: type[nn.Module] | None = None
    _FUSED_FLOAT_MODULE: type[nn.Module] | None = None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool | None = None, padding_mode: str = "zeros",
        eps: float = 1e-05, momentum: float = 0.1, freeze_bn: bool = False, qconfig: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, False, padding_mode
        )
        self._add_norm(self._FLOAT_BN_MODULE, out_channels, bool(bias), eps, momentum, freeze_bn, qconfig)
        self._enable_slow_path_for_better_numerical_stability = False

    def reset_bn_parameters(self) -> None:
        """Forget the statistics; draw weights of the normalisation and the bias of the convolution."""
        super().reset_bn_parameters()
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def _forward(self, input: Tensor) -> Tensor:
        if self._enable_slow_path_for_better_numerical_stability:
            return self._forward_slow(input)
        return self._forward_approximate(input)

    def _zeros(self, input: Tensor) -> Tensor:
        return fb.zeros(self.out_channels, device=self.weight.device, dtype=input.dtype)

    def _forward_approximate(self, input: Tensor) -> Tensor:
        """One convolution, divided by the factor afterwards."""
        _, factor = self._statistics()
        weight = self.weight_fake_quant(self.weight * self._rows(factor))
        result = self._conv_forward(input, weight, self._zeros(input)) / self._columns(factor)
        if self.bias is not None:
            result = result + self._columns(self.bias)
        return self.bn(result)

    def _forward_slow(self, input: Tensor) -> Tensor:
        """Two convolutions: also right where the factor is zero."""
        zeros = self._zeros(input)
        if not self.bn.training:
            deviation, factor = self._statistics()
            mean = self.bn.running_mean - (0 if self.bias is None else self.bias)
            spread = deviation
            result = self._conv_forward(
                input, self.weight_fake_quant(self.weight * self._rows(factor)), zeros
            )
        else:
            plain = self._conv_forward(input, self.weight, zeros)
            with fb.no_grad():  # the running statistics, which the factor is made of
                self.bn(plain if self.bias is None else plain + self._columns(self.bias))
            deviation, factor = self._statistics()
            result = self._conv_forward(
                input, self.weight_fake_quant(self.weight * self._rows(factor)), zeros
            )
            others = [0, *range(2, self.weight.dim())]
            mean = plain.mean(others)
            spread = fb.sqrt(fb.square(plain - self._columns(mean)).mean(others) + self.bn.eps)
            result = result * self._columns(deviation / spread)
        result = result + self._columns(self.bn.bias - self.bn.weight * mean / spread)
        if self.bias is not None:  # takes part without changing anything: workers wait for its gradient
            result = result + self._columns(self.bias - self.bias)
        return result

    def forward(self, input: Tensor) -> Tensor:
        """Apply both with weights as quantization changes them."""
        return self._forward(input)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list[str],
        *rest: Any,
    ) -> None:  # fmt: skip
        if local_metadata.get("version", None) in (None, 1):
            for name, former in _FORMER.items():
                if prefix + former in state_dict:
                    state_dict[prefix + name] = state_dict.pop(prefix + former)
                elif strict and prefix + name not in state_dict:
                    missing_keys.append(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *rest)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer that takes the place of `mod`, which has a ``qconfig``."""
        conv, bn, qconfig = cls._float_parts(mod)
        made = cls(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
            conv.groups, conv.bias is not None, conv.padding_mode, bn.eps, bn.momentum, False, qconfig,
        )  # fmt: skip
        made._take_norm(conv, bn)
        return made

    def to_float(self) -> nn.Module:
        """All as one plain layer, or one with ReLU."""
        made, bn = plain_conv(self), self.bn
        if bn.running_var is None or bn.running_mean is None:
            raise AssertionError("self.bn.running_var and self.bn.running_mean must not be None")
        made.weight, made.bias = fuse_conv_bn_weights(
            made.weight, made.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        if self._FLOAT_RELU_MODULE is not None:
            made = self._FUSED_FLOAT_MODULE(made, self._FLOAT_RELU_MODULE())
        made.train(self.training)
        return made


class _ThenReLU:
    def forward(self, input: Tensor) -> Tensor:
        """Apply all with weights as quantization changes them."""
        return F.relu(self._forward(input))


class _ConvReLUNd(qat.modules.conv._ConvNd):
    """What convolutions with ReLU share."""

    _FLOAT_BN_MODULE = None
    _FLOAT_RELU_MODULE = nn.ReLU

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        qconfig: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            qconfig,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Apply both with weights as quantization changes them."""
        return F.relu(super().forward(input))


class ConvBn1d(_ConvBnNd, nn.Conv1d):
    """`Conv1d` and `BatchNorm1d` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBn1d
    _FLOAT_CONV_MODULE = nn.Conv1d
    _FLOAT_BN_MODULE = nn.BatchNorm1d


class ConvBnReLU1d(_ThenReLU, ConvBn1d):
    """`Conv1d`, `BatchNorm1d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBnReLU1d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = nni.ConvReLU1d


class ConvReLU1d(_ConvReLUNd, qat.Conv1d, nni._FusedModule):
    """`Conv1d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvReLU1d
    _FLOAT_CONV_MODULE = nn.Conv1d


class ConvBn2d(_ConvBnNd, nn.Conv2d):
    """`Conv2d` and `BatchNorm2d` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBn2d
    _FLOAT_CONV_MODULE = nn.Conv2d
    _FLOAT_BN_MODULE = nn.BatchNorm2d


class ConvBnReLU2d(_ThenReLU, ConvBn2d):
    """`Conv2d`, `BatchNorm2d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBnReLU2d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = nni.ConvReLU2d


class ConvReLU2d(_ConvReLUNd, qat.Conv2d, nni._FusedModule):
    """`Conv2d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvReLU2d
    _FLOAT_CONV_MODULE = nn.Conv2d


class ConvBn3d(_ConvBnNd, nn.Conv3d):
    """`Conv3d` and `BatchNorm3d` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBn3d
    _FLOAT_CONV_MODULE = nn.Conv3d
    _FLOAT_BN_MODULE = nn.BatchNorm3d


class ConvBnReLU3d(_ThenReLU, ConvBn3d):
    """`Conv3d`, `BatchNorm3d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvBnReLU3d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = nni.ConvReLU3d


class ConvReLU3d(_ConvReLUNd, qat.Conv3d, nni._FusedModule):
    """`Conv3d` and `ReLU` with fake quantization of weights."""

    _FLOAT_MODULE = nni.ConvReLU3d
    _FLOAT_CONV_MODULE = nn.Conv3d


_WITH_NORM = {ConvBnReLU1d, ConvBnReLU2d, ConvBnReLU3d, ConvBn1d, ConvBn2d, ConvBn3d}


def update_bn_stats(mod: nn.Module) -> None:
    """For ``model.apply``: normalise with the statistics of batches."""
    if type(mod) in _WITH_NORM:
        mod.update_bn_stats()


def freeze_bn_stats(mod: nn.Module) -> None:
    """For ``model.apply``: normalise with the running statistics as they are."""
    if type(mod) in _WITH_NORM:
        mod.freeze_bn_stats()
