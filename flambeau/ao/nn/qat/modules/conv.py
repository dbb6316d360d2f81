"""Convolutions with fake quantization of weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn.intrinsic import _FusedModule
from flambeau.ao.nn.qat.modules._from_float import checked_qconfig, needs_qconfig, parameter
from flambeau.types import Device

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


class _ConvNd(nn.modules.conv._ConvNd):
    """What they share. The class of the plain convolution comes next in the order of classes."""

    _FLOAT_MODULE: type[nn.Module]
    _FLOAT_CONV_MODULE: type[nn.Module]

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        qconfig: Any = None, device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
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
            **options,
        )
        needs_qconfig(qconfig)
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(factory_kwargs=options)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve with weights as quantization changes them."""
        return self._conv_forward(input, self.weight_fake_quant(self.weight), self.bias)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer that takes the place of `mod`, which has a ``qconfig``."""
        if type(mod) is not cls._FLOAT_MODULE:
            raise AssertionError(
                f"qat.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__}, "
                f"got {type(mod).__name__}"
            )
        checked_qconfig(mod)
        if isinstance(mod, _FusedModule):
            mod = mod[0]
        made = cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, stride=mod.stride, padding=mod.padding,
            dilation=mod.dilation, groups=mod.groups, bias=mod.bias is not None,
            padding_mode=mod.padding_mode, qconfig=mod.qconfig,
        )  # fmt: skip
        made.weight, made.bias = mod.weight, mod.bias
        return made

    def to_float(self) -> nn.Module:
        """The layer, or the layers computed together, without fake quantization."""
        made = plain_conv(self)
        if not isinstance(self, _FusedModule):
            return made
        fused = self._FLOAT_MODULE(made, self._FLOAT_RELU_MODULE())
        fused.train(self.training)
        return fused


def plain_conv(conv: Any) -> Any:
    """The convolution of a layer that has more than that."""
    made = conv._FLOAT_CONV_MODULE(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
        conv.groups, conv.bias is not None, conv.padding_mode,
    )  # fmt: skip
    made.weight = parameter(conv.weight)
    if conv.bias is not None:
        made.bias = parameter(conv.bias)
    return made


class Conv1d(_ConvNd, nn.Conv1d):
    """`nn.Conv1d` with fake quantization of weights; `qconfig` says how."""

    _FLOAT_MODULE = nn.Conv1d
    _FLOAT_CONV_MODULE = nn.Conv1d


class Conv2d(_ConvNd, nn.Conv2d):
    """`nn.Conv2d` with fake quantization of weights; `qconfig` says how."""

    _FLOAT_MODULE = nn.Conv2d
    _FLOAT_CONV_MODULE = nn.Conv2d


class Conv3d(_ConvNd, nn.Conv3d):
    """`nn.Conv3d` with fake quantization of weights; `qconfig` says how."""

    _FLOAT_MODULE = nn.Conv3d
    _FLOAT_CONV_MODULE = nn.Conv3d
