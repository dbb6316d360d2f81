"""Detectors of two stages: propose regions, then look at each."""

from __future__ import annotations

from collections import OrderedDict

import flambeau as fb
from flambeau import nn

from ._utils import box_targets_are_sound, boxes_have_sizes, original_sizes


class GeneralizedRCNN(nn.Module):
    """A backbone, a network that proposes regions, and heads for these.

    Takes a list of pictures [C, H, W] of floats in [0, 1] and, in training, a list of targets: dictionaries
    with "boxes" [N, 4] and "labels" [N]. Returns a dictionary of losses in training, else for each picture a
    dictionary with "boxes", "labels" and "scores".
    """

    def __init__(
        self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: nn.Module
    ) -> None:
        super().__init__()
        self.transform, self.backbone = transform, backbone
        self.rpn, self.roi_heads = rpn, roi_heads

    def forward(
        self, images: list[fb.Tensor], targets: list[dict[str, fb.Tensor]] | None = None
    ) -> dict[str, fb.Tensor] | list[dict[str, fb.Tensor]]:
        if self.training:
            box_targets_are_sound(targets)
        sizes = original_sizes(images)
        batch, targets = self.transform(images, targets)
        boxes_have_sizes(targets)
        features = self.backbone(batch.tensors)
        if isinstance(features, fb.Tensor):
            features = OrderedDict([("0", features)])
        proposals, losses = self.rpn(batch, features, targets)
        detections, of_heads = self.roi_heads(features, proposals, batch.image_sizes, targets)
        detections = self.transform.postprocess(detections, batch.image_sizes, sizes)
        return of_heads | losses if self.training else detections
