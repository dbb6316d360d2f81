"""SSDlite, from the papers of MobileNetV2 (arXiv:1801.04381) and MobileNetV3 (arXiv:1905.02244)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation
from .._api import load, model, published
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from . import _utils as det_utils
from ._one_stage import normal_convolutions
from .anchor_utils import DefaultBoxGenerator
from .backbone_utils import _validate_trainable_layers, mobilenet_stages
from .ssd import SSD, SSDScoringHead, size_is_fixed

__all__ = [
    "SSDLite320_MobileNet_V3_Large_Weights",
    "ssdlite320_mobilenet_v3_large",
]

SSDLite320_MobileNet_V3_Large_Weights = published("SSDLite320_MobileNet_V3_Large_Weights", __name__)
Norm = Callable[..., nn.Module]


def _prediction_block(
    in_channels: int, out_channels: int, kernel_size: int, norm_layer: Norm
) -> nn.Sequential:
    """Filter each channel, then mix them."""
    return nn.Sequential(
        Conv2dNormActivation(
            in_channels,
            in_channels,
            kernel_size=kernel_size,
            groups=in_channels,
            norm_layer=norm_layer,
            activation_layer=nn.ReLU6,
        ),
        nn.Conv2d(in_channels, out_channels, 1),
    )


def _extra_block(in_channels: int, out_channels: int, norm_layer: Norm) -> nn.Sequential:
    """A map of half the size."""
    conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    inner = out_channels // 2
    return nn.Sequential(
        conv(in_channels, inner, kernel_size=1),
        conv(inner, inner, kernel_size=3, stride=2, groups=inner),
        conv(inner, out_channels, kernel_size=1),
    )


def _scoring_layers(
    in_channels: list[int], num_anchors: list[int], columns: int, norm_layer: Norm
) -> nn.ModuleList:
    layers = nn.ModuleList(
        _prediction_block(channels, columns * anchors, 3, norm_layer)
        for channels, anchors in zip(in_channels, num_anchors, strict=True)
    )
    normal_convolutions(layers, std=0.03)
    return layers


class SSDLiteClassificationHead(SSDScoringHead):
    """Logits of the classes."""

    def __init__(
        self, in_channels: list[int], num_anchors: list[int], num_classes: int, norm_layer: Norm
    ) -> None:
        super().__init__(_scoring_layers(in_channels, num_anchors, num_classes, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """Shifts of the boxes."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], norm_layer: Norm) -> None:
        super().__init__(_scoring_layers(in_channels, num_anchors, 4, norm_layer), 4)


class SSDLiteHead(nn.Module):
    """Classification and regression."""

    def __init__(
        self, in_channels: list[int], num_anchors: list[int], num_classes: int, norm_layer: Norm
    ) -> None:
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer
        )
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x: list[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """A MobileNet cut within its block number `c4_pos`, and four further maps."""

    def __init__(
        self,
        backbone: nn.Module,
        c4_pos: int,
        norm_layer: Norm,
        width_mult: float = 1.0,
        min_depth: int = 16,
    ) -> None:
        super().__init__()
        cut = backbone[c4_pos]
        if cut.use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], cut.block[0]),  # up to where the block has expanded
            nn.Sequential(cut.block[1:], *backbone[c4_pos + 1 :]),
        )
        channels, further = backbone[-1].out_channels, []
        for width in (512, 256, 256, 128):
            outputs = max(min_depth, int(width * width_mult))
            further.append(_extra_block(channels, outputs, norm_layer))
            channels = outputs
        self.extra = nn.ModuleList(further)
        normal_convolutions(self.extra, std=0.03)

    def forward(self, x: fb.Tensor) -> dict[str, fb.Tensor]:
        maps = OrderedDict()
        for block in (*self.features, *self.extra):
            x = block(x)
            maps[str(len(maps))] = x
        return maps


@model(SSDLite320_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights)
def ssdlite320_mobilenet_v3_large(
    *,
    weights: SSDLite320_MobileNet_V3_Large_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    norm_layer: Norm | None = None,
    **kwargs: Any,
) -> SSD:
    """SSDlite on the large MobileNetV3, for pictures of 320 pixels."""
    size_is_fixed(kwargs, "ssdlite320_mobilenet_v3_large", 320)
    num_classes = det_utils.class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 6, 6)
    norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    network = mobilenet_v3_large(
        weights=weights_backbone,
        progress=progress,
        norm_layer=norm_layer,
        reduced_tail=weights_backbone is None,  # the backbone's published weights have the full one
    )
    stages = mobilenet_stages(network.features, layers)
    backbone = SSDLiteFeatureExtractorMobileNet(network.features, stages[-2], norm_layer)
    size = (320, 320)
    anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    channels = det_utils.retrieve_out_channels(backbone, size)
    counts = anchors.num_anchors_per_location()
    if len(channels) != len(counts):
        raise ValueError(
            f"The length of the output channels from the backbone {len(channels)} do not match the length "
            f"of the anchor generator aspect ratios {len(anchors.aspect_ratios)}"
        )
    head = SSDLiteHead(channels, counts, num_classes, norm_layer)
    options = {"score_thresh": 0.001, "nms_thresh": 0.55, "detections_per_img": 300, "topk_candidates": 300}
    options |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    detector = SSD(backbone, anchors, size, num_classes, head=head, **(options | kwargs))
    return load(detector, weights, progress)
