"""Functions that move pixels, and boxes, points and masks with them."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.tv_tensors import BoundingBoxes, KeyPoints, Mask

from ... import _on_tensor
from ... import functional as pictures
from ...functional import InterpolationMode
from ._dispatch import dispatch, on_kind, on_pictures
from ._points import inverse, move_boxes, move_points, scaled, shifted, through

_NEAREST = InterpolationMode.NEAREST


def _on_both(functional: Any, kernel: Any) -> None:
    """Boxes and points: `kernel` takes the function that moves them first, then input and arguments."""
    on_kind(functional, lambda inpt, *a, **k: kernel(move_boxes, inpt, *a, **k), BoundingBoxes)
    on_kind(functional, lambda inpt, *a, **k: kernel(move_points, inpt, *a, **k), KeyPoints)


def horizontal_flip(inpt: Any) -> Any:
    """Left and right exchanged."""
    return dispatch(horizontal_flip, inpt)


def vertical_flip(inpt: Any) -> Any:
    """Top and bottom exchanged."""
    return dispatch(vertical_flip, inpt)


hflip, vflip = horizontal_flip, vertical_flip


def _flip_boxes(boxes: BoundingBoxes, sideways: bool) -> BoundingBoxes:
    height, width = boxes.canvas_size
    sign, shift = ((-1, 1), (width, 0)) if sideways else ((1, -1), (0, height))
    return move_boxes(boxes, lambda p: shifted(*shift)(scaled(*sign)(p)), mirrored=True, cut=False)


def _flip_points(points: KeyPoints, sideways: bool) -> KeyPoints:
    height, width = points.canvas_size  # points are pixels: the last one has the number width - 1
    sign, shift = ((-1, 1), (width - 1, 0)) if sideways else ((1, -1), (0, height - 1))
    return move_points(points, lambda p: shifted(*shift)(scaled(*sign)(p)))


for _functional, _kernel, _sideways in (
    (horizontal_flip, pictures.hflip, True),
    (vertical_flip, pictures.vflip, False),
):
    on_pictures(_functional, _kernel)
    on_pictures(_functional, _kernel, (Mask,))
    on_kind(_functional, lambda boxes, s=_sideways: _flip_boxes(boxes, s), BoundingBoxes)
    on_kind(_functional, lambda points, s=_sideways: _flip_points(points, s), KeyPoints)


def resize(
    inpt: Any,
    size: Sequence[int] | int | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """To (height, width), or the shorter side to one number, or (None) the longer side to `max_size`."""
    return dispatch(
        resize, inpt, size=size, interpolation=interpolation, max_size=max_size, antialias=antialias
    )


def _resize_picture(
    img: Any,
    size: Sequence[int] | int | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    return pictures.resized(img, size, interpolation, max_size, antialias, as_bytes=True)


def _resize_mask(mask: fb.Tensor, size: Any, max_size: int | None = None, **_: Any) -> fb.Tensor:
    return pictures.resize(mask, size, _NEAREST, max_size)


def _resize_moved(move: Any, inpt: Any, size: Any, max_size: int | None = None, **_: Any) -> Any:
    height, width = inpt.canvas_size
    size = [size] if isinstance(size, int) else size
    new_height, new_width = pictures.new_size(height, width, size, max_size)
    more = {"cut": False} if move is move_boxes else {}
    return move(inpt, scaled(new_width / width, new_height / height), (new_height, new_width), **more)


on_pictures(resize, _resize_picture)
on_pictures(resize, _resize_mask, (Mask,))
_on_both(resize, _resize_moved)


def crop(inpt: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part; what lies outside is black."""
    return dispatch(crop, inpt, top=top, left=left, height=height, width=width)


def _crop_moved(move: Any, inpt: Any, top: int, left: int, height: int, width: int) -> Any:
    return move(inpt, shifted(-left, -top), (height, width))


on_pictures(crop, pictures.crop)
on_pictures(crop, pictures.crop, (Mask,))
_on_both(crop, _crop_moved)


def center_crop(inpt: Any, output_size: list[int]) -> Any:
    """The middle; a border is added where the picture is too small."""
    return dispatch(center_crop, inpt, output_size=output_size)


def _center_crop_moved(move: Any, inpt: Any, output_size: Any) -> Any:
    sizes = [output_size] if isinstance(output_size, numbers.Number) else list(output_size)
    new = (int(sizes[0]), int(sizes[-1]))
    offset = []
    for want, have in zip(new, inpt.canvas_size, strict=True):
        border = max(want - have, 0)
        offset.append(border // 2 - round((have + border - want) / 2.0))
    return move(inpt, shifted(offset[1], offset[0]), new)


on_pictures(center_crop, pictures.center_crop)
on_pictures(center_crop, pictures.center_crop, (Mask,))
_on_both(center_crop, _center_crop_moved)


def resized_crop(
    inpt: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part, resized."""
    return resize(crop(inpt, top, left, height, width), size, interpolation, antialias=antialias)


def pad(inpt: Any, padding: Sequence[int] | int, fill: Any = None, padding_mode: str = "constant") -> Any:
    """Add a border: one width, (left and right, top and bottom), or (left, top, right, bottom)."""
    return dispatch(pad, inpt, padding=padding, fill=fill, padding_mode=padding_mode)


def _pad_moved(move: Any, inpt: Any, padding: Any, fill: Any = None, padding_mode: str = "constant") -> Any:
    if padding_mode != "constant":
        what = "bounding boxes" if isinstance(inpt, BoundingBoxes) else "keypoints"
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with {what}")
    left, top, right, bottom = pictures.padding_sides(padding)
    height, width = inpt.canvas_size
    return move(inpt, shifted(left, top), (height + top + bottom, width + left + right))


def _pad_mask(mask: fb.Tensor, padding: Any, fill: Any = None, padding_mode: str = "constant") -> fb.Tensor:
    if isinstance(fill, (tuple, list)):
        raise ValueError("Non-scalar fill value is not supported")
    return pictures.pad(mask, padding, fill, padding_mode)


on_pictures(pad, pictures.pad)
on_pictures(pad, _pad_mask, (Mask,))
_on_both(pad, _pad_moved)


def rotate(
    inpt: Any,
    angle: float,
    interpolation: InterpolationMode | int = _NEAREST,
    expand: bool = False,
    center: list[float] | None = None,
    fill: Any = None,
) -> Any:
    """Turn counter-clockwise by degrees, about the middle or `center` (x, y).

    With `expand` the whole of the turned picture is kept, and the centre makes no difference.
    """
    if expand and center is not None:
        warnings.warn(
            "The provided center argument has no effect on the result if expand is True", stacklevel=2
        )
        center = None
    return dispatch(
        rotate, inpt, angle=angle, interpolation=interpolation, expand=expand, center=center, fill=fill
    )


def _rotate_moved(
    move: Any, inpt: Any, angle: float, expand: bool = False, center: Any = None, **_: Any
) -> Any:
    height, width = inpt.canvas_size
    center = [width * 0.5, height * 0.5] if center is None else center
    backward = pictures.inverse_affine(center, -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    forward = inverse(backward)
    new = (height, width)
    if expand:
        new = _on_tensor.rotation_size(backward, height, width)
        corners = forward[:2] @ np.array([[0, 0, width, width], [0, height, height, 0], [1, 1, 1, 1]])
        forward[:2, 2] -= corners.min(axis=1)
    return move(inpt, through(forward), new)


def _masked(kernel: Any) -> Any:
    """A kernel of pictures for masks: always the nearest pixel."""
    return lambda mask, *args, interpolation=None, **kwargs: kernel(
        mask, *args, interpolation=_NEAREST, **kwargs
    )


on_pictures(rotate, pictures.rotate)
on_pictures(rotate, _masked(pictures.rotate), (Mask,))
_on_both(rotate, _rotate_moved)


def affine(
    inpt: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode | int = _NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turn (clockwise), shear and scale about the middle, then move by `translate` pixels."""
    return dispatch(
        affine,
        inpt,
        angle=angle,
        translate=translate,
        scale=scale,
        shear=shear,
        interpolation=interpolation,
        fill=fill,
        center=center,
    )


def _affine_moved(
    move: Any,
    inpt: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Any,
    center: Any = None,
    **_: Any,
) -> Any:
    height, width = inpt.canvas_size
    shear = [float(shear), 0.0] if isinstance(shear, numbers.Number) else [*map(float, shear), 0.0][:2]
    center = [width * 0.5, height * 0.5] if center is None else center
    backward = pictures.inverse_affine(center, angle, translate, scale, shear)
    return move(inpt, through(inverse(backward)))


on_pictures(affine, pictures.affine)
on_pictures(affine, _masked(pictures.affine), (Mask,))
_on_both(affine, _affine_moved)


def perspective(
    inpt: Any,
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Any = None,
    coefficients: list[float] | None = None,
) -> Any:
    """The picture whose corners `startpoints` come to lie at `endpoints` (each [x, y])."""
    return dispatch(
        perspective,
        inpt,
        startpoints=startpoints,
        endpoints=endpoints,
        interpolation=interpolation,
        fill=fill,
        coefficients=coefficients,
    )


def _perspective_moved(
    move: Any, inpt: Any, startpoints: Any, endpoints: Any, coefficients: Any = None, **_: Any
) -> Any:
    if coefficients is None:
        coefficients = pictures.perspective_coefficients(startpoints, endpoints)
    return move(inpt, through(inverse(coefficients)))


on_pictures(perspective, pictures.perspective)
on_pictures(perspective, _masked(pictures.perspective), (Mask,))
_on_both(perspective, _perspective_moved)


def elastic(
    inpt: Any,
    displacement: fb.Tensor,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Every pixel moved by `displacement`, [1, H, W, 2] with x first, the picture being 2 wide and high."""
    return dispatch(elastic, inpt, displacement=displacement, interpolation=interpolation, fill=fill)


elastic_transform = elastic


def _elastic_moved(move: Any, inpt: Any, displacement: fb.Tensor, **_: Any) -> Any:
    height, width = inpt.canvas_size

    def moved(points: fb.Tensor) -> fb.Tensor:
        # to a good approximation, what is at a place moves against the displacement there
        grid = _on_tensor.identity_grid(height, width).to(points) - displacement.to(points)
        x = points[..., 0].ceil().long().clamp(0, width - 1)
        y = points[..., 1].ceil().long().clamp(0, height - 1)
        half = fb.tensor([width, height], dtype=points.dtype, device=points.device) * 0.5
        return (grid[0][y, x] + 1) * half - 0.5

    return move(inpt, moved)


on_pictures(elastic, pictures.elastic_transform)
on_pictures(elastic, _masked(pictures.elastic_transform), (Mask,))
_on_both(elastic, _elastic_moved)


def five_crop(inpt: Any, size: list[int]) -> tuple:
    """The four corners and the middle."""
    return dispatch(five_crop, inpt, size=size)


def ten_crop(inpt: Any, size: list[int], vertical_flip: bool = False) -> tuple:
    """The five crops, and those of the flipped picture."""
    return dispatch(ten_crop, inpt, size=size, vertical_flip=vertical_flip)


on_pictures(five_crop, pictures.five_crop)
on_pictures(ten_crop, pictures.ten_crop)


def uniform_temporal_subsample(inpt: Any, num_samples: int) -> Any:
    """`num_samples` pictures of a video [..., T, C, H, W], evenly spaced."""
    return dispatch(uniform_temporal_subsample, inpt, num_samples=num_samples)


def _subsample(video: fb.Tensor, num_samples: int) -> fb.Tensor:
    index = fb.linspace(0, video.shape[-4] - 1, num_samples, device=video.device).long()
    return fb.index_select(video, -4, index)


on_pictures(uniform_temporal_subsample, _subsample, (fb.Tensor, tv_tensors.Video))
