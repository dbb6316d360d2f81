"""Functions between kinds of input, of values, and of samples as a whole."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil, pil

from ... import _on_tensor
from ... import functional as pictures
from ._dispatch import TENSOR_PICTURES, dispatch, on_pictures
from ._meta import converted, is_pure_tensor

pil_to_tensor = pictures.pil_to_tensor
to_pil_image = pictures.to_pil_image


def to_image(inpt: Any) -> tv_tensors.Image:
    """A Pillow image, an array [H, W, C] or a tensor as an Image."""
    if isinstance(inpt, np.ndarray):
        return tv_tensors.Image(fb.from_numpy(np.atleast_3d(inpt)).permute((2, 0, 1)).contiguous())
    if is_pil(inpt):
        return tv_tensors.Image(pictures.pil_to_tensor(inpt))
    if isinstance(inpt, fb.Tensor):
        return tv_tensors.Image(inpt.as_subclass(fb.Tensor))
    raise TypeError(
        f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead."
    )


def to_tensor(inpt: Any) -> fb.Tensor:
    """As the first generation's: a Pillow image or an array as a float tensor from 0 to 1."""
    return pictures.to_tensor(inpt)


def to_dtype(inpt: Any, dtype: fb.dtype = fb.float, scale: bool = False) -> Any:
    """Another element type; with `scale`, pictures and videos keep white and black."""
    return dispatch(to_dtype, inpt, dtype=dtype, scale=scale)


def _to_dtype(image: fb.Tensor, dtype: fb.dtype = fb.float, scale: bool = False) -> fb.Tensor:
    return _on_tensor.convert_dtype(image, dtype) if scale else image.to(dtype)


def _cast(inpt: fb.Tensor, dtype: fb.dtype = fb.float, scale: bool = False) -> fb.Tensor:
    return inpt.to(dtype)


on_pictures(to_dtype, _to_dtype, TENSOR_PICTURES)
on_pictures(to_dtype, _cast, (tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints))


def convert_image_dtype(image: fb.Tensor, dtype: fb.dtype = fb.float32) -> fb.Tensor:
    """Another element type, with white and black kept."""
    return to_dtype(image, dtype=dtype, scale=True)


def normalize(inpt: Any, mean: list[float], std: list[float], inplace: bool = False) -> Any:
    """(value - mean) / std, channel by channel."""
    return dispatch(normalize, inpt, mean=mean, std=std, inplace=inplace)


on_pictures(normalize, pictures.normalize, TENSOR_PICTURES)


def erase(inpt: Any, i: int, j: int, h: int, w: int, v: fb.Tensor, inplace: bool = False) -> Any:
    """Put `v` into the rectangle of height `h` and width `w` at row `i`, column `j`."""
    return dispatch(erase, inpt, i=i, j=j, h=h, w=w, v=v, inplace=inplace)


def _erase(image: Any, i: int, j: int, h: int, w: int, v: fb.Tensor, inplace: bool = False) -> Any:
    if is_pil(image):
        return pictures.to_pil_image(_erase(pictures.pil_to_tensor(image), i, j, h, w, v), mode=image.mode)
    return pictures.erase(image, i, j, h, w, v, inplace)


on_pictures(erase, _erase)


def jpeg(inpt: Any, quality: int) -> Any:
    """The picture after storing it as JPEG with a quality from 1 to 100."""
    return dispatch(jpeg, inpt, quality=quality)


def _jpeg(image: Any, quality: int) -> Any:
    if is_pil(image):
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=quality)
        return pil().open(buffer).convert(image.mode)
    if image.dtype != fb.uint8:
        raise RuntimeError(f"Input tensor dtype should be uint8\nJPEG stores bytes, got {image.dtype}.")
    flat = image.reshape(-1, *image.shape[-3:])
    done = [pictures.pil_to_tensor(_jpeg(pictures.to_pil_image(part), quality)) for part in flat]
    return fb.stack(done).reshape(image.shape)


on_pictures(jpeg, _jpeg)


def valid_boxes(
    boxes: fb.Tensor, format: Any, canvas_size: tuple[int, int], min_size: float, min_area: float
) -> fb.Tensor:
    """Which boxes lie in the canvas and are large enough."""
    format = tv_tensors.box_format(format)
    height, width = canvas_size
    if tv_tensors.is_rotated_bounding_format(format):
        points = converted(boxes, format, tv_tensors.BoundingBoxFormat.XYXYXYXY).reshape(-1, 4, 2)
        wide, high = ((points[:, 1] - points[:, k]).norm(dim=-1) for k in (0, 2))
        x, y = points.unbind(-1)
    else:
        corners = converted(boxes, format, tv_tensors.BoundingBoxFormat.XYXY)
        wide, high = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
        x, y = corners[:, 0::2], corners[:, 1::2]
    valid = (wide >= min_size) & (high >= min_size) & (wide * high >= min_area)
    return valid & ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).all(dim=-1)


def sanitize_bounding_boxes(
    bounding_boxes: fb.Tensor,
    format: Any = None,
    canvas_size: tuple[int, int] | None = None,
    min_size: float = 1.0,
    min_area: float = 1.0,
) -> tuple[fb.Tensor, fb.Tensor]:
    """Without boxes that are too small or reach out of the picture; and which ones were kept."""
    if is_pure_tensor(bounding_boxes):
        if format is None or canvas_size is None:
            raise ValueError(
                "format and canvas_size cannot be None if bounding_boxes is a pure tensor. Got "
                f"format={format} and canvas_size={canvas_size}.Set those to appropriate values or pass "
                "bounding_boxes as a tv_tensors.BoundingBoxes object."
            )
        valid = valid_boxes(bounding_boxes, format, canvas_size, min_size, min_area)
        return bounding_boxes[valid], valid
    if not isinstance(bounding_boxes, tv_tensors.BoundingBoxes):
        raise ValueError("bounding_boxes must be a tv_tensors.BoundingBoxes instance or a pure tensor.")
    if format is not None or canvas_size is not None:
        raise ValueError(
            "format and canvas_size must be None when bounding_boxes is a tv_tensors.BoundingBoxes instance. "
            f"Got format={format} and canvas_size={canvas_size}. Leave those to None or pass bounding_boxes "
            "as a pure tensor."
        )
    plain = bounding_boxes.as_subclass(fb.Tensor)
    valid = valid_boxes(plain, bounding_boxes.format, bounding_boxes.canvas_size, min_size, min_area)
    return tv_tensors.wrap(plain[valid], like=bounding_boxes), valid


def sanitize_keypoints(
    key_points: fb.Tensor, canvas_size: tuple[int, int] | None = None
) -> tuple[fb.Tensor, fb.Tensor]:
    """Without points outside of the picture; and which ones were kept.

    Of groups of points (more than two dimensions, [N, ..., 2]) one goes when any of its points is outside.
    """
    if is_pure_tensor(key_points):
        if canvas_size is None:
            raise ValueError(
                "canvas_size cannot be None if key_points is a pure tensor. Set it to an appropriate value "
                "or pass key_points as a tv_tensors.KeyPoints object."
            )
        height, width = canvas_size
        x, y = key_points.unbind(-1)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        valid = inside.flatten(1).all(dim=1) if inside.ndim > 1 else inside
        return key_points[valid], valid
    if not isinstance(key_points, tv_tensors.KeyPoints):
        raise ValueError("key_points must be a tv_tensors.KeyPoints instance or a pure tensor.")
    if canvas_size is not None:
        raise ValueError(
            "canvas_size must be None when key_points is a tv_tensors.KeyPoints instance. "
            f"Got canvas_size={canvas_size}. Leave it to None or pass key_points as a pure tensor."
        )
    kept, valid = sanitize_keypoints(key_points.as_subclass(fb.Tensor), key_points.canvas_size)
    return tv_tensors.wrap(kept, like=key_points), valid
