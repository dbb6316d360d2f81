"""Inception v3. arXiv:1512.00567"""

from __future__ import annotations

import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from ._api import WeightsEnum, load, model, published, require
from ._utils import imagenet_to_inception, initialize_truncated
from .googlenet import BasicConv2d

__all__ = [
    "Inception3",
    "InceptionOutputs",
    "Inception_V3_Weights",
    "_InceptionOutputs",
    "inception_v3",
]

Inception_V3_Weights = published("Inception_V3_Weights", __name__)

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
InceptionOutputs.__annotations__ = {"logits": fb.Tensor, "aux_logits": fb.Tensor | None}
_InceptionOutputs = InceptionOutputs
Conv = Callable[..., nn.Module]


def _pooled(x: fb.Tensor) -> fb.Tensor:
    return nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


class InceptionA(nn.Module):
    """1 × 1, 5 × 5 and two 3 × 3 convolutions beside pooling; the size stays."""

    def __init__(self, in_channels: int, pool_features: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return fb.cat(
            [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), twice, self.branch_pool(_pooled(x))], 1
        )


class InceptionB(nn.Module):
    """3 × 3 convolutions of stride 2 beside pooling: half the size."""

    def __init__(self, in_channels: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return fb.cat([self.branch3x3(x), twice, nn.functional.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionC(nn.Module):
    """1 × 7 and 7 × 1 convolutions in turn, once and twice; the size stays."""

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv, c7 = conv_block or BasicConv2d, channels_7x7
        across: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
        down: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv(c7, c7, **across)
        self.branch7x7_3 = conv(c7, 192, **down)
        self.branch7x7dbl_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv(c7, c7, **down)
        self.branch7x7dbl_3 = conv(c7, c7, **across)
        self.branch7x7dbl_4 = conv(c7, c7, **down)
        self.branch7x7dbl_5 = conv(c7, 192, **across)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return fb.cat([self.branch1x1(x), once, twice, self.branch_pool(_pooled(x))], 1)


class InceptionD(nn.Module):
    """A 3 × 3 road and a 7 × 7 road of stride 2 beside pooling: half the size."""

    def __init__(self, in_channels: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        small = self.branch3x3_2(self.branch3x3_1(x))
        large = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return fb.cat([small, large, nn.functional.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionE(nn.Module):
    """Wide roads that end in 1 × 3 and 3 × 1 convolutions side by side; the size stays."""

    def __init__(self, in_channels: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        across: dict[str, Any] = {"kernel_size": (1, 3), "padding": (0, 1)}
        down: dict[str, Any] = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, **across)
        self.branch3x3_2b = conv(384, 384, **down)
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, **across)
        self.branch3x3dbl_3b = conv(384, 384, **down)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        roads = [
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(_pooled(x)),
        ]
        return fb.cat(roads, 1)


class InceptionAux(nn.Module):
    """A classifier half way, for training."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Conv | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.conv1(self.conv0(nn.functional.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(fb.flatten(nn.functional.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception3(nn.Module):
    """Inception v3 for pictures from 75 × 75 on, made for 299 × 299.

    In training with `aux_logits` it returns an `InceptionOutputs` of two logits, else one tensor.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: list[Callable[..., nn.Module]] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        blocks = inception_blocks or [
            BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux,
        ]  # fmt: skip
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, kind_a, kind_b, kind_c, kind_d, kind_e, aux = blocks
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of inception_v3 will be changed in future releases of "
                "torchvision. If you wish to keep the old behavior (which leads to long initialization times "
                "due to scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
            init_weights = True
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = kind_a(192, pool_features=32)
        self.Mixed_5c = kind_a(256, pool_features=64)
        self.Mixed_5d = kind_a(288, pool_features=64)
        self.Mixed_6a = kind_b(288)
        self.Mixed_6b = kind_c(768, channels_7x7=128)
        self.Mixed_6c = kind_c(768, channels_7x7=160)
        self.Mixed_6d = kind_c(768, channels_7x7=160)
        self.Mixed_6e = kind_c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = kind_d(768)
        self.Mixed_7b = kind_e(1280)
        self.Mixed_7c = kind_e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights:
            initialize_truncated(self, std=0.1)

    def forward(self, x: fb.Tensor) -> fb.Tensor | InceptionOutputs:
        if self.transform_input:
            x = imagenet_to_inception(x)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(fb.flatten(self.dropout(self.avgpool(x)), 1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


def _with_weights(weights: WeightsEnum, progress: bool, **kwargs: Any) -> Inception3:
    """The file has the auxiliary classifier; ``aux_logits=False`` drops it again."""
    require(kwargs, "num_classes", len(weights.meta["categories"]))
    require(kwargs, "transform_input", True)
    require(kwargs, "aux_logits", True)
    require(kwargs, "init_weights", False)
    return load(Inception3(**kwargs), weights, progress)


@model(Inception_V3_Weights)
def inception_v3(
    *, weights: Inception_V3_Weights | None = None, progress: bool = True, **kwargs: Any
) -> Inception3:
    """Inception v3."""
    return Inception3(**kwargs) if weights is None else _with_weights(weights, progress, **kwargs)
