"""The generalized IoU as a loss."""

from __future__ import annotations

import flambeau as fb

from ._reduction import paired_hull, paired_inter_union, reduced, wide_floats


def generalized_box_iou_loss(
    boxes1: fb.Tensor, boxes2: fb.Tensor, reduction: str = "none", eps: float = 1e-7
) -> fb.Tensor:
    """1 - the generalized IoU of box i with box i; boxes are corners [..., 4]. arXiv:1902.09630"""
    one, two = wide_floats(boxes1), wide_floats(boxes2)
    inter, union = paired_inter_union(one, two)
    hull = paired_hull(one, two).prod(dim=-1)
    return reduced(1 - (inter / (union + eps) - (hull - union) / (hull + eps)), reduction)
