"""Keypoint R-CNN, from the paper of Mask R-CNN. arXiv:1703.06870"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import MultiScaleRoIAlign
from .._api import load, model, published, require
from ..resnet import ResNet50_Weights
from ._utils import class_count, overwrite_eps
from .faster_rcnn import FasterRCNN, _backbone, _check_kind

__all__ = [
    "KeypointRCNN",
    "KeypointRCNN_ResNet50_FPN_Weights",
    "keypointrcnn_resnet50_fpn",
]

KeypointRCNN_ResNet50_FPN_Weights = published("KeypointRCNN_ResNet50_FPN_Weights", __name__)


class KeypointRCNN(FasterRCNN):
    """Faster R-CNN that also gives the "keypoints" [K, 3] of each box, and "keypoints_scores" [K].

    Targets have "keypoints" [N, K, 3] as x, y and visibility. The keywords are those of `FasterRCNN`, the
    three parts for keypoints and their number, 17 by default.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int | None = None,
        min_size: int | tuple[int, ...] | None = None,
        *args: Any,
        keypoint_roi_pool: nn.Module | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
        num_keypoints: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_kind(keypoint_roi_pool, "keypoint_roi_pool", MultiScaleRoIAlign)
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        pool = keypoint_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (512,) * 8)
        predictor = keypoint_predictor or KeypointRCNNPredictor(512, num_keypoints or 17)
        super().__init__(backbone, num_classes, min_size or (640, 672, 704, 736, 768, 800), *args, **kwargs)
        self.roi_heads.keypoint_roi_pool = pool
        self.roi_heads.keypoint_head = head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """Convolutions that keep the size."""

    def __init__(self, in_channels: int, layers: tuple[int, ...]) -> None:
        blocks: list[nn.Module] = []
        for outputs in layers:
            blocks += [nn.Conv2d(in_channels, outputs, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            in_channels = outputs
        super().__init__(*blocks)
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)


class KeypointRCNNPredictor(nn.Module):
    """Four times the size: logits of where each keypoint is."""

    def __init__(self, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, stride=2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.kps_score_lowres.bias)
        self.up_scale, self.out_channels = 2, num_keypoints

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return nn.functional.interpolate(
            self.kps_score_lowres(x),
            scale_factor=float(self.up_scale),
            mode="bilinear",
            align_corners=False,
            recompute_scale_factor=False,
        )


@model(KeypointRCNN_ResNet50_FPN_Weights, ResNet50_Weights)
def keypointrcnn_resnet50_fpn(
    *,
    weights: KeypointRCNN_ResNet50_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    num_keypoints: int | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> KeypointRCNN:
    """Keypoint R-CNN on ResNet-50 with a feature pyramid."""
    num_classes = class_count(weights, num_classes, 2)
    counts = {} if num_keypoints is None else {"num_keypoints": num_keypoints}
    if weights is not None:
        weights_backbone = None
        require(counts, "num_keypoints", len(weights.meta["keypoint_names"]))
    backbone = _backbone(weights, weights_backbone, progress, trainable_backbone_layers)
    network = load(KeypointRCNN(backbone, num_classes, **counts, **kwargs), weights, progress)
    if weights == KeypointRCNN_ResNet50_FPN_Weights.COCO_V1:
        overwrite_eps(network, 0.0)
    return network
