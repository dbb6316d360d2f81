"""Region proposal networks. arXiv:1506.01497"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation
from ...ops import boxes as box_ops
from . import _utils as det_utils
from .anchor_utils import AnchorGenerator
from .image_list import ImageList

F = nn.functional


class RPNHead(nn.Module):
    """Convolutions, then for each place and anchor a score and shifts."""

    _version = 2

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        layers = [
            Conv2dNormActivation(in_channels, in_channels, kernel_size=3, norm_layer=None)
            for _ in range(conv_depth)
        ]
        self.conv = nn.Sequential(*layers)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1, stride=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1, stride=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *lists_and_flags: Any
    ) -> None:
        """Files before version 2 have one convolution, ``conv``."""
        if (local_metadata.get("version") or 1) < 2:
            for kind in ("weight", "bias"):
                if (old := f"{prefix}conv.{kind}") in state_dict:
                    state_dict[f"{prefix}conv.0.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists_and_flags)

    def forward(self, x: list[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        hidden = [self.conv(feature) for feature in x]
        return [self.cls_logits(t) for t in hidden], [self.bbox_pred(t) for t in hidden]


def permute_and_flatten(layer: fb.Tensor, N: int, A: int, C: int, H: int, W: int) -> fb.Tensor:
    """[N, A * C, H, W] as [N, H * W * A, C]."""
    return layer.view(N, -1, C, H, W).permute(0, 3, 4, 1, 2).reshape(N, -1, C)


def concat_box_prediction_layers(
    box_cls: list[fb.Tensor], box_regression: list[fb.Tensor]
) -> tuple[fb.Tensor, fb.Tensor]:
    """Predictions of all maps as [N * anchors, classes] and [N * anchors, 4], picture by picture."""
    scores, shifts = [], []
    for of_scores, of_shifts in zip(box_cls, box_regression, strict=True):
        batch, channels, height, width = of_scores.shape
        anchors = of_shifts.shape[1] // 4
        scores.append(permute_and_flatten(of_scores, batch, anchors, channels // anchors, height, width))
        shifts.append(permute_and_flatten(of_shifts, batch, anchors, 4, height, width))
    return fb.cat(scores, dim=1).flatten(0, -2), fb.cat(shifts, dim=1).reshape(-1, 4)


class RegionProposalNetwork(nn.Module):
    """Score anchors, shift them, keep the best. Called with pictures and maps it gives boxes and losses.

    Parameters
    ----------
    fg_iou_thresh, bg_iou_thresh : from the first on an anchor is an object, below the second background
    batch_size_per_image, positive_fraction : anchors drawn for the loss, and the share of objects among them
    pre_nms_top_n, post_nms_top_n : boxes kept of each map before, and of all after, "training" and "testing"
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator, self.head = anchor_generator, head
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self._pre_nms_top_n, self._post_nms_top_n = pre_nms_top_n, post_nms_top_n
        self.nms_thresh, self.score_thresh = nms_thresh, score_thresh
        self.min_size = 1e-3

    def pre_nms_top_n(self) -> int:
        """Boxes of each map that go into the suppression."""
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self) -> int:
        """Boxes of a picture that come out of it."""
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(
        self, anchors: list[fb.Tensor], targets: list[dict[str, fb.Tensor]]
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """For each anchor 1 (object), 0 (background) or -1 (neither), and its true box."""
        labels, matched = [], []
        for of_image, target in zip(anchors, targets, strict=True):
            true_boxes = target["boxes"]
            if true_boxes.numel() == 0:
                labels.append(fb.zeros((len(of_image),), dtype=fb.float32, device=of_image.device))
                matched.append(fb.zeros(of_image.shape, dtype=fb.float32, device=of_image.device))
                continue
            found = self.proposal_matcher(self.box_similarity(true_boxes, of_image))
            of_labels = (found >= 0).to(dtype=fb.float32)
            of_labels[found == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1.0
            labels.append(of_labels)
            matched.append(true_boxes[found.clamp(min=0)])
        return labels, matched

    def _get_top_n_idx(self, objectness: fb.Tensor, num_anchors_per_level: list[int]) -> fb.Tensor:
        """Where the best of each map are in [N, anchors of all maps]."""
        best, offset = [], 0
        for scores in objectness.split(num_anchors_per_level, 1):
            count = min(scores.shape[1], self.pre_nms_top_n())
            best.append(scores.topk(count, dim=1)[1] + offset)
            offset += scores.shape[1]
        return fb.cat(best, dim=1)

    def filter_proposals(
        self,
        proposals: fb.Tensor,
        objectness: fb.Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """The best boxes of each picture, and their scores."""
        count, device = proposals.shape[0], proposals.device
        objectness = objectness.detach().reshape(count, -1)
        levels = fb.cat(
            [
                fb.full((number,), i, dtype=fb.int64, device=device)
                for i, number in enumerate(num_anchors_per_level)
            ]
        )
        levels = levels.reshape(1, -1).expand_as(objectness)
        best = self._get_top_n_idx(objectness, num_anchors_per_level)
        rows = fb.arange(count, device=device)[:, None]
        scores, levels = fb.sigmoid(objectness[rows, best]), levels[rows, best]
        final_boxes, final_scores = [], []
        for boxes, score, level, shape in zip(
            proposals[rows, best], scores, levels, image_shapes, strict=True
        ):
            boxes = box_ops.clip_boxes_to_image(boxes, shape)
            keep = box_ops.remove_small_boxes(boxes, self.min_size)
            boxes, score, level = boxes[keep], score[keep], level[keep]
            keep = fb.where(score >= self.score_thresh)[0]
            boxes, score, level = boxes[keep], score[keep], level[keep]
            keep = box_ops.batched_nms(boxes, score, level, self.nms_thresh)[: self.post_nms_top_n()]
            final_boxes.append(boxes[keep])
            final_scores.append(score[keep])
        return final_boxes, final_scores

    def compute_loss(
        self,
        objectness: fb.Tensor,
        pred_bbox_deltas: fb.Tensor,
        labels: list[fb.Tensor],
        regression_targets: list[fb.Tensor],
    ) -> tuple[fb.Tensor, fb.Tensor]:
        """The losses of scores and of boxes, over a sample of the anchors."""
        positive_masks, negative_masks = self.fg_bg_sampler(labels)
        positive = fb.where(fb.cat(positive_masks))[0]
        sampled = fb.cat([positive, fb.where(fb.cat(negative_masks))[0]])
        of_boxes = F.smooth_l1_loss(
            pred_bbox_deltas[positive], fb.cat(regression_targets)[positive], beta=1 / 9, reduction="sum"
        ) / (sampled.numel())
        of_scores = F.binary_cross_entropy_with_logits(objectness.flatten()[sampled], fb.cat(labels)[sampled])
        return of_scores, of_boxes

    def forward(
        self,
        images: ImageList,
        features: dict[str, fb.Tensor],
        targets: list[dict[str, fb.Tensor]] | None = None,
    ) -> tuple[list[fb.Tensor], dict[str, fb.Tensor]]:
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [scores[0].numel() for scores in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        proposals = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, per_level)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        regression_targets = self.box_coder.encode(matched, anchors)
        of_scores, of_boxes = self.compute_loss(objectness, deltas, labels, regression_targets)
        return boxes, {"loss_objectness": of_scores, "loss_rpn_box_reg": of_boxes}
