"""Fully convolutional networks. arXiv:1411.4038"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import nn

from .._api import WeightsEnum, model, published
from ..resnet import ResNet, ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import _SimpleSegmentationModel, make, resnet_layers, with_auxiliary

__all__ = [
    "FCN",
    "FCN_ResNet101_Weights",
    "FCN_ResNet50_Weights",
    "fcn_resnet101",
    "fcn_resnet50",
]

FCN_ResNet50_Weights = published("FCN_ResNet50_Weights", __name__)
FCN_ResNet101_Weights = published("FCN_ResNet101_Weights", __name__)


class FCN(_SimpleSegmentationModel):
    """A backbone, a classifier of its last maps and, for training, one of the maps before."""


class FCNHead(nn.Sequential):
    """Two convolutions."""

    def __init__(self, in_channels: int, channels: int) -> None:
        inner = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(inner, channels, 1),
        )


def _on(resnet: Callable[..., ResNet]) -> Callable[..., FCN]:
    def build(weights_backbone: WeightsEnum | None, num_classes: int, aux: bool | None) -> FCN:
        backbone = resnet(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
        aux_classifier = FCNHead(1024, num_classes) if aux else None
        return FCN(resnet_layers(backbone, aux), FCNHead(2048, num_classes), aux_classifier)

    return build


@model(FCN_ResNet50_Weights, ResNet50_Weights)
def fcn_resnet50(
    *,
    weights: FCN_ResNet50_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> FCN:
    """FCN on ResNet-50."""
    return make(
        _on(resnet50), weights, progress, num_classes, with_auxiliary(weights, aux_loss), weights_backbone
    )


@model(FCN_ResNet101_Weights, ResNet101_Weights)
def fcn_resnet101(
    *,
    weights: FCN_ResNet101_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: ResNet101_Weights | None = ResNet101_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> FCN:
    """FCN on ResNet-101."""
    return make(
        _on(resnet101), weights, progress, num_classes, with_auxiliary(weights, aux_loss), weights_backbone
    )
