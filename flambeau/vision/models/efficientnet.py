"""EfficientNet (arXiv:1905.11946) and EfficientNetV2 (arXiv:2104.00298)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ._api import WeightsEnum, construct, model, published
from ._utils import _make_divisible

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

EfficientNet_B0_Weights = published("EfficientNet_B0_Weights", __name__)
EfficientNet_B1_Weights = published("EfficientNet_B1_Weights", __name__)
EfficientNet_B2_Weights = published("EfficientNet_B2_Weights", __name__)
EfficientNet_B3_Weights = published("EfficientNet_B3_Weights", __name__)
EfficientNet_B4_Weights = published("EfficientNet_B4_Weights", __name__)
EfficientNet_B5_Weights = published("EfficientNet_B5_Weights", __name__)
EfficientNet_B6_Weights = published("EfficientNet_B6_Weights", __name__)
EfficientNet_B7_Weights = published("EfficientNet_B7_Weights", __name__)
EfficientNet_V2_L_Weights = published("EfficientNet_V2_L_Weights", __name__)
EfficientNet_V2_M_Weights = published("EfficientNet_V2_M_Weights", __name__)
EfficientNet_V2_S_Weights = published("EfficientNet_V2_S_Weights", __name__)
_LARGE_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)


@dataclass
class _MBConvConfig:
    """The shape of one stage."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """Scaled and rounded to a multiple of 8."""
        return _make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of `MBConv` blocks; the multipliers scale its channels and its number of blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(
            expand_ratio,
            kernel,
            stride,
            self.adjust_channels(input_channels, width_mult),
            self.adjust_channels(out_channels, width_mult),
            self.adjust_depth(num_layers, depth_mult),
            block or MBConv,
        )

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """Scaled and rounded up."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of `FusedMBConv` blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv
        )


class _Block(nn.Module):
    """Layers beside a shortcut, where the shape allows it; the layers are dropped at random in training."""

    def __init__(self, cnf: _MBConvConfig, layers: list[nn.Module], stochastic_depth_prob: float) -> None:
        super().__init__()
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


def _check_stride(cnf: _MBConvConfig) -> None:
    if not 1 <= cnf.stride <= 2:
        raise ValueError("illegal stride value")


class MBConv(_Block):
    """Expand, filter each channel, weigh the channels, project back."""

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = SqueezeExcitation,
    ) -> None:
        _check_stride(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inner = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers: list[nn.Module] = []
        if inner != cnf.input_channels:
            layers.append(conv(cnf.input_channels, inner, kernel_size=1))
        layers += [
            conv(inner, inner, kernel_size=cnf.kernel, stride=cnf.stride, groups=inner),
            se_layer(inner, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)),
            conv(inner, cnf.out_channels, kernel_size=1, activation_layer=None),
        ]
        super().__init__(cnf, layers, stochastic_depth_prob)


class FusedMBConv(_Block):
    """Expand by a full convolution, project back; one convolution where nothing is expanded."""

    def __init__(
        self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: Callable[..., nn.Module]
    ) -> None:
        _check_stride(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        full = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        inner = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        if inner == cnf.input_channels:
            layers = [conv(cnf.input_channels, cnf.out_channels, **full)]
        else:
            layers = [
                conv(cnf.input_channels, inner, **full),
                conv(inner, cnf.out_channels, kernel_size=1, activation_layer=None),
            ]
        super().__init__(cnf, layers, stochastic_depth_prob)


class EfficientNet(nn.Module):
    """Stages of inverted residuals, between a convolution and a linear layer.

    Parameters
    ----------
    inverted_residual_setting : the shapes of the stages
    dropout : before the linear layer
    stochastic_depth_prob : how often the last block is dropped; the first never is
    last_channel : channels of the last convolution, by default four times the last stage's
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig | FusedMBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        settings = inverted_residual_setting
        if not settings:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not (isinstance(settings, Sequence) and all(isinstance(s, _MBConvConfig) for s in settings)):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm_layer = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [conv(3, settings[0].input_channels, kernel_size=3, stride=2)]
        total = sum(setting.num_layers for setting in settings)
        done = 0
        for setting in settings:
            stage = []
            for i in range(setting.num_layers):
                shape = _later_block(setting) if i else setting
                stage.append(setting.block(shape, stochastic_depth_prob * float(done) / total, norm_layer))
                done += 1
            layers.append(nn.Sequential(*stage))
        outputs = settings[-1].out_channels
        last = last_channel if last_channel is not None else 4 * outputs
        layers.append(conv(outputs, last, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                limit = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -limit, limit)
                nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))


def _later_block(setting: _MBConvConfig) -> _MBConvConfig:
    """The shape of the blocks after the first of a stage."""
    later = copy.copy(setting)
    later.input_channels, later.stride = setting.out_channels, 1
    return later


def _efficientnet(
    width_mult: float,
    depth_mult: float,
    dropout: float,
    weights: WeightsEnum | None,
    progress: bool,
    **kwargs: Any,
) -> EfficientNet:
    stage = partial(MBConvConfig, width_mult=width_mult, depth_mult=depth_mult)
    stages = [
        stage(1, 3, 1, 32, 16, 1),
        stage(6, 3, 2, 16, 24, 2),
        stage(6, 5, 2, 24, 40, 2),
        stage(6, 3, 2, 40, 80, 3),
        stage(6, 5, 1, 80, 112, 3),
        stage(6, 5, 2, 112, 192, 4),
        stage(6, 3, 1, 192, 320, 1),
    ]
    dropout = kwargs.pop("dropout", dropout)
    return construct(EfficientNet, stages, dropout, weights=weights, progress=progress, **kwargs)


def _efficientnet_v2(
    size: str, dropout: float, weights: WeightsEnum | None, progress: bool, **kwargs: Any
) -> EfficientNet:
    # channels and blocks of the stages: three of FusedMBConv, then MBConv; the large ones have a stage more
    widths, depths = {
        "s": ((24, 24, 48, 64, 128, 160, 256), (2, 4, 4, 6, 9, 15)),
        "m": ((24, 24, 48, 80, 160, 176, 304, 512), (3, 5, 5, 7, 14, 18, 5)),
        "l": ((32, 32, 64, 96, 192, 224, 384, 640), (4, 7, 7, 10, 19, 25, 7)),
    }[size]
    ratios, strides = (1, 4, 4, 4, 6, 6, 6), (1, 2, 2, 2, 1, 2, 1)
    stages = [
        (FusedMBConvConfig if i < 3 else MBConvConfig)(
            ratios[i], 3, strides[i], widths[i], widths[i + 1], depth
        )
        for i, depth in enumerate(depths)
    ]
    kwargs.setdefault("norm_layer", partial(nn.BatchNorm2d, eps=1e-03))
    kwargs.setdefault("last_channel", 1280)
    dropout = kwargs.pop("dropout", dropout)
    return construct(EfficientNet, stages, dropout, weights=weights, progress=progress, **kwargs)


@model(EfficientNet_B0_Weights)
def efficientnet_b0(
    *, weights: EfficientNet_B0_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B0."""
    return _efficientnet(1.0, 1.0, 0.2, weights, progress, **kwargs)


@model(EfficientNet_B1_Weights)
def efficientnet_b1(
    *, weights: EfficientNet_B1_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B1."""
    return _efficientnet(1.0, 1.1, 0.2, weights, progress, **kwargs)


@model(EfficientNet_B2_Weights)
def efficientnet_b2(
    *, weights: EfficientNet_B2_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B2."""
    return _efficientnet(1.1, 1.2, 0.3, weights, progress, **kwargs)


@model(EfficientNet_B3_Weights)
def efficientnet_b3(
    *, weights: EfficientNet_B3_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B3."""
    return _efficientnet(1.2, 1.4, 0.3, weights, progress, **kwargs)


@model(EfficientNet_B4_Weights)
def efficientnet_b4(
    *, weights: EfficientNet_B4_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B4."""
    return _efficientnet(1.4, 1.8, 0.4, weights, progress, **kwargs)


@model(EfficientNet_B5_Weights)
def efficientnet_b5(
    *, weights: EfficientNet_B5_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B5."""
    return _efficientnet(1.6, 2.2, 0.4, weights, progress, **{"norm_layer": _LARGE_NORM, **kwargs})


@model(EfficientNet_B6_Weights)
def efficientnet_b6(
    *, weights: EfficientNet_B6_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B6."""
    return _efficientnet(1.8, 2.6, 0.5, weights, progress, **{"norm_layer": _LARGE_NORM, **kwargs})


@model(EfficientNet_B7_Weights)
def efficientnet_b7(
    *, weights: EfficientNet_B7_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B7."""
    return _efficientnet(2.0, 3.1, 0.5, weights, progress, **{"norm_layer": _LARGE_NORM, **kwargs})


@model(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(
    *, weights: EfficientNet_V2_L_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-L."""
    return _efficientnet_v2("l", 0.4, weights, progress, **kwargs)


@model(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(
    *, weights: EfficientNet_V2_M_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-M."""
    return _efficientnet_v2("m", 0.3, weights, progress, **kwargs)


@model(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(
    *, weights: EfficientNet_V2_S_Weights | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-S."""
    return _efficientnet_v2("s", 0.2, weights, progress, **kwargs)
