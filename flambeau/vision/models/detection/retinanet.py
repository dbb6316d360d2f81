"""RetinaNet. arXiv:1708.02002"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation, sigmoid_focal_loss
from ...ops import boxes as box_ops
from ...ops.feature_pyramid_network import LastLevelP6P7
from .._api import load, model, published
from ..resnet import ResNet50_Weights, resnet50
from . import _utils as det_utils
from ._one_stage import (
    OneStageDetector,
    anchors_per_level,
    best_of_level,
    check_backbone,
    flatten_maps,
    match,
    normal_convolutions,
    one_hot,
    suppress,
)
from .anchor_utils import AnchorGenerator
from .backbone_utils import _resnet_fpn_extractor, _validate_trainable_layers
from .faster_rcnn import _backbone, _check_kind
from .transform import GeneralizedRCNNTransform

__all__ = [
    "RetinaNet",
    "RetinaNet_ResNet50_FPN_V2_Weights",
    "RetinaNet_ResNet50_FPN_Weights",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]

RetinaNet_ResNet50_FPN_Weights = published("RetinaNet_ResNet50_FPN_Weights", __name__)
RetinaNet_ResNet50_FPN_V2_Weights = published("RetinaNet_ResNet50_FPN_V2_Weights", __name__)
Norm = Callable[..., nn.Module]
Target = dict[str, fb.Tensor]


class _Head(nn.Module):
    """Four convolutions that classification and regression have each."""

    _version = 2

    def __init__(self, in_channels: int, norm_layer: Norm | None) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer) for _ in range(4))
        )

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *lists_and_flags: Any
    ) -> None:
        """Files before version 2 count convolutions and activations together."""
        if (local_metadata.get("version") or 1) < 2:
            for i in range(4):
                for kind in ("weight", "bias"):
                    if (old := f"{prefix}conv.{2 * i}.{kind}") in state_dict:
                        state_dict[f"{prefix}conv.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists_and_flags)


class RetinaNetClassificationHead(_Head):
    """Logits [N, anchors, classes]; at first each class has the probability `prior_probability`."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        prior_probability: float = 0.01,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__(in_channels, norm_layer)
        normal_convolutions(self.conv)
        self.cls_logits = nn.Conv2d(
            in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1
        )
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior_probability) / prior_probability))
        self.num_classes, self.num_anchors = num_classes, num_anchors

    def compute_loss(
        self, targets: list[Target], head_outputs: dict[str, fb.Tensor], matched_idxs: list[fb.Tensor]
    ) -> fb.Tensor:
        """The focal loss, by matched anchors, as the mean of the pictures."""
        losses = []
        for target, logits, matched in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            rows = fb.where(matched >= 0)[0]
            labels = fb.zeros_like(matched)
            labels[rows] = target["labels"][matched[rows]]
            counted = matched != det_utils.Matcher.BETWEEN_THRESHOLDS
            loss = sigmoid_focal_loss(
                logits[counted], one_hot(labels, rows, logits)[counted], reduction="sum"
            )
            losses.append(loss / max(1, len(rows)))
        return sum(losses) / len(targets)

    def forward(self, x: list[fb.Tensor]) -> fb.Tensor:
        return flatten_maps([self.cls_logits(self.conv(feature)) for feature in x], self.num_classes)


class RetinaNetRegressionHead(_Head):
    """Shifts [N, anchors, 4]."""

    def __init__(self, in_channels: int, num_anchors: int, norm_layer: Norm | None = None) -> None:
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        nn.init.normal_(self.bbox_reg.weight, std=0.01)
        nn.init.zeros_(self.bbox_reg.bias)
        normal_convolutions(self.conv)
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        matched_idxs: list[fb.Tensor],
    ) -> fb.Tensor:
        """The loss of matched anchors' boxes, as the mean of the pictures."""
        losses = []
        for target, shifts, of_image, matched in zip(
            targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True
        ):
            rows = fb.where(matched >= 0)[0]
            boxes = target["boxes"][matched[rows]]
            loss = det_utils.box_loss(self._loss_type, self.box_coder, of_image[rows], boxes, shifts[rows])
            losses.append(loss / max(1, rows.numel()))
        return sum(losses) / max(1, len(targets))

    def forward(self, x: list[fb.Tensor]) -> fb.Tensor:
        return flatten_maps([self.bbox_reg(self.conv(feature)) for feature in x], 4)


class RetinaNetHead(nn.Module):
    """Classification and regression."""

    def __init__(
        self, in_channels: int, num_anchors: int, num_classes: int, norm_layer: Norm | None = None
    ) -> None:
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(in_channels, num_anchors, norm_layer=norm_layer)

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        matched_idxs: list[fb.Tensor],
    ) -> dict[str, fb.Tensor]:
        """Both losses."""
        return {
            "classification": self.classification_head.compute_loss(targets, head_outputs, matched_idxs),
            "bbox_regression": self.regression_head.compute_loss(
                targets, head_outputs, anchors, matched_idxs
            ),
        }

    def forward(self, x: list[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)}


def _default_anchorgen() -> AnchorGenerator:
    sizes = tuple(
        (side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in (32, 64, 128, 256, 512)
    )
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class RetinaNet(OneStageDetector):
    """RetinaNet on any backbone that has the attribute `out_channels`.

    Parameters
    ----------
    score_thresh, topk_candidates : of the anchors of each map, those over the threshold and the best of these
    nms_thresh, detections_per_img : overlap allowed, and how many boxes are kept
    fg_iou_thresh, bg_iou_thresh : from the first on an anchor is an object, below the second background
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        min_size: int = 800,
        max_size: int = 1333,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        anchor_generator: AnchorGenerator | None = None,
        head: nn.Module | None = None,
        proposal_matcher: det_utils.Matcher | None = None,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        detections_per_img: int = 300,
        fg_iou_thresh: float = 0.5,
        bg_iou_thresh: float = 0.4,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        _check_kind(anchor_generator, "anchor_generator", AnchorGenerator)
        self.backbone = backbone
        self.anchor_generator = anchor_generator or _default_anchorgen()
        count = self.anchor_generator.num_anchors_per_location()[0]
        self.head = head or RetinaNetHead(backbone.out_channels, count, num_classes)
        self.proposal_matcher = proposal_matcher or det_utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.score_thresh, self.nms_thresh = score_thresh, nms_thresh
        self.detections_per_img, self.topk_candidates = detections_per_img, topk_candidates

    def compute_loss(
        self, targets: list[Target], head_outputs: dict[str, fb.Tensor], anchors: list[fb.Tensor]
    ) -> dict[str, fb.Tensor]:
        """The losses of anchors matched with true boxes."""
        matched = match(self.proposal_matcher, targets, anchors)
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def losses(
        self, targets: list[Target], head_outputs: dict, anchors: list[fb.Tensor], features: list[fb.Tensor]
    ) -> dict[str, fb.Tensor]:
        return self.compute_loss(targets, head_outputs, anchors)

    def detections(
        self, head_outputs: dict, anchors: list[fb.Tensor], features: list[fb.Tensor], image_shapes: list
    ) -> list[Target]:
        counts = anchors_per_level(features, anchors)
        by_level = {name: list(output.split(counts, dim=1)) for name, output in head_outputs.items()}
        return self.postprocess_detections(by_level, [list(a.split(counts)) for a in anchors], image_shapes)

    def postprocess_detections(
        self,
        head_outputs: dict[str, list[fb.Tensor]],
        anchors: list[list[fb.Tensor]],
        image_shapes: list[tuple[int, int]],
    ) -> list[Target]:
        """The best boxes of each picture, from outputs and anchors map by map."""
        found = []
        for i, shape in enumerate(image_shapes):
            boxes, scores, labels = [], [], []
            for logits, shifts, of_level in zip(
                head_outputs["cls_logits"], head_outputs["bbox_regression"], anchors[i], strict=True
            ):
                best, rows, classes = best_of_level(
                    fb.sigmoid(logits[i]), self.score_thresh, self.topk_candidates
                )
                decoded = self.box_coder.decode_single(shifts[i][rows], of_level[rows])
                boxes.append(box_ops.clip_boxes_to_image(decoded, shape))
                scores.append(best)
                labels.append(classes)
            found.append(suppress(boxes, scores, labels, self.nms_thresh, self.detections_per_img))
        return found


@model(RetinaNet_ResNet50_FPN_Weights, ResNet50_Weights)
def retinanet_resnet50_fpn(
    *,
    weights: RetinaNet_ResNet50_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """RetinaNet on ResNet-50 with a feature pyramid."""
    num_classes = det_utils.class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    backbone = _backbone(
        weights,
        weights_backbone,
        progress,
        trainable_backbone_layers,
        returned_layers=[2, 3, 4],
        last_levels=partial(LastLevelP6P7, 256, 256),
    )
    network = load(RetinaNet(backbone, num_classes, **kwargs), weights, progress)
    if weights == RetinaNet_ResNet50_FPN_Weights.COCO_V1:
        det_utils.overwrite_eps(network, 0.0)
    return network


@model(RetinaNet_ResNet50_FPN_V2_Weights, ResNet50_Weights)
def retinanet_resnet50_fpn_v2(
    *,
    weights: RetinaNet_ResNet50_FPN_V2_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """RetinaNet, version 2, on ResNet-50 with a feature pyramid."""
    num_classes = det_utils.class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 3)
    network = resnet50(weights=weights_backbone, progress=progress)
    extra_blocks = LastLevelP6P7(2048, 256)
    backbone = _resnet_fpn_extractor(network, layers, returned_layers=[2, 3, 4], extra_blocks=extra_blocks)
    anchors = _default_anchorgen()
    head = RetinaNetHead(
        backbone.out_channels,
        anchors.num_anchors_per_location()[0],
        num_classes,
        norm_layer=partial(nn.GroupNorm, 32),
    )
    head.regression_head._loss_type = "giou"
    return load(
        RetinaNet(backbone, num_classes, anchor_generator=anchors, head=head, **kwargs), weights, progress
    )
