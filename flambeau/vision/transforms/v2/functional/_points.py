"""How boxes and points follow the movements of their picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, KeyPoints, is_rotated_bounding_format

from ._meta import clamped, converted

Move = Callable[[fb.Tensor], fb.Tensor]


def _rectangles(points: fb.Tensor) -> fb.Tensor:
    """The rectangles, along the first side of each, around parallelograms [N, 4, 2]."""
    first = points[:, 1] - points[:, 0]
    length = first.norm(dim=-1, keepdim=True)
    along = first / fb.where(length == 0, fb.ones_like(length), length)
    across = fb.stack([-along[:, 1], along[:, 0]], dim=-1)
    u, v = (points * along[:, None]).sum(-1), (points * across[:, None]).sum(-1)
    corners = [(u.amin(1), v.amin(1)), (u.amax(1), v.amin(1)), (u.amax(1), v.amax(1)), (u.amin(1), v.amax(1))]
    return fb.stack([a[:, None] * along + b[:, None] * across for a, b in corners], dim=1)


def move_boxes(
    boxes: BoundingBoxes,
    move: Move,
    canvas_size: tuple[int, int] | None = None,
    mirrored: bool = False,
    cut: bool = True,
) -> BoundingBoxes:
    """Boxes whose corner points are moved by `move` ([N, 4, 2] to the same), then cut at the new canvas.

    Boxes that are not turned become the upright boxes around the moved corners. `mirrored` says that left
    and right exchange their roles; without `cut` what reaches out of the canvas goes on doing so.
    """
    canvas_size = boxes.canvas_size if canvas_size is None else canvas_size
    plain = boxes.as_subclass(fb.Tensor)
    work = plain if plain.is_floating_point() else plain.to(fb.float32)
    if is_rotated_bounding_format(boxes.format):
        points = converted(work, boxes.format, BoundingBoxFormat.XYXYXYXY).reshape(-1, 4, 2)
        points = move(points)
        points = points[:, [1, 0, 3, 2]] if mirrored else points
        if boxes.format != BoundingBoxFormat.XYXYXYXY:
            points = _rectangles(points)
        out = converted(points.reshape(-1, 8), BoundingBoxFormat.XYXYXYXY, boxes.format)
    else:
        corners = converted(work, boxes.format, BoundingBoxFormat.XYXY)
        points = move(corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        corners = fb.cat([points.amin(dim=1), points.amax(dim=1)], dim=-1) if len(points) else corners
        if cut:
            corners = clamped(corners, BoundingBoxFormat.XYXY, canvas_size, boxes.clamping_mode)
        out = converted(corners, BoundingBoxFormat.XYXY, boxes.format)
    return tv_tensors.wrap(out.to(plain.dtype), like=boxes, canvas_size=canvas_size)


def move_points(points: KeyPoints, move: Move, canvas_size: tuple[int, int] | None = None) -> KeyPoints:
    """Points moved by `move`, from [N, 2] to the same."""
    plain = points.as_subclass(fb.Tensor)
    work = plain if plain.is_floating_point() else plain.to(fb.float32)
    out = move(work.reshape(-1, 2)).reshape(plain.shape).to(plain.dtype)
    return tv_tensors.wrap(
        out, like=points, canvas_size=points.canvas_size if canvas_size is None else canvas_size
    )


def scaled(x: float, y: float) -> Move:
    return lambda points: points * fb.tensor([x, y], dtype=points.dtype, device=points.device)


def shifted(x: float, y: float) -> Move:
    return lambda points: points + fb.tensor([x, y], dtype=points.dtype, device=points.device)


def through(matrix: np.ndarray) -> Move:
    """By a 3 × 3 matrix of a projection."""

    def move(points: fb.Tensor) -> fb.Tensor:
        m = fb.from_numpy(np.ascontiguousarray(matrix)).to(points)
        out = points @ m[:, :2].t() + m[:, 2]
        return out[..., :2] / out[..., 2:]

    return move


def inverse(numbers: list[float]) -> np.ndarray:
    """The inverse of the matrix with these numbers; the last ones, if missing, are 0, 0, 1."""
    return np.linalg.inv(np.array([*numbers, *[0.0, 0.0, 1.0][len(numbers) - 9 :]]).reshape(3, 3))
