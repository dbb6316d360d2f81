"""Boxes: formats, areas, overlaps, clipping and non-maximum suppression.

A box is a row of numbers, by default the corners (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2.
"""

from __future__ import annotations

import flambeau as fb

from ._box_formats import PLAIN, TURNED, convert

_NUMBERS_FOR_TRICK = 4000  # above this many, one suppression a class is cheaper than one for all


def nms(boxes: fb.Tensor, scores: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """The indices of the boxes that remain when, from the best score down, each box removes those that
    overlap it by more than the threshold.

    Parameters
    ----------
    boxes : [N, 4] corners.
    scores : [N].

    Returns the indices as int64, the best score first; equal scores stay in their order.
    """
    if boxes.dim() != 2 or boxes.size(1) != 4:
        raise RuntimeError(
            f"boxes should be a 2d tensor with 4 elements in dimension 1, got {tuple(boxes.shape)}"
        )
    if scores.dim() != 1 or scores.size(0) != boxes.size(0):
        raise RuntimeError(
            f"boxes and scores should have same number of elements in dimension 0, got {boxes.size(0)} and "
            f"{tuple(scores.shape)}"
        )
    order = fb.argsort(scores.detach(), dim=0, descending=True, stable=True)
    keep = fb._box_suppress(_wide(boxes.detach())[order].cpu(), iou_threshold)
    return order[keep.to(order.device)]


def batched_nms(boxes: fb.Tensor, scores: fb.Tensor, idxs: fb.Tensor, iou_threshold: float) -> fb.Tensor:
    """`nms` in which only boxes of the same class (`idxs`, [N]) remove each other."""
    if boxes.numel() == 0:
        return fb.empty((0,), dtype=fb.int64, device=boxes.device)
    if boxes.numel() <= _NUMBERS_FOR_TRICK:
        # each class is moved to a place of its own, where it meets no other
        shift = idxs.to(boxes) * (boxes.max() + fb.tensor(1).to(boxes))
        return nms(boxes + shift[:, None], scores, iou_threshold)
    keep = fb.zeros_like(scores, dtype=fb.bool)
    for label in fb.unique(idxs):
        members = fb.where(idxs == label)[0]
        keep[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    kept = fb.where(keep)[0]
    return kept[scores[kept].sort(descending=True)[1]]


def remove_small_boxes(boxes: fb.Tensor, min_size: float) -> fb.Tensor:
    """The indices of the boxes with both sides at least `min_size` long."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return fb.where((width >= min_size) & (height >= min_size))[0]


def clip_boxes_to_image(boxes: fb.Tensor, size: tuple[int, int]) -> fb.Tensor:
    """Boxes cut at the borders of a picture of size (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return fb.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def box_convert(boxes: fb.Tensor, in_fmt: str, out_fmt: str) -> fb.Tensor:
    """Boxes in another format.

    Formats: 'xyxy', 'xywh', 'cxcywh'; turned ones 'xywhr', 'cxcywhr' (degrees, counter-clockwise), 'xyxyxyxy'
    (the corner points). Plain and turned ones do not mix.
    """
    known = (*PLAIN, *TURNED)
    if in_fmt not in known or out_fmt not in known or (in_fmt in PLAIN) != (out_fmt in PLAIN):
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}\n"
            f"{in_fmt!r} cannot be turned into {out_fmt!r}; the formats are {', '.join(known)}."
        )
    return boxes.clone() if in_fmt == out_fmt else convert(boxes, in_fmt, out_fmt)


def _wide(numbers: fb.Tensor) -> fb.Tensor:
    """A type in which products of coordinates do not overflow."""
    if numbers.is_floating_point():
        return numbers if numbers.dtype in (fb.float32, fb.float64) else numbers.float()
    return numbers if numbers.dtype in (fb.int32, fb.int64) else numbers.int()


def _corners(boxes: fb.Tensor, fmt: str) -> fb.Tensor:
    if fmt not in PLAIN:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    return convert(boxes, fmt, "xyxy")


def box_area(boxes: fb.Tensor, fmt: str = "xyxy") -> fb.Tensor:
    """The areas [N] of boxes [N, 4]."""
    x1, y1, x2, y2 = _wide(_corners(boxes, fmt)).unbind(-1)
    return (x2 - x1) * (y2 - y1)


def _inter_union(one: fb.Tensor, two: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    ax1, ay1, ax2, ay2 = (column[..., :, None] for column in one.unbind(-1))
    bx1, by1, bx2, by2 = (column[..., None, :] for column in two.unbind(-1))
    width = _wide(fb.min(ax2, bx2) - fb.max(ax1, bx1)).clamp(min=0)
    inter = width * _wide(fb.min(ay2, by2) - fb.max(ay1, by1)).clamp(min=0)
    return inter, box_area(one)[..., None] + box_area(two)[..., None, :] - inter


def box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor, fmt: str = "xyxy") -> fb.Tensor:
    """Intersection over union of each of N boxes with each of M: [N, M]."""
    inter, union = _inter_union(_corners(boxes1, fmt), _corners(boxes2, fmt))
    return inter / union


def _hull(one: fb.Tensor, two: fb.Tensor) -> fb.Tensor:
    """Width and height of the smallest box around each pair."""
    first = fb.min(one[..., None, :2], two[..., None, :, :2])
    last = fb.max(one[..., None, 2:], two[..., None, :, 2:])
    return _wide(last - first).clamp(min=0)


def generalized_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor) -> fb.Tensor:
    """IoU less the part of the hull that neither box covers: [N, M]. arXiv:1902.09630"""
    inter, union = _inter_union(boxes1, boxes2)
    sides = _hull(boxes1, boxes2)
    hull = sides[..., 0] * sides[..., 1]
    return inter / union - (hull - union) / hull


def _distance(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float) -> tuple[fb.Tensor, fb.Tensor]:
    iou = box_iou(boxes1, boxes2)
    sides = _hull(boxes1, boxes2)
    diagonal = sides[..., 0] ** 2 + sides[..., 1] ** 2 + eps
    one, two = ((boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2))
    apart = _wide(one[..., None, :] - two[..., None, :, :]) ** 2
    return iou - apart.sum(-1) / diagonal, iou


def distance_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float = 1e-7) -> fb.Tensor:
    """IoU less the squared distance of the middles over the hull's diagonal: [N, M]. arXiv:1911.08287"""
    return _distance(_wide(boxes1), _wide(boxes2), eps)[0]


def complete_box_iou(boxes1: fb.Tensor, boxes2: fb.Tensor, eps: float = 1e-7) -> fb.Tensor:
    """`distance_box_iou` less a term for different shapes: [N, M]. arXiv:1911.08287"""
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    distance, iou = _distance(boxes1, boxes2, eps)
    one, two = (
        fb.atan((boxes[..., 2] - boxes[..., 0]) / (boxes[..., 3] - boxes[..., 1]))
        for boxes in (boxes1, boxes2)
    )
    shape = (4 / fb.pi**2) * (one[..., None] - two[..., None, :]) ** 2
    with fb.no_grad():
        weight = shape / (1 - iou + shape + eps)
    return distance - weight * shape


def masks_to_boxes(masks: fb.Tensor) -> fb.Tensor:
    """The boxes [N, 4] (float32) around the nonzero pixels of masks [N, H, W]; x2, y2 is the last one."""
    boxes = fb.zeros((masks.shape[0], 4), device=masks.device, dtype=fb.float)
    for box, mask in zip(boxes, masks, strict=True):
        y, x = fb.where(mask != 0)
        if len(x) == 0:
            raise ValueError("masks_to_boxes: a mask has no pixel that is not zero, hence no box")
        box.copy_(fb.stack([x.min(), y.min(), x.max(), y.max()]))
    return boxes
