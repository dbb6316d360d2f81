"""Sizes of pictures; formats and limits of boxes and points."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.ops._box_formats import convert
from flambeau.vision.tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    box_format,
    is_rotated_bounding_format,
)

from ... import functional as pictures
from ._dispatch import dispatch, on_kind


def get_dimensions(inpt: Any) -> list[int]:
    """Channels, height and width of a picture or video."""
    return dispatch(get_dimensions, inpt)


def get_num_channels(inpt: Any) -> int:
    """The number of channels of a picture or video."""
    return dispatch(get_num_channels, inpt)


get_image_num_channels = get_num_channels


def get_size(inpt: Any) -> list[int]:
    """Height and width of a picture, a video, a mask, or of the picture that boxes or points are in."""
    return dispatch(get_size, inpt)


def get_image_size(inpt: Any) -> list[int]:
    """Width and height of a picture."""
    height, width = get_size(inpt)
    return [width, height]


def get_num_frames(inpt: Any) -> int:
    """The number of pictures in a video."""
    return dispatch(get_num_frames, inpt)


def _plain(inpt: Any) -> Any:
    return inpt.as_subclass(fb.Tensor) if isinstance(inpt, tv_tensors.TVTensor) else inpt


for _kind in ("PIL.Image.Image", fb.Tensor, tv_tensors.Image, tv_tensors.Video):
    on_kind(get_dimensions, lambda inpt: pictures.get_dimensions(_plain(inpt)), _kind)
    on_kind(get_num_channels, lambda inpt: pictures.get_dimensions(_plain(inpt))[0], _kind)
    on_kind(get_size, lambda inpt: pictures.get_dimensions(_plain(inpt))[1:], _kind)
on_kind(get_size, lambda mask: list(mask.shape[-2:]), tv_tensors.Mask)
on_kind(get_size, lambda boxes: list(boxes.canvas_size), tv_tensors.BoundingBoxes)
on_kind(get_size, lambda points: list(points.canvas_size), tv_tensors.KeyPoints)
for _kind in (fb.Tensor, tv_tensors.Video):
    on_kind(get_num_frames, lambda video: video.shape[-4], _kind)


def converted(boxes: fb.Tensor, old: BoundingBoxFormat, new: BoundingBoxFormat) -> fb.Tensor:
    """Plain boxes in another format; those in integers are rounded down."""
    if old == new:
        return boxes
    if is_rotated_bounding_format(old) != is_rotated_bounding_format(new):
        raise ValueError("Cannot convert between rotated and unrotated bounding boxes.")
    names = old.value.lower(), new.value.lower()
    if boxes.is_floating_point():
        return convert(boxes, *names)
    return convert(boxes.to(fb.float64), *names).floor().to(boxes.dtype)


def convert_bounding_box_format(
    inpt: fb.Tensor,
    old_format: BoundingBoxFormat | str | None = None,
    new_format: BoundingBoxFormat | str | None = None,
    inplace: bool = False,
) -> fb.Tensor:
    """Boxes in another format. Plain tensors need `old_format`; BoundingBoxes know theirs."""
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    new = box_format(new_format)
    if isinstance(inpt, BoundingBoxes):
        if old_format is not None:
            raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
        return tv_tensors.wrap(converted(_plain(inpt), inpt.format, new).clone(), like=inpt, format=new)
    if not isinstance(inpt, fb.Tensor) or isinstance(inpt, tv_tensors.TVTensor):
        raise TypeError(
            f"Input can either be a plain tensor or a bounding box tv_tensor, but got {type(inpt)} instead."
        )
    if old_format is None:
        raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
    out = converted(inpt, box_format(old_format), new)
    if inplace:
        return inpt.copy_(out)
    return out.clone() if out is inpt else out


def clamped(
    boxes: fb.Tensor, format: BoundingBoxFormat, canvas_size: tuple[int, int], clamping_mode: str | None
) -> fb.Tensor:
    """Boxes cut at the borders of the canvas. Turned ones may reach out of it unless it must be 'hard'."""
    if clamping_mode is None:
        return boxes
    if is_rotated_bounding_format(format):
        if clamping_mode == "hard":
            raise NotImplementedError(
                "turned boxes cannot be cut at the borders: use clamping_mode 'soft' or None"
            )
        return boxes
    corners = converted(
        boxes if boxes.is_floating_point() else boxes.to(fb.float64), format, BoundingBoxFormat.XYXY
    )
    height, width = canvas_size
    corners = fb.stack(
        [corners[..., 0::2].clamp(min=0, max=width), corners[..., 1::2].clamp(min=0, max=height)], dim=-1
    ).reshape(corners.shape)
    out = converted(corners, BoundingBoxFormat.XYXY, format)
    return out if boxes.is_floating_point() else out.floor().to(boxes.dtype)


def clamp_bounding_boxes(
    inpt: fb.Tensor,
    format: BoundingBoxFormat | None = None,
    canvas_size: tuple[int, int] | None = None,
    clamping_mode: str | None = "auto",
) -> fb.Tensor:
    """Boxes cut at the borders of their picture."""
    if clamping_mode not in ("soft", "hard", None, "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if isinstance(inpt, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed."
            )
        mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
        return tv_tensors.wrap(clamped(_plain(inpt), inpt.format, inpt.canvas_size, mode), like=inpt)
    if not isinstance(inpt, fb.Tensor) or isinstance(inpt, tv_tensors.TVTensor):
        raise TypeError(
            f"Input can either be a plain tensor or a bounding box tv_tensor, but got {type(inpt)} instead."
        )
    if format is None or canvas_size is None or clamping_mode == "auto":
        raise ValueError(
            "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be passed."
        )
    return clamped(inpt, box_format(format), canvas_size, clamping_mode)


def clamp_keypoints(inpt: fb.Tensor, canvas_size: tuple[int, int] | None = None) -> fb.Tensor:
    """Points moved to the nearest pixel of their picture."""
    if isinstance(inpt, tv_tensors.KeyPoints):
        if canvas_size is not None:
            raise ValueError("For keypoints tv_tensor inputs, `canvas_size` must not be passed.")
        return tv_tensors.wrap(clamp_keypoints(_plain(inpt), inpt.canvas_size), like=inpt)
    if not isinstance(inpt, fb.Tensor) or isinstance(inpt, tv_tensors.TVTensor):
        raise TypeError(
            f"Input can either be a plain tensor or a keypoints tv_tensor, but got {type(inpt)} instead."
        )
    if canvas_size is None:
        raise ValueError("For pure tensor inputs, `canvas_size` has to be passed.")
    height, width = canvas_size
    x, y = inpt[..., 0].clamp(min=0, max=width - 1), inpt[..., 1].clamp(min=0, max=height - 1)
    return fb.stack([x, y], dim=-1)


def is_pure_tensor(inpt: Any) -> bool:
    """Whether this is a tensor of no known kind."""
    return isinstance(inpt, fb.Tensor) and not isinstance(inpt, tv_tensors.TVTensor)
