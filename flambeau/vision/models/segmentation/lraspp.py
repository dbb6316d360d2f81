"""Lite R-ASPP, from the paper of MobileNetV3. arXiv:1905.02244"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

from .._api import WeightsEnum, model, published
from .._utils import IntermediateLayerGetter, size_changes
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ._utils import make, resize

__all__ = [
    "LRASPP",
    "LRASPP_MobileNet_V3_Large_Weights",
    "lraspp_mobilenet_v3_large",
]

LRASPP_MobileNet_V3_Large_Weights = published("LRASPP_MobileNet_V3_Large_Weights", __name__)


class LRASPPHead(nn.Module):
    """Deep maps, weighed by their means, and maps of a higher resolution are classified and added."""

    def __init__(self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input: dict[str, fb.Tensor]) -> fb.Tensor:
        low, high = input["low"], input["high"]
        deep = resize(self.cbr(high) * self.scale(high), low.shape[-2:])
        return self.low_classifier(low) + self.high_classifier(deep)


class LRASPP(nn.Module):
    """A backbone whose results are named "low" and "high", and the head."""

    def __init__(
        self,
        backbone: nn.Module,
        low_channels: int,
        high_channels: int,
        num_classes: int,
        inter_channels: int = 128,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input: fb.Tensor) -> dict[str, fb.Tensor]:
        return OrderedDict(out=resize(self.classifier(self.backbone(input)), input.shape[-2:]))


def _on_mobilenet(weights_backbone: WeightsEnum | None, num_classes: int, aux: bool | None) -> LRASPP:
    features = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    stages = size_changes(features)
    low, high = stages[-4], stages[-1]
    backbone = IntermediateLayerGetter(features, {str(low): "low", str(high): "high"})
    return LRASPP(backbone, features[low].out_channels, features[high].out_channels, num_classes)


@model(LRASPP_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights)
def lraspp_mobilenet_v3_large(
    *,
    weights: LRASPP_MobileNet_V3_Large_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> LRASPP:
    """LR-ASPP on the large MobileNetV3."""
    return make(_on_mobilenet, weights, progress, num_classes, None, weights_backbone)
