"""What the losses on boxes share."""

from __future__ import annotations

import flambeau as fb


def reduced(loss: fb.Tensor, reduction: str) -> fb.Tensor:
    """The losses themselves, their mean (0 of none), or their sum."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
    )


def paired_inter_union(one: fb.Tensor, two: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """Intersection and union of box i of one with box i of the other."""
    first, last = fb.max(one[..., :2], two[..., :2]), fb.min(one[..., 2:], two[..., 2:])
    sides = last - first
    meet = (sides > 0).all(dim=-1)
    inter = fb.where(meet, sides[..., 0] * sides[..., 1], fb.zeros_like(sides[..., 0]))
    areas = [(boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]) for boxes in (one, two)]
    return inter, areas[0] + areas[1] - inter


def paired_hull(one: fb.Tensor, two: fb.Tensor) -> fb.Tensor:
    """Width and height of the box around box i of both."""
    return fb.max(one[..., 2:], two[..., 2:]) - fb.min(one[..., :2], two[..., :2])


def wide_floats(boxes: fb.Tensor) -> fb.Tensor:
    return boxes if boxes.dtype in (fb.float32, fb.float64) else boxes.float()
