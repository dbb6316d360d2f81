"""What the detectors of one stage share: no regions are proposed, every anchor is scored."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import boxes as box_ops
from ._utils import Matcher, box_targets_are_sound, boxes_have_sizes, original_sizes

Target = dict[str, fb.Tensor]


class OneStageDetector(nn.Module):
    """Pictures to maps, maps to scores and shifts of anchors, these to losses or detections.

    Takes a list of pictures [C, H, W] of floats in [0, 1] and, in training, a list of targets: dictionaries
    with "boxes" [N, 4] and "labels" [N]. Returns a dictionary of losses in training, else for each picture a
    dictionary with "boxes", "labels" and "scores". Subclasses have `losses` and `detections`.
    """

    backbone: nn.Module
    anchor_generator: nn.Module
    head: nn.Module
    transform: nn.Module

    def losses(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        features: list[fb.Tensor],
    ) -> dict[str, fb.Tensor]:
        """The losses in training."""
        raise NotImplementedError(f"{type(self).__name__} has no method losses")

    def detections(
        self,
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        features: list[fb.Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> list[Target]:
        """What is found, at the sizes that the network saw."""
        raise NotImplementedError(f"{type(self).__name__} has no method detections")

    def forward(
        self, images: list[fb.Tensor], targets: list[Target] | None = None
    ) -> dict[str, fb.Tensor] | list[Target]:
        if self.training:
            box_targets_are_sound(targets)
        sizes = original_sizes(images)
        batch, targets = self.transform(images, targets)
        boxes_have_sizes(targets)
        features = self.backbone(batch.tensors)
        if isinstance(features, fb.Tensor):
            features = OrderedDict([("0", features)])
        maps = list(features.values())
        head_outputs = self.head(maps)
        anchors = self.anchor_generator(batch, maps)
        if self.training:
            return self.losses(targets, head_outputs, anchors, maps)
        found = self.detections(head_outputs, anchors, maps, batch.image_sizes)
        return self.transform.postprocess(found, batch.image_sizes, sizes)


def anchors_per_level(features: list[fb.Tensor], anchors: list[fb.Tensor]) -> list[int]:
    """The number of anchors of each map."""
    places = [feature.size(2) * feature.size(3) for feature in features]
    at_each = anchors[0].size(0) // sum(places)
    return [count * at_each for count in places]


def match(matcher: Matcher, targets: list[Target], anchors: list[fb.Tensor]) -> list[fb.Tensor]:
    """For each anchor the number of its true box, or a negative number."""
    matched = []
    for of_image, target in zip(anchors, targets, strict=True):
        if target["boxes"].numel() == 0:
            matched.append(fb.full((of_image.size(0),), -1, dtype=fb.int64, device=of_image.device))
        else:
            matched.append(matcher(box_ops.box_iou(target["boxes"], of_image)))
    return matched


def best_of_level(
    scores: fb.Tensor, score_thresh: float, topk_candidates: int
) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
    """The best entries over a threshold of scores [anchors, classes]: scores, anchors' numbers, classes."""
    classes = scores.shape[-1]
    flat = scores.flatten()
    over = flat > score_thresh
    flat, places = flat[over], fb.where(over)[0]
    best, order = flat.topk(min(topk_candidates, places.size(0)))
    places = places[order]
    return best, fb.div(places, classes, rounding_mode="floor"), places % classes


def suppress(
    boxes: list[fb.Tensor], scores: list[fb.Tensor], labels: list[fb.Tensor], nms_thresh: float, count: int
) -> Target:
    """The best boxes of a picture that do not overlap others of their class."""
    every_box, every_score, every_label = fb.cat(boxes), fb.cat(scores), fb.cat(labels)
    keep = box_ops.batched_nms(every_box, every_score, every_label, nms_thresh)[:count]
    return {"boxes": every_box[keep], "scores": every_score[keep], "labels": every_label[keep]}


def one_hot(labels: fb.Tensor, rows: fb.Tensor, like: fb.Tensor) -> fb.Tensor:
    """Zeros shaped like logits [anchors, classes], ones for the labels in the given rows."""
    target = fb.zeros_like(like)
    target[rows, labels[rows]] = 1.0
    return target


def flatten_maps(outputs: list[fb.Tensor], columns: int) -> fb.Tensor:
    """Maps [N, A * columns, H, W] as one [N, anchors, columns]."""
    flat = []
    for output in outputs:
        batch, _, height, width = output.shape
        apart = output.view(batch, -1, columns, height, width).permute(0, 3, 4, 1, 2)
        flat.append(apart.reshape(batch, -1, columns))
    return fb.cat(flat, dim=1)


def normal_convolutions(module: nn.Module, std: float = 0.01) -> None:
    """Normal weights and biases of zero for all convolutions of a module."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def check_backbone(backbone: Any) -> None:
    """Raise unless a backbone says how many channels its maps have."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output channels "
            "(assumed to be the same for all the levels)"
        )
