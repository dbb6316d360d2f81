"""MobileNetV3. arXiv:1905.02244"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops import Conv2dNormActivation, SqueezeExcitation
from ._api import WeightsEnum, construct, model, published
from ._utils import _make_divisible, initialize_convolutions

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]

MobileNet_V3_Large_Weights = published("MobileNet_V3_Large_Weights", __name__)
MobileNet_V3_Small_Weights = published("MobileNet_V3_Small_Weights", __name__)


class InvertedResidualConfig:
    """The shape of one block; `width_mult` scales its channels."""

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride, self.dilation = stride, dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """Scaled and rounded to a multiple of 8."""
        return _make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, weigh the channels, project back; with a shortcut where it fits."""

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid),
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        inner = cnf.expanded_channels
        layers: list[nn.Module] = []
        if inner != cnf.input_channels:
            layers.append(conv(cnf.input_channels, inner, kernel_size=1, activation_layer=activation))
        layers.append(
            conv(
                inner,
                inner,
                kernel_size=cnf.kernel,
                stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation,
                groups=inner,
                activation_layer=activation,
            )
        )
        if cnf.use_se:
            layers.append(se_layer(inner, _make_divisible(inner // 4, 8)))
        layers.append(conv(inner, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.out_channels = cnf.out_channels
        self._is_cn = cnf.stride > 1

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result = self.block(input)
        return result + input if self.use_res_connect else result


class MobileNetV3(nn.Module):
    """A small network of inverted residuals with squeeze-and-excitation and hard swish.

    Parameters
    ----------
    inverted_residual_setting : the shapes of the blocks
    last_channel : channels of the layer before the last one
    """

    def __init__(
        self,
        inverted_residual_setting: list[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        settings = inverted_residual_setting
        if not settings:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not (
            isinstance(settings, (list, tuple))
            and all(isinstance(s, InvertedResidualConfig) for s in settings)
        ):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        layers: list[nn.Module] = [conv(3, settings[0].input_channels, kernel_size=3, stride=2)]
        layers += [block(setting, norm_layer) for setting in settings]
        wide = 6 * settings[-1].out_channels
        layers.append(conv(settings[-1].out_channels, wide, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(wide, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        initialize_convolutions(self, linear_std=0.01)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))


def _settings(
    arch: str, width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **_: Any
) -> tuple[list[InvertedResidualConfig], int]:
    """The blocks and the last width; `reduced_tail` halves the last stage's, `dilated` keeps its size."""
    less, holes = (2 if reduced_tail else 1), (2 if dilated else 1)
    # inputs, kernel, expanded, outputs, squeeze-and-excitation, activation, stride, dilation
    if arch == "mobilenet_v3_large":
        tail, wide, last = 160 // less, 960 // less, 1280 // less
        rows = [
            (16, 3, 16, 16, False, "RE", 1, 1),
            (16, 3, 64, 24, False, "RE", 2, 1),
            (24, 3, 72, 24, False, "RE", 1, 1),
            (24, 5, 72, 40, True, "RE", 2, 1),
            (40, 5, 120, 40, True, "RE", 1, 1),
            (40, 5, 120, 40, True, "RE", 1, 1),
            (40, 3, 240, 80, False, "HS", 2, 1),
            (80, 3, 200, 80, False, "HS", 1, 1),
            (80, 3, 184, 80, False, "HS", 1, 1),
            (80, 3, 184, 80, False, "HS", 1, 1),
            (80, 3, 480, 112, True, "HS", 1, 1),
            (112, 3, 672, 112, True, "HS", 1, 1),
            (112, 5, 672, tail, True, "HS", 2, holes),
            (tail, 5, wide, tail, True, "HS", 1, holes),
            (tail, 5, wide, tail, True, "HS", 1, holes),
        ]
    else:
        tail, wide, last = 96 // less, 576 // less, 1024 // less
        rows = [
            (16, 3, 16, 16, True, "RE", 2, 1),
            (16, 3, 72, 24, False, "RE", 2, 1),
            (24, 3, 88, 24, False, "RE", 1, 1),
            (24, 5, 96, 40, True, "HS", 2, 1),
            (40, 5, 240, 40, True, "HS", 1, 1),
            (40, 5, 240, 40, True, "HS", 1, 1),
            (40, 5, 120, 48, True, "HS", 1, 1),
            (48, 5, 144, 48, True, "HS", 1, 1),
            (48, 5, 288, tail, True, "HS", 2, holes),
            (tail, 5, wide, tail, True, "HS", 1, holes),
            (tail, 5, wide, tail, True, "HS", 1, holes),
        ]
    settings = [InvertedResidualConfig(*row, width_mult=width_mult) for row in rows]
    return settings, InvertedResidualConfig.adjust_channels(last, width_mult)


def _mobilenet_v3(arch: str, weights: WeightsEnum | None, progress: bool, **kwargs: Any) -> MobileNetV3:
    settings, last_channel = _settings(arch, **kwargs)
    return construct(MobileNetV3, settings, last_channel, weights=weights, progress=progress, **kwargs)


@model(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(
    *, weights: MobileNet_V3_Large_Weights | None = None, progress: bool = True, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3, large."""
    return _mobilenet_v3("mobilenet_v3_large", weights, progress, **kwargs)


@model(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(
    *, weights: MobileNet_V3_Small_Weights | None = None, progress: bool = True, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3, small."""
    return _mobilenet_v3("mobilenet_v3_small", weights, progress, **kwargs)
