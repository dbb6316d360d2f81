"""DeepLabV3. arXiv:1706.05587"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .._api import WeightsEnum, model, published
from .._utils import IntermediateLayerGetter, size_changes
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ..resnet import ResNet, ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import _SimpleSegmentationModel, make, resize, resnet_layers, with_auxiliary
from .fcn import FCNHead

__all__ = [
    "DeepLabV3",
    "DeepLabV3_MobileNet_V3_Large_Weights",
    "DeepLabV3_ResNet101_Weights",
    "DeepLabV3_ResNet50_Weights",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
]

DeepLabV3_ResNet50_Weights = published("DeepLabV3_ResNet50_Weights", __name__)
DeepLabV3_ResNet101_Weights = published("DeepLabV3_ResNet101_Weights", __name__)
DeepLabV3_MobileNet_V3_Large_Weights = published("DeepLabV3_MobileNet_V3_Large_Weights", __name__)


class DeepLabV3(_SimpleSegmentationModel):
    """A backbone, a classifier that looks at several scales and, for training, one of the maps before."""


class ASPPConv(nn.Sequential):
    """A 3 × 3 convolution with holes."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ASPPPooling(nn.Sequential):
    """The mean of the picture, everywhere."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return resize(super().forward(x), x.shape[-2:])


class ASPP(nn.Module):
    """Convolutions with small and large holes side by side."""

    def __init__(self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        point = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        roads: list[nn.Module] = [nn.Sequential(point, nn.BatchNorm2d(out_channels), nn.ReLU())]
        roads += [ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates]
        roads.append(ASPPPooling(in_channels, out_channels))
        self.convs = nn.ModuleList(roads)
        self.project = nn.Sequential(
            nn.Conv2d(len(roads) * out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Dropout(0.5),
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.project(fb.cat([road(x) for road in self.convs], dim=1))


class DeepLabHead(nn.Sequential):
    """Several scales, then two convolutions."""

    def __init__(
        self, in_channels: int, num_classes: int, atrous_rates: Sequence[int] = (12, 24, 36)
    ) -> None:
        super().__init__(
            ASPP(in_channels, atrous_rates),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, num_classes, 1),
        )


def _on(resnet: Callable[..., ResNet]) -> Callable[..., DeepLabV3]:
    def build(weights_backbone: WeightsEnum | None, num_classes: int, aux: bool | None) -> DeepLabV3:
        backbone = resnet(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
        aux_classifier = FCNHead(1024, num_classes) if aux else None
        return DeepLabV3(resnet_layers(backbone, aux), DeepLabHead(2048, num_classes), aux_classifier)

    return build


def _on_mobilenet(weights_backbone: WeightsEnum | None, num_classes: int, aux: bool | None) -> DeepLabV3:
    features = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    stages = size_changes(features)
    last, middle = stages[-1], stages[-4]
    layers = {str(last): "out", str(middle): "aux"} if aux else {str(last): "out"}
    aux_classifier = FCNHead(features[middle].out_channels, num_classes) if aux else None
    classifier = DeepLabHead(features[last].out_channels, num_classes)
    return DeepLabV3(IntermediateLayerGetter(features, layers), classifier, aux_classifier)


@model(DeepLabV3_ResNet50_Weights, ResNet50_Weights)
def deeplabv3_resnet50(
    *,
    weights: DeepLabV3_ResNet50_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on ResNet-50."""
    return make(
        _on(resnet50), weights, progress, num_classes, with_auxiliary(weights, aux_loss), weights_backbone
    )


@model(DeepLabV3_ResNet101_Weights, ResNet101_Weights)
def deeplabv3_resnet101(
    *,
    weights: DeepLabV3_ResNet101_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: ResNet101_Weights | None = ResNet101_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on ResNet-101."""
    return make(
        _on(resnet101), weights, progress, num_classes, with_auxiliary(weights, aux_loss), weights_backbone
    )


@model(DeepLabV3_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights)
def deeplabv3_mobilenet_v3_large(
    *,
    weights: DeepLabV3_MobileNet_V3_Large_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on the large MobileNetV3."""
    return make(
        _on_mobilenet, weights, progress, num_classes, with_auxiliary(weights, aux_loss), weights_backbone
    )
