"""MobileNetV2. arXiv:1801.04381"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from ._make import initialize_convolutions, refuse_weights

__all__ = ["MobileNetV2", "mobilenet_v2"]

# expansion, channels, blocks, stride of the first block
_STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def round_channels(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to a number of channels, but not more than a tenth below it."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class _ConvNormActivation(nn.Sequential):
    """A convolution that keeps the size apart from the stride, a normalization and ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: Callable[..., nn.Module],
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        super().__init__(convolution, norm(outputs), nn.ReLU6(inplace=True))
        self.out_channels = outputs


class InvertedResidual(nn.Module):
    """Expand by a 1 × 1 convolution, filter each channel, project back; with a shortcut where the shape
    allows it.
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        hidden = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(_ConvNormActivation(inp, hidden, norm, kernel=1))
        layers += [
            _ConvNormActivation(hidden, hidden, norm, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            norm(oup),
        ]
        self.conv = nn.Sequential(*layers)
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A small network of inverted residuals for 224 × 224 pictures (smaller ones work)."""

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: list[list[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        channels = round_channels(32 * width_mult, round_nearest)
        self.last_channel = round_channels(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [_ConvNormActivation(3, channels, norm, stride=2)]
        for expand, width, count, stride in inverted_residual_setting or _STAGES:
            out = round_channels(width * width_mult, round_nearest)
            for i in range(count):
                features.append(
                    block(channels, out, stride if i == 0 else 1, expand_ratio=expand, norm_layer=norm)
                )
                channels = out
        features.append(_ConvNormActivation(channels, self.last_channel, norm, kernel=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        initialize_convolutions(self, linear_std=0.01)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(fb.flatten(x, 1))


def mobilenet_v2(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> MobileNetV2:
    """MobileNetV2."""
    refuse_weights(weights, kwargs)
    return MobileNetV2(**kwargs)
