"""FCOS. arXiv:1904.01355"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import boxes as box_ops
from ...ops import generalized_box_iou_loss, sigmoid_focal_loss
from ...ops.feature_pyramid_network import LastLevelP6P7
from .._api import load, model, published
from ..resnet import ResNet50_Weights
from . import _utils as det_utils
from ._one_stage import (
    OneStageDetector,
    anchors_per_level,
    best_of_level,
    check_backbone,
    flatten_maps,
    normal_convolutions,
    one_hot,
    suppress,
)
from .anchor_utils import AnchorGenerator
from .faster_rcnn import _backbone, _check_kind
from .transform import GeneralizedRCNNTransform

__all__ = [
    "FCOS",
    "FCOS_ResNet50_FPN_Weights",
    "fcos_resnet50_fpn",
]

FCOS_ResNet50_FPN_Weights = published("FCOS_ResNet50_FPN_Weights", __name__)
Norm = Callable[..., nn.Module]
Target = dict[str, fb.Tensor]


def _convolutions(channels: int, count: int, norm_layer: Norm | None) -> nn.Sequential:
    norm_layer = norm_layer or partial(nn.GroupNorm, 32)
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), norm_layer(channels), nn.ReLU()]
    return nn.Sequential(*layers)


class FCOSClassificationHead(nn.Module):
    """Logits [N, places, classes]; at first each class has the probability `prior_probability`."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        num_convs: int = 4,
        prior_probability: float = 0.01,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.num_anchors = num_classes, num_anchors
        self.conv = _convolutions(in_channels, num_convs, norm_layer)
        normal_convolutions(self.conv)
        self.cls_logits = nn.Conv2d(
            in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1
        )
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior_probability) / prior_probability))

    def forward(self, x: list[fb.Tensor]) -> fb.Tensor:
        return flatten_maps([self.cls_logits(self.conv(feature)) for feature in x], self.num_classes)


class FCOSRegressionHead(nn.Module):
    """Distances to the sides [N, places, 4] and logits of being in the middle [N, places, 1]."""

    def __init__(
        self, in_channels: int, num_anchors: int, num_convs: int = 4, norm_layer: Norm | None = None
    ) -> None:
        super().__init__()
        self.conv = _convolutions(in_channels, num_convs, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors, kernel_size=3, stride=1, padding=1)
        for part in (self.bbox_reg, self.bbox_ctrness, self.conv):
            normal_convolutions(part)

    def forward(self, x: list[fb.Tensor]) -> tuple[fb.Tensor, fb.Tensor]:
        hidden = [self.conv(feature) for feature in x]
        distances = [nn.functional.relu(self.bbox_reg(feature)) for feature in hidden]
        return flatten_maps(distances, 4), flatten_maps([self.bbox_ctrness(feature) for feature in hidden], 1)


class FCOSHead(nn.Module):
    """Classification and regression."""

    def __init__(
        self, in_channels: int, num_anchors: int, num_classes: int, num_convs: int | None = 4
    ) -> None:
        super().__init__()
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(in_channels, num_anchors, num_classes, num_convs)
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        matched_idxs: list[fb.Tensor],
    ) -> dict[str, fb.Tensor]:
        """The losses of classes, boxes and of being in the middle, by matched places."""
        logits, distances = head_outputs["cls_logits"], head_outputs["bbox_regression"]
        labels, boxes = [], []
        for target, matched in zip(targets, matched_idxs, strict=True):
            chosen = matched.clamp(min=0)
            if len(target["labels"]) == 0:
                of_image = target["labels"].new_zeros((len(matched),))
                true = target["boxes"].new_zeros((len(matched), 4))
            else:
                of_image, true = target["labels"][chosen], target["boxes"][chosen]
            of_image[matched < 0] = -1
            labels.append(of_image)
            boxes.append(true)
        every_label, every_box, every_anchor = fb.stack(labels), fb.stack(boxes), fb.stack(anchors)
        inside = every_label >= 0
        count = max(1, int(inside.sum().item()))
        classes = logits.shape[-1]
        target = one_hot(
            every_label.flatten(), fb.where(inside.flatten())[0], logits.reshape(-1, classes)
        ).view_as(logits)
        of_classes = sigmoid_focal_loss(logits, target, reduction="sum")
        predicted = self.box_coder.decode(distances, every_anchor)
        of_boxes = generalized_box_iou_loss(predicted[inside], every_box[inside], reduction="sum")
        left, top, right, bottom = self.box_coder.encode(every_box, every_anchor)[inside].unbind(-1)
        across = fb.minimum(left, right) / fb.maximum(left, right)
        down = fb.minimum(top, bottom) / fb.maximum(top, bottom)
        of_middle = nn.functional.binary_cross_entropy_with_logits(
            head_outputs["bbox_ctrness"].squeeze(dim=2)[inside], fb.sqrt(across * down), reduction="sum"
        )
        return {
            "classification": of_classes / count,
            "bbox_regression": of_boxes / count,
            "bbox_ctrness": of_middle / count,
        }

    def forward(self, x: list[fb.Tensor]) -> dict[str, fb.Tensor]:
        logits = self.classification_head(x)
        distances, middle = self.regression_head(x)
        return {"cls_logits": logits, "bbox_regression": distances, "bbox_ctrness": middle}


class FCOS(OneStageDetector):
    """FCOS on any backbone with the attribute `out_channels`; each place has one square as its anchor.

    Parameters
    ----------
    center_sampling_radius : places this many strides around a true box's center may belong to it
    score_thresh, topk_candidates : of the places of each map, those over the threshold and the best of these
    nms_thresh, detections_per_img : overlap allowed, and how many boxes are kept
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
        center_sampling_radius: float = 1.5,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        _check_kind(anchor_generator, "anchor_generator", AnchorGenerator)
        self.backbone = backbone
        if anchor_generator is None:
            anchor_generator = AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5)
        self.anchor_generator = anchor_generator
        count = anchor_generator.num_anchors_per_location()[0]
        if count != 1:
            raise ValueError(f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {count}")
        self.head = head or FCOSHead(backbone.out_channels, count, num_classes)
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.center_sampling_radius = center_sampling_radius
        self.score_thresh, self.nms_thresh = score_thresh, nms_thresh
        self.detections_per_img, self.topk_candidates = detections_per_img, topk_candidates

    def _match(self, boxes: fb.Tensor, anchors: fb.Tensor, counts: list[int]) -> fb.Tensor:
        """For each place the smallest true box that it may belong to, or -1.

        A place belongs to a box that it lies in, near the center, if the farthest side is 4 to 8 strides off:
        the first map takes nearer ones too, the last farther ones.
        """
        if boxes.numel() == 0:
            return fb.full((len(anchors),), -1, dtype=fb.int64, device=anchors.device)
        middles, centers = (boxes[:, :2] + boxes[:, 2:]) / 2, (anchors[:, :2] + anchors[:, 2:]) / 2
        sizes = anchors[:, 2] - anchors[:, 0]
        apart = (centers[:, None, :] - middles[None, :, :]).abs().max(dim=2).values
        fits = apart < self.center_sampling_radius * sizes[:, None]
        x, y = centers.unsqueeze(dim=2).unbind(dim=1)
        x1, y1, x2, y2 = boxes.unsqueeze(dim=0).unbind(dim=2)
        distances = fb.stack([x - x1, y - y1, x2 - x, y2 - y], dim=2)
        fits &= distances.min(dim=2).values > 0
        least, most = sizes * 4, sizes * 8
        least[: counts[0]] = 0
        most[-counts[-1] :] = float("inf")
        farthest = distances.max(dim=2).values
        fits &= (farthest > least[:, None]) & (farthest < most[:, None])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        preference, best = (fits.to(fb.float32) * (1e8 - areas[None, :])).max(dim=1)
        best[preference < 1e-5] = -1
        return best

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        num_anchors_per_level: list[int],
    ) -> dict[str, fb.Tensor]:
        """The losses of places matched with true boxes."""
        matched = [
            self._match(target["boxes"], of_image, num_anchors_per_level)
            for target, of_image in zip(targets, anchors, strict=True)
        ]
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def losses(
        self, targets: list[Target], head_outputs: dict, anchors: list[fb.Tensor], features: list[fb.Tensor]
    ) -> dict[str, fb.Tensor]:
        return self.compute_loss(targets, head_outputs, anchors, anchors_per_level(features, anchors))

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
        parts = [head_outputs[name] for name in ("cls_logits", "bbox_ctrness", "bbox_regression")]
        for i, shape in enumerate(image_shapes):
            boxes, scores, labels = [], [], []
            for logits, middle, distances, of_level in zip(*parts, anchors[i], strict=True):
                mean = fb.sqrt(fb.sigmoid(logits[i]) * fb.sigmoid(middle[i]))
                best, rows, classes = best_of_level(mean, self.score_thresh, self.topk_candidates)
                decoded = self.box_coder.decode(distances[i][rows], of_level[rows])
                boxes.append(box_ops.clip_boxes_to_image(decoded, shape))
                scores.append(best)
                labels.append(classes)
            found.append(suppress(boxes, scores, labels, self.nms_thresh, self.detections_per_img))
        return found


@model(FCOS_ResNet50_FPN_Weights, ResNet50_Weights)
def fcos_resnet50_fpn(
    *,
    weights: FCOS_ResNet50_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FCOS:
    """FCOS on ResNet-50 with a feature pyramid."""
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
    return load(FCOS(backbone, num_classes, **kwargs), weights, progress)
