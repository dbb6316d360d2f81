"""The complete IoU as a loss."""

from __future__ import annotations

import flambeau as fb

from ._reduction import reduced, wide_floats
from .diou_loss import distance_and_iou


def complete_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """1 - the complete IoU of box i with box i; boxes are corners [..., 4]. arXiv:1911.08287"""
    one, two = wide_floats(boxes1), wide_floats(boxes2)
    loss, iou = distance_and_iou(one, two, eps)
    shapes = [fb.atan((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])) for b in (two, one)]
    shape = (4 / fb.pi**2) * (shapes[0] - shapes[1]) ** 2
    with fb.no_grad():
        weight = shape / (1 - iou + shape + eps)
    return reduced(loss + weight * shape, reduction)
