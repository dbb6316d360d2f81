"""The ways to write a box, each turned into the corners (x1, y1, x2, y2), or the corner points of a turned
box, and back.

Turned boxes have an angle in degrees, counter-clockwise as seen; ``xywhr`` starts at the corner that was
top left.
"""

from __future__ import annotations

from collections.abc import Callable

import flambeau as fb

PLAIN = ("xyxy", "xywh", "cxcywh")
TURNED = ("xywhr", "cxcywhr", "xyxyxyxy")


def _xywh_to_xyxy(boxes: fb.Tensor) -> fb.Tensor:
    x, y, w, h = boxes.unbind(-1)
    return fb.stack([x, y, x + w, y + h], dim=-1)


def _xyxy_to_xywh(boxes: fb.Tensor) -> fb.Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return fb.stack([x1, y1, x2 - x1, y2 - y1], dim=-1)


def _cxcywh_to_xyxy(boxes: fb.Tensor) -> fb.Tensor:
    cx, cy, w, h = boxes.unbind(-1)
    return fb.stack([cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h], dim=-1)


def _xyxy_to_cxcywh(boxes: fb.Tensor) -> fb.Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return fb.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=-1)


def _turn(angle: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    radians = angle * fb.pi / 180.0
    return radians.cos(), radians.sin()


def _xywhr_to_points(boxes: fb.Tensor) -> fb.Tensor:
    x, y, w, h, angle = boxes.unbind(-1)
    cos, sin = _turn(angle)
    across, down = (w * cos, -w * sin), (h * sin, h * cos)
    return fb.stack(
        [
            x,
            y,
            x + across[0],
            y + across[1],
            x + across[0] + down[0],
            y + across[1] + down[1],
            x + down[0],
            y + down[1],
        ],
        dim=-1,
    )


def _points_to_xywhr(boxes: fb.Tensor) -> fb.Tensor:
    x1, y1, x2, y2, x3, y3, _, _ = boxes.unbind(-1)
    angle = fb.atan2(y1 - y2, x2 - x1) * 180.0 / fb.pi
    width = ((x2 - x1) ** 2 + (y2 - y1) ** 2).sqrt()
    height = ((x3 - x2) ** 2 + (y3 - y2) ** 2).sqrt()
    return fb.stack([x1, y1, width, height, angle], dim=-1)


def _centre_shift(boxes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """From the first corner of a turned box to its middle."""
    _, _, w, h, angle = boxes.unbind(-1)
    cos, sin = _turn(angle)
    return (w * cos + h * sin) / 2, (h * cos - w * sin) / 2


def _cxcywhr_to_points(boxes: fb.Tensor) -> fb.Tensor:
    dx, dy = _centre_shift(boxes)
    shift = fb.stack([dx, dy, *[fb.zeros_like(dx)] * 3], dim=-1)
    return _xywhr_to_points(boxes - shift)


def _points_to_cxcywhr(boxes: fb.Tensor) -> fb.Tensor:
    corner = _points_to_xywhr(boxes)
    dx, dy = _centre_shift(corner)
    return corner + fb.stack([dx, dy, *[fb.zeros_like(dx)] * 3], dim=-1)


def _same(boxes: fb.Tensor) -> fb.Tensor:
    return boxes


_TO_COMMON: dict[str, Callable] = {
    "xyxy": _same,
    "xywh": _xywh_to_xyxy,
    "cxcywh": _cxcywh_to_xyxy,
    "xyxyxyxy": _same,
    "xywhr": _xywhr_to_points,
    "cxcywhr": _cxcywhr_to_points,
}
_FROM_COMMON: dict[str, Callable] = {
    "xyxy": _same,
    "xywh": _xyxy_to_xywh,
    "cxcywh": _xyxy_to_cxcywh,
    "xyxyxyxy": _same,
    "xywhr": _points_to_xywhr,
    "cxcywhr": _points_to_cxcywhr,
}


def convert(boxes: fb.Tensor, old: str, new: str) -> fb.Tensor:
    """Boxes in another format of the same family (plain or turned)."""
    return _FROM_COMMON[new](_TO_COMMON[old](boxes))
