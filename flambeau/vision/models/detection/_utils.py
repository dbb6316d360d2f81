"""Sampling, matching and coding of boxes. Boxes are [N, 4] as (x1, y1, x2, y2)."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import FrozenBatchNorm2d, complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss
from .._api import WeightsEnum, require

F = nn.functional


class BalancedPositiveNegativeSampler:
    """Draw `batch_size_per_image` samples, up to `positive_fraction` of them positive.

    Takes labels of each picture: from 1 on positive, 0 negative, -1 ignored. Returns two lists of masks.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction

    def __call__(self, matched_idxs: list[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        positives, negatives = [], []
        for labels in matched_idxs:
            positive, negative = fb.where(labels >= 1)[0], fb.where(labels == 0)[0]
            count = min(positive.numel(), int(self.batch_size_per_image * self.positive_fraction))
            rest = min(negative.numel(), self.batch_size_per_image - count)
            for found, number, masks in ((positive, count, positives), (negative, rest, negatives)):
                chosen = fb.randperm(found.numel(), device=found.device)[:number]
                mask = fb.zeros_like(labels, dtype=fb.uint8)
                mask[found[chosen]] = 1
                masks.append(mask)
        return positives, negatives


def _centers(boxes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor, fb.Tensor]:
    """Centers and sizes: x, y, width, height."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height


def encode_boxes(reference_boxes: fb.Tensor, proposals: fb.Tensor, weights: fb.Tensor) -> fb.Tensor:
    """Where reference boxes lie relative to proposals: shifts of centers, logarithms of sizes, weighted."""
    x, y, width, height = _centers(reference_boxes)
    px, py, pwidth, pheight = _centers(proposals)
    shifts = [(x - px) / pwidth, (y - py) / pheight, fb.log(width / pwidth), fb.log(height / pheight)]
    return fb.stack([weight * shift for weight, shift in zip(weights, shifts, strict=True)], dim=1)


class BoxCoder:
    """Boxes as shifts relative to other boxes, and back. (arXiv:1311.2524)

    Parameters
    ----------
    weights : of the shifts of x, y, width and height
    bbox_xform_clip : the largest logarithm of a size that is decoded
    """

    def __init__(
        self, weights: tuple[float, float, float, float], bbox_xform_clip: float = math.log(1000.0 / 16)
    ) -> None:
        self.weights, self.bbox_xform_clip = weights, bbox_xform_clip

    def encode(self, reference_boxes: list[fb.Tensor], proposals: list[fb.Tensor]) -> list[fb.Tensor]:
        """Of each picture."""
        counts = [len(boxes) for boxes in reference_boxes]
        return list(self.encode_single(fb.cat(reference_boxes), fb.cat(proposals)).split(counts, 0))

    def encode_single(self, reference_boxes: fb.Tensor, proposals: fb.Tensor) -> fb.Tensor:
        """Of boxes one by one."""
        weights = fb.as_tensor(self.weights, dtype=reference_boxes.dtype, device=reference_boxes.device)
        return encode_boxes(reference_boxes, proposals, weights)

    def decode(self, rel_codes: fb.Tensor, boxes: list[fb.Tensor]) -> fb.Tensor:
        """Shifts [N, 4 * K] relative to the boxes of all pictures, as boxes [N, K, 4]."""
        count = sum(len(of_one) for of_one in boxes)
        together = fb.cat(boxes)
        if count:
            rel_codes = rel_codes.reshape(count, -1)
        decoded = self.decode_single(rel_codes, together)
        return decoded.reshape(count, -1, 4) if count else decoded

    def decode_single(self, rel_codes: fb.Tensor, boxes: fb.Tensor) -> fb.Tensor:
        """Shifts [N, 4 * K] relative to N boxes, as boxes [N, 4 * K]."""
        x, y, width, height = (part[:, None] for part in _centers(boxes.to(rel_codes.dtype)))
        dx, dy, dw, dh = (rel_codes[:, i::4] / weight for i, weight in enumerate(self.weights))
        new_width = fb.exp(fb.clamp(dw, max=self.bbox_xform_clip)) * width
        new_height = fb.exp(fb.clamp(dh, max=self.bbox_xform_clip)) * height
        new_x, new_y = dx * width + x, dy * height + y
        half_width, half_height = 0.5 * new_width, 0.5 * new_height
        corners = new_x - half_width, new_y - half_height, new_x + half_width, new_y + half_height
        return fb.stack(corners, dim=2).flatten(1)


class BoxLinearCoder:
    """Boxes as distances of their sides from the centers of other boxes, and back. (arXiv:1904.01355)

    With `normalize_by_size` the distances are in widths and heights of these.
    """

    def __init__(self, normalize_by_size: bool = True) -> None:
        self.normalize_by_size = normalize_by_size

    def _frame(self, proposals: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
        """Centers x and y, and the units of the four distances."""
        x1, y1, x2, y2 = proposals.unbind(-1)
        width, height = x2 - x1, y2 - y1
        return 0.5 * (x1 + x2), 0.5 * (y1 + y2), fb.stack((width, height, width, height), dim=-1)

    def encode(self, reference_boxes: fb.Tensor, proposals: fb.Tensor) -> fb.Tensor:
        """Distances [..., 4]: left, top, right, bottom."""
        x, y, units = self._frame(proposals)
        x1, y1, x2, y2 = reference_boxes.unbind(-1)
        distances = fb.stack((x - x1, y - y1, x2 - x, y2 - y), dim=-1)
        return distances / units if self.normalize_by_size else distances

    def decode(self, rel_codes: fb.Tensor, boxes: fb.Tensor) -> fb.Tensor:
        """Boxes from distances; both [..., 4]."""
        x, y, units = self._frame(boxes.to(rel_codes.dtype))
        left, top, right, bottom = (rel_codes * units if self.normalize_by_size else rel_codes).unbind(-1)
        return fb.stack((x - left, y - top, x + right, y + bottom), dim=-1)


class Matcher:
    """Give each prediction the best of the true boxes, or none.

    Parameters
    ----------
    high_threshold : from this quality on it is a match
    low_threshold : below it is `BELOW_LOW_THRESHOLD`; between the two `BETWEEN_THRESHOLDS`
    allow_low_quality_matches : the best predictions of each true box are matches whatever their quality
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(
        self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False
    ) -> None:
        if low_threshold > high_threshold:
            raise AssertionError("low_threshold should be <= high_threshold")
        self.high_threshold, self.low_threshold = high_threshold, low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: fb.Tensor) -> fb.Tensor:
        """From qualities [true boxes, predictions], the number of the true box for each prediction."""
        if match_quality_matrix.numel() == 0:
            if match_quality_matrix.shape[0] == 0:
                raise ValueError("No ground-truth boxes available for one of the images during training")
            raise ValueError("No proposal boxes available for one of the images during training")
        quality, best = match_quality_matrix.max(dim=0)
        matches = best.clone()
        matches[quality < self.low_threshold] = self.BELOW_LOW_THRESHOLD
        between = (quality >= self.low_threshold) & (quality < self.high_threshold)
        matches[between] = self.BETWEEN_THRESHOLDS
        if self.allow_low_quality_matches:
            self.set_low_quality_matches_(matches, best, match_quality_matrix)
        return matches

    def set_low_quality_matches_(
        self, matches: fb.Tensor, all_matches: fb.Tensor, match_quality_matrix: fb.Tensor
    ) -> None:
        """Predictions as good as the best of some true box are matched with the best of the true boxes."""
        highest = match_quality_matrix.max(dim=1, keepdim=True)[0]
        predictions = fb.where(match_quality_matrix == highest)[1]
        matches[predictions] = all_matches[predictions]


class SSDMatcher(Matcher):
    """One threshold; the best prediction of each true box is its match."""

    def __init__(self, threshold: float) -> None:
        super().__init__(threshold, threshold, allow_low_quality_matches=False)

    def __call__(self, match_quality_matrix: fb.Tensor) -> fb.Tensor:
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(dim=1)[1]
        matches[best] = fb.arange(best.numel(), dtype=fb.int64, device=best.device)
        return matches


def overwrite_eps(model: nn.Module, eps: float) -> None:
    """Set the epsilon of frozen normalizations: the first published weights were trained with 0."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def retrieve_out_channels(model: nn.Module, size: tuple[int, int]) -> list[int]:
    """The channels of each result of a backbone, found by running it on zeros [1, 3, size[1], size[0]]."""
    training = model.training
    model.eval()
    with fb.no_grad():
        device = next(model.parameters()).device
        features = model(fb.zeros((1, 3, size[1], size[0]), device=device))
    model.train(training)
    if isinstance(features, fb.Tensor):
        features = OrderedDict([("0", features)])
    return [result.size(1) for result in features.values()]


def box_loss(
    kind: str,
    box_coder: BoxCoder,
    anchors: fb.Tensor,
    true_boxes: fb.Tensor,
    predicted: fb.Tensor,
    options: dict[str, Any] | None = None,
) -> fb.Tensor:
    """The summed loss of predicted shifts of one picture: l1, smooth_l1, giou, diou or ciou."""
    if kind not in ("l1", "smooth_l1", "ciou", "diou", "giou"):
        raise AssertionError(f"Unsupported loss: {kind}")
    options = options or {}
    if kind in ("l1", "smooth_l1"):
        target = box_coder.encode_single(true_boxes, anchors)
        if kind == "l1":
            return F.l1_loss(predicted, target, reduction="sum")
        return F.smooth_l1_loss(predicted, target, reduction="sum", beta=options.get("beta", 1.0))
    losses = {
        "ciou": complete_box_iou_loss,
        "diou": distance_box_iou_loss,
        "giou": generalized_box_iou_loss,
    }
    boxes = box_coder.decode_single(predicted, anchors)
    return losses[kind](boxes, true_boxes, reduction="sum", eps=options.get("eps", 1e-7))


def box_targets_are_sound(targets: list[dict[str, fb.Tensor]] | None) -> None:
    """Raise an AssertionError unless every picture has a tensor of boxes [N, 4] for training."""
    if targets is None:
        raise AssertionError("targets should not be none when in training mode")
    for target in targets:
        boxes = target["boxes"]
        if not isinstance(boxes, fb.Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.dim() != 2 or boxes.shape[-1] != 4:
            raise AssertionError(f"Expected target boxes to be a tensor of shape [N, 4], got {boxes.shape}.")


def boxes_have_sizes(targets: list[dict[str, fb.Tensor]] | None) -> None:
    """Raise an AssertionError if a true box has no width or height."""
    for i, target in enumerate(targets or []):
        boxes = target["boxes"]
        wrong = boxes[:, 2:] <= boxes[:, :2]
        if wrong.any():
            first = boxes[fb.where(wrong.any(dim=1))[0][0]].tolist()
            raise AssertionError(
                "All bounding boxes should have positive height and width. "
                f"Found invalid box {first} for target at index {i}."
            )


def original_sizes(images: list[fb.Tensor]) -> list[tuple[int, int]]:
    """Height and width of each picture as it was given."""
    sizes = []
    for image in images:
        size = image.shape[-2:]
        if len(size) != 2:
            raise AssertionError(
                f"expecting the last two dimensions of the Tensor to be H and W instead got {size}"
            )
        sizes.append((size[0], size[1]))
    return sizes


def class_count(weights: WeightsEnum | None, num_classes: int | None, default: int = 91) -> int:
    """The number of classes: what the weights have, what was asked for, or the default."""
    if weights is not None:
        given = {} if num_classes is None else {"num_classes": num_classes}
        require(given, "num_classes", len(weights.meta["categories"]))
        return given["num_classes"]
    return default if num_classes is None else num_classes
