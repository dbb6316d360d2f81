"""What is done with each proposed region: classes, boxes, masks, keypoints."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import boxes as box_ops
from ...ops import roi_align
from . import _utils as det_utils

F = nn.functional
Sizes = list[tuple[int, int]]


def fastrcnn_loss(
    class_logits: fb.Tensor,
    box_regression: fb.Tensor,
    labels: list[fb.Tensor],
    regression_targets: list[fb.Tensor],
) -> tuple[fb.Tensor, fb.Tensor]:
    """The losses of classes and of boxes; only regions with an object count for boxes. arXiv:1504.08083"""
    true, targets = fb.cat(labels), fb.cat(regression_targets)
    positive = fb.where(true > 0)[0]
    shifts = box_regression.reshape(class_logits.shape[0], -1, 4)[positive, true[positive]]
    of_boxes = F.smooth_l1_loss(shifts, targets[positive], beta=1 / 9, reduction="sum") / true.numel()
    return F.cross_entropy(class_logits, true), of_boxes


def maskrcnn_inference(x: fb.Tensor, labels: list[fb.Tensor]) -> list[fb.Tensor]:
    """From logits [regions, classes, M, M], the probabilities of each picture's labels [regions, 1, M, M]."""
    together = fb.cat(labels)
    chosen = x.sigmoid()[fb.arange(len(together), device=together.device), together][:, None]
    return list(chosen.split([len(of_image) for of_image in labels], dim=0))


def project_masks_on_boxes(
    gt_masks: fb.Tensor, boxes: fb.Tensor, matched_idxs: fb.Tensor, M: int
) -> fb.Tensor:
    """The parts of true masks that lie in boxes, M × M."""
    rois = fb.cat([matched_idxs.to(boxes)[:, None], boxes], dim=1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: fb.Tensor,
    proposals: list[fb.Tensor],
    gt_masks: list[fb.Tensor],
    gt_labels: list[fb.Tensor],
    mask_matched_idxs: list[fb.Tensor],
) -> fb.Tensor:
    """The loss of the masks of the true classes. arXiv:1703.06870"""
    side = mask_logits.shape[-1]
    labels = fb.cat([true[found] for true, found in zip(gt_labels, mask_matched_idxs, strict=True)])
    targets = fb.cat(
        [
            project_masks_on_boxes(masks, boxes, found, side)
            for masks, boxes, found in zip(gt_masks, proposals, mask_matched_idxs, strict=True)
        ]
    )
    if targets.numel() == 0:  # no region with an object
        return mask_logits.sum() * 0
    chosen = mask_logits[fb.arange(labels.shape[0], device=labels.device), labels]
    return F.binary_cross_entropy_with_logits(chosen, targets)


def keypoints_to_heatmap(
    keypoints: fb.Tensor, rois: fb.Tensor, heatmap_size: int
) -> tuple[fb.Tensor, fb.Tensor]:
    """Keypoints [regions, K, 3] as numbers of cells of a square over each region; whether they are in it."""
    x1, y1, x2, y2 = (side[:, None] for side in rois.unbind(1))
    x, y, visible = keypoints.unbind(-1)
    column = ((x - x1) * (heatmap_size / (x2 - x1))).floor().long()
    row = ((y - y1) * (heatmap_size / (y2 - y1))).floor().long()
    column[x == x2] = heatmap_size - 1
    row[y == y2] = heatmap_size - 1
    inside = (column >= 0) & (row >= 0) & (column < heatmap_size) & (row < heatmap_size)
    valid = (inside & (visible > 0)).long()
    return (row * heatmap_size + column) * valid, valid


def heatmaps_to_keypoints(maps: fb.Tensor, rois: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Where logits [regions, K, S, S], enlarged to the regions, are highest [regions, K, 3]; the logits."""
    x1, y1 = rois[:, 0], rois[:, 1]
    widths, heights = (rois[:, 2] - x1).clamp(min=1), (rois[:, 3] - y1).clamp(min=1)
    columns, rows = widths.ceil(), heights.ceil()
    count = maps.shape[1]
    places = fb.zeros((len(rois), 3, count), dtype=fb.float32, device=maps.device)
    scores = fb.zeros((len(rois), count), dtype=fb.float32, device=maps.device)
    across, down = widths / columns, heights / rows
    for i in range(len(rois)):
        size = (int(rows[i].item()), int(columns[i].item()))
        enlarged = F.interpolate(maps[i][:, None], size=size, mode="bicubic", align_corners=False)[:, 0]
        best = enlarged.reshape(count, -1).argmax(dim=1)
        column, row = best % size[1], fb.div(best, size[1], rounding_mode="floor")
        places[i, 0] = (column.float() + 0.5) * across[i] + x1[i]
        places[i, 1] = (row.float() + 0.5) * down[i] + y1[i]
        places[i, 2] = 1
        scores[i] = enlarged[fb.arange(count, device=best.device), row, column]
    return places.permute(0, 2, 1), scores


def keypointrcnn_loss(
    keypoint_logits: fb.Tensor,
    proposals: list[fb.Tensor],
    gt_keypoints: list[fb.Tensor],
    keypoint_matched_idxs: list[fb.Tensor],
) -> fb.Tensor:
    """The loss of the cells of visible keypoints."""
    count, kinds, height, width = keypoint_logits.shape
    if height != width:
        raise ValueError(
            f"keypoint_logits height and width (last two elements of shape) should be equal. "
            f"Instead got H = {height} and W = {width}"
        )
    cells, valid = [], []
    for boxes, keypoints, found in zip(proposals, gt_keypoints, keypoint_matched_idxs, strict=True):
        of_image, inside = keypoints_to_heatmap(keypoints[found], boxes, height)
        cells.append(of_image.view(-1))
        valid.append(inside.view(-1))
    counted = fb.where(fb.cat(valid).to(dtype=fb.bool))[0]
    if counted.numel() == 0:
        return keypoint_logits.sum() * 0
    logits = keypoint_logits.view(count * kinds, height * width)
    return F.cross_entropy(logits[counted], fb.cat(cells)[counted])


def keypointrcnn_inference(x: fb.Tensor, boxes: list[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
    """Keypoints and their scores for each picture."""
    of_images = x.split([len(of_image) for of_image in boxes], dim=0)
    found = [heatmaps_to_keypoints(maps, rois) for maps, rois in zip(of_images, boxes, strict=True)]
    return [places for places, _ in found], [scores for _, scores in found]


def expand_boxes(boxes: fb.Tensor, scale: float) -> fb.Tensor:
    """Boxes around the same centers, `scale` times as large."""
    center, half = (boxes[:, 2:] + boxes[:, :2]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    return fb.cat((center - half, center + half), dim=1)


def expand_masks(mask: fb.Tensor, padding: int) -> tuple[fb.Tensor, float]:
    """Masks with zeros around them, and how much larger they are."""
    side = mask.shape[-1]
    return F.pad(mask, (padding,) * 4), float(side + 2 * padding) / side


def paste_mask_in_image(mask: fb.Tensor, box: fb.Tensor, im_h: int, im_w: int) -> fb.Tensor:
    """A mask [M, M] resized into a box of whole pixels, in a picture of zeros."""
    x1, y1, x2, y2 = (int(side) for side in box.tolist())
    size = (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
    mask = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)[0][0]
    image = fb.zeros((im_h, im_w), dtype=mask.dtype, device=mask.device)
    left, right, top, bottom = max(x1, 0), min(x2 + 1, im_w), max(y1, 0), min(y2 + 1, im_h)
    image[top:bottom, left:right] = mask[top - y1 : bottom - y1, left - x1 : right - x1]
    return image


def paste_masks_in_image(
    masks: fb.Tensor, boxes: fb.Tensor, img_shape: tuple[int, int], padding: int = 1
) -> fb.Tensor:
    """Masks [N, 1, M, M] in pictures: [N, 1, H, W]."""
    masks, scale = expand_masks(masks, padding=padding)
    places = expand_boxes(boxes, scale).to(dtype=fb.int64)
    height, width = img_shape
    pasted = [
        paste_mask_in_image(mask[0], box, height, width) for mask, box in zip(masks, places, strict=True)
    ]
    return fb.stack(pasted, dim=0)[:, None] if pasted else masks.new_empty((0, 1, height, width))


class RoIHeads(nn.Module):
    """Pooling, a head and a predictor for boxes and, where they are given, for masks and keypoints.

    Called with maps, proposals and the pictures' sizes it gives detections (eval) and losses (training).
    """

    def __init__(
        self,
        box_roi_pool: nn.Module,
        box_head: nn.Module,
        box_predictor: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: tuple[float, float, float, float] | None,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        mask_roi_pool: nn.Module | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        keypoint_roi_pool: nn.Module | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self.box_coder = det_utils.BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool, self.box_head, self.box_predictor = box_roi_pool, box_head, box_predictor
        self.score_thresh, self.nms_thresh = score_thresh, nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool, self.mask_head, self.mask_predictor = mask_roi_pool, mask_head, mask_predictor
        self.keypoint_roi_pool, self.keypoint_head = keypoint_roi_pool, keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self) -> bool:
        """Whether masks are predicted."""
        return not any(part is None for part in (self.mask_roi_pool, self.mask_head, self.mask_predictor))

    def has_keypoint(self) -> bool:
        """Whether keypoints are predicted."""
        parts = self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor
        return not any(part is None for part in parts)

    def assign_targets_to_proposals(
        self, proposals: list[fb.Tensor], gt_boxes: list[fb.Tensor], gt_labels: list[fb.Tensor]
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """For each proposal the number of its true box and its class: 0 is background, -1 does not count."""
        matched, labels = [], []
        for boxes, true_boxes, true_labels in zip(proposals, gt_boxes, gt_labels, strict=True):
            if true_boxes.numel() == 0:
                matched.append(fb.zeros((len(boxes),), dtype=fb.int64, device=boxes.device))
                labels.append(fb.zeros((len(boxes),), dtype=fb.int64, device=boxes.device))
                continue
            found = self.proposal_matcher(self.box_similarity(true_boxes, boxes))
            clamped = found.clamp(min=0)
            of_image = true_labels[clamped].to(dtype=fb.int64)
            of_image[found == self.proposal_matcher.BELOW_LOW_THRESHOLD] = 0
            of_image[found == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1
            matched.append(clamped)
            labels.append(of_image)
        return matched, labels

    def subsample(self, labels: list[fb.Tensor]) -> list[fb.Tensor]:
        """Which proposals of each picture are drawn for the loss."""
        positive, negative = self.fg_bg_sampler(labels)
        return [fb.where(yes | no)[0] for yes, no in zip(positive, negative, strict=True)]

    def add_gt_proposals(self, proposals: list[fb.Tensor], gt_boxes: list[fb.Tensor]) -> list[fb.Tensor]:
        """The true boxes are proposals too."""
        return [fb.cat((boxes, true)) for boxes, true in zip(proposals, gt_boxes, strict=True)]

    def check_targets(self, targets: list[dict[str, fb.Tensor]] | None) -> None:
        """Raise unless all parts that the losses need are there."""
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels", *(["masks"] if self.has_mask() else [])):
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(
        self, proposals: list[fb.Tensor], targets: list[dict[str, fb.Tensor]] | None
    ) -> tuple[list[fb.Tensor], list[fb.Tensor], list[fb.Tensor], list[fb.Tensor]]:
        """A sample of the proposals, the numbers of their true boxes, their classes and their shifts."""
        self.check_targets(targets)
        dtype, device = proposals[0].dtype, proposals[0].device
        true_boxes = [target["boxes"].to(dtype) for target in targets]
        proposals = self.add_gt_proposals(proposals, true_boxes)
        matched, labels = self.assign_targets_to_proposals(
            proposals, true_boxes, [target["labels"] for target in targets]
        )
        true_of_sample = []
        for i, chosen in enumerate(self.subsample(labels)):
            proposals[i], labels[i], matched[i] = proposals[i][chosen], labels[i][chosen], matched[i][chosen]
            boxes = true_boxes[i]
            if boxes.numel() == 0:
                boxes = fb.zeros((1, 4), dtype=dtype, device=device)
            true_of_sample.append(boxes[matched[i]])
        return proposals, matched, labels, self.box_coder.encode(true_of_sample, proposals)

    def postprocess_detections(
        self,
        class_logits: fb.Tensor,
        box_regression: fb.Tensor,
        proposals: list[fb.Tensor],
        image_shapes: Sizes,
    ) -> tuple[list[fb.Tensor], list[fb.Tensor], list[fb.Tensor]]:
        """The best boxes of each picture, their scores and classes."""
        counts = [len(boxes) for boxes in proposals]
        decoded = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        probabilities = F.softmax(class_logits, -1).split(counts, 0)
        all_boxes, all_scores, all_labels = [], [], []
        for boxes, scores, shape in zip(decoded, probabilities, image_shapes, strict=True):
            boxes = box_ops.clip_boxes_to_image(boxes, shape)
            labels = fb.arange(class_logits.shape[-1], device=scores.device).view(1, -1).expand_as(scores)
            boxes = boxes[:, 1:].reshape(-1, 4)  # without the background
            scores, labels = scores[:, 1:].reshape(-1), labels[:, 1:].reshape(-1)
            keep = fb.where(scores > self.score_thresh)[0]
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
            keep = box_ops.remove_small_boxes(boxes, min_size=1e-2)
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
            keep = box_ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
            all_boxes.append(boxes[keep])
            all_scores.append(scores[keep])
            all_labels.append(labels[keep])
        return all_boxes, all_scores, all_labels

    def _check_types(self, targets: list[dict[str, fb.Tensor]] | None) -> None:
        for target in targets or []:
            if target["boxes"].dtype not in (fb.float, fb.double, fb.half):
                raise TypeError(f"target boxes must of float type, instead got {target['boxes'].dtype}")
            if target["labels"].dtype != fb.int64:
                raise TypeError(f"target labels must of int64 type, instead got {target['labels'].dtype}")
            if self.has_keypoint() and target["keypoints"].dtype != fb.float32:
                raise TypeError(
                    f"target keypoints must of float type, instead got {target['keypoints'].dtype}"
                )

    def forward(
        self,
        features: dict[str, fb.Tensor],
        proposals: list[fb.Tensor],
        image_shapes: Sizes,
        targets: list[dict[str, fb.Tensor]] | None = None,
    ) -> tuple[list[dict[str, fb.Tensor]], dict[str, fb.Tensor]]:
        self._check_types(targets)
        matched: list[fb.Tensor] = []
        labels: list[fb.Tensor] = []
        shifts: list[fb.Tensor] = []
        if self.training:
            proposals, matched, labels, shifts = self.select_training_samples(proposals, targets)
        pooled = self.box_roi_pool(features, proposals, image_shapes)
        class_logits, box_regression = self.box_predictor(self.box_head(pooled))
        result: list[dict[str, fb.Tensor]] = []
        losses: dict[str, fb.Tensor] = {}
        if self.training:
            of_classes, of_boxes = fastrcnn_loss(class_logits, box_regression, labels, shifts)
            losses = {"loss_classifier": of_classes, "loss_box_reg": of_boxes}
            with_object = [fb.where(of_image > 0)[0] for of_image in labels]
            regions = [boxes[keep] for boxes, keep in zip(proposals, with_object, strict=True)]
            matched = [found[keep] for found, keep in zip(matched, with_object, strict=True)]
        else:
            found = self.postprocess_detections(class_logits, box_regression, proposals, image_shapes)
            result = [
                {"boxes": boxes, "labels": of_image, "scores": scores}
                for boxes, scores, of_image in zip(*found, strict=True)
            ]
            regions = [detected["boxes"] for detected in result]
        if self.has_mask():
            losses |= self._masks(features, regions, image_shapes, matched, targets, result)
        if self.has_keypoint():
            losses |= self._keypoints(features, regions, image_shapes, matched, targets, result)
        return result, losses

    def _masks(
        self, features: dict, regions: list, shapes: Sizes, matched: list, targets: Any, result: list[dict]
    ) -> dict[str, fb.Tensor]:
        """Masks into the detections, or their loss."""
        logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, regions, shapes)))
        if self.training:
            masks, labels = [t["masks"] for t in targets], [t["labels"] for t in targets]
            return {"loss_mask": maskrcnn_loss(logits, regions, masks, labels, matched)}
        probabilities = maskrcnn_inference(logits, [detected["labels"] for detected in result])
        for detected, masks in zip(result, probabilities, strict=True):
            detected["masks"] = masks
        return {}

    def _keypoints(
        self, features: dict, regions: list, shapes: Sizes, matched: list, targets: Any, result: list[dict]
    ) -> dict[str, fb.Tensor]:
        """Keypoints into the detections, or their loss."""
        pooled = self.keypoint_roi_pool(features, regions, shapes)
        logits = self.keypoint_predictor(self.keypoint_head(pooled))
        if self.training:
            true = [target["keypoints"] for target in targets]
            return {"loss_keypoint": keypointrcnn_loss(logits, regions, true, matched)}
        places, scores = keypointrcnn_inference(logits, regions)
        for detected, keypoints, of_image in zip(result, places, scores, strict=True):
            detected["keypoints"], detected["keypoints_scores"] = keypoints, of_image
        return {}
