"""The distance IoU as a loss."""

from __future__ import annotations

import flambeau as fb

from ._reduction import paired_hull, paired_inter_union, reduced, wide_floats


def distance_and_iou(one: fb.Tensor, two: fb.Tensor, eps: float) -> tuple[fb.Tensor, fb.Tensor]:
    """1 - IoU + the squared distance of the middles over that of the hull's corners; and the IoU."""
    inter, union = paired_inter_union(one, two)
    iou = inter / (union + eps)
    diagonal = (paired_hull(one, two) ** 2).sum(dim=-1) + eps
    middles = [(boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (one, two)]
    return 1 - iou + ((middles[0] - middles[1]) ** 2).sum(dim=-1) / diagonal, iou


def distance_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """1 - the distance IoU of box i with box i; boxes are corners [..., 4]. arXiv:1911.08287"""
    return reduced(distance_and_iou(wide_floats(boxes1), wide_floats(boxes2), eps)[0], reduction)
