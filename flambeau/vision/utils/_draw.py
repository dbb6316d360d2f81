"""Boxes, masks and points drawn on a picture [C, H, W] of bytes or of floats from 0 to 1."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import flambeau as fb

from .._pil import pil
from ..transforms.functional import convert_image_dtype, pil_to_tensor, to_pil_image

Colour = str | tuple[int, int, int]


def _check_picture(image: Any, channels: tuple[int, ...], message: str) -> None:
    if not isinstance(image, fb.Tensor):
        raise TypeError(f"The image must be a tensor, got {type(image)}")
    if not (image.dtype == fb.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3:
        raise ValueError("Pass individual images, not batches")
    if image.size(0) not in channels:
        raise ValueError(message)


def _colours(colours: Any, count: int) -> list[tuple[int, ...]]:
    """A colour for each of `count` objects, as numbers from 0 to 255."""
    if colours is None:
        palette = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        return [tuple(i * part % 255 for part in palette) for i in range(count)]
    if isinstance(colours, list):
        if len(colours) < count:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, but got "
                f"{len(colours)} < {count}."
            )
    elif not isinstance(colours, (tuple, str)):
        raise ValueError(f"`colors` must be a tuple or a string, or a list thereof, but got {colours}.")
    elif isinstance(colours, tuple) and len(colours) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colours}.")
    else:
        colours = [colours] * count
    return [pil("ImageColor").getrgb(part) if isinstance(part, str) else part for part in colours[:count]]


def _as_picture(image: fb.Tensor) -> Any:
    """A Pillow image in colour."""
    image = image if image.dtype == fb.uint8 else convert_image_dtype(image, fb.uint8)
    return to_pil_image(image.expand(3, -1, -1) if image.size(0) == 1 else image)


def _as_tensor(picture: Any, like: fb.Tensor) -> fb.Tensor:
    return convert_image_dtype(pil_to_tensor(picture), like.dtype).to(like.device)


@fb.no_grad()
def draw_bounding_boxes(
    image: fb.Tensor,
    boxes: fb.Tensor,
    labels: list[str] | None = None,
    colors: list[Colour] | Colour | None = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: list[Colour] | Colour | None = None,
    label_background_colors: list[Colour] | Colour | None = None,
    fill_labels: bool = False,
) -> fb.Tensor:
    """The picture with boxes drawn on it.

    Parameters
    ----------
    boxes : [N, 4] corners, or [N, 8] corner points of turned boxes.
    labels : a text for each box, or None.
    colors, label_colors, label_background_colors : one for all or a list; names or (red, green, blue).
    fill : fill the boxes, half transparent.
    font, font_size : file of a TrueType font, and its size.
    """
    _check_picture(image, (1, 3), "Only grayscale and RGB images are supported")
    turned = boxes.dim() == 2 and boxes.size(1) == 8
    if not turned and ((boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any()):
        raise ValueError(
            "boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert to convert "
            "them"
        )
    count = boxes.shape[0]
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each "
            "box."
        )
    outlines = _colours(colors, count)
    texts = outlines if label_colors is None else _colours(label_colors, count)
    backgrounds = outlines if label_background_colors is None else _colours(label_background_colors, count)
    letters = _font(font, font_size)
    picture = _as_picture(image)
    draw = pil("ImageDraw").Draw(picture, "RGBA" if fill else None)
    for i, box in enumerate(boxes.to(fb.int64).tolist()):
        inside = (*outlines[i][:3], 100) if fill else None
        if turned:
            draw.polygon(box, fill=inside, outline=outlines[i], width=width)
        else:
            draw.rectangle(box, fill=inside, outline=outlines[i], width=width)
        if labels is not None and labels[i] is not None:
            place = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = draw.textbbox(place, labels[i], font=letters)
                draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=backgrounds[i])
            draw.text(place, labels[i], fill=texts[i], font=letters)
    return _as_tensor(picture, image)


def _font(font: str | None, size: int | None) -> Any:
    if font is None:
        if size is not None:
            warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=3)
        return pil("ImageFont").load_default()
    return pil("ImageFont").truetype(font=font, size=size or 10)


@fb.no_grad()
def draw_segmentation_masks(
    image: fb.Tensor,
    masks: fb.Tensor,
    alpha: float = 0.8,
    colors: list[Colour] | Colour | None = None,
) -> fb.Tensor:
    """The picture [3, H, W] with masks [N, H, W] in colour on it; `alpha` 0 shows none of them, 1 all.

    Where masks overlap it is black beneath.
    """
    _check_picture(image, (3,), "Pass an RGB image. Other Image formats are not supported")
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype != fb.bool:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if masks.size(0) == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    scale = 1 if image.dtype == fb.uint8 else 255
    painted = image.clone()
    for mask, colour in zip(masks, _colours(colors, masks.size(0)), strict=True):
        painted[:, mask] = (fb.tensor(colour[:3], device=image.device) / scale).to(image.dtype)[:, None]
    painted[:, masks.sum(dim=0) > 1] = 0
    return (image * (1 - alpha) + painted * alpha).to(image.dtype)


@fb.no_grad()
def draw_keypoints(
    image: fb.Tensor,
    keypoints: fb.Tensor,
    connectivity: list[tuple[int, int]] | None = None,
    colors: Colour | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: fb.Tensor | None = None,
) -> fb.Tensor:
    """The picture [3, H, W] with points [instances, K, 2] on it.

    Parameters
    ----------
    connectivity : pairs of points between which a line of `width` is drawn.
    visibility : [instances, K]; points where it is not true, and their lines, are not drawn.
    """
    _check_picture(image, (3,), "Pass an RGB image. Other Image formats are not supported")
    if keypoints.ndim != 3:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    if visibility is None:
        visibility = fb.ones(keypoints.shape[:-1], dtype=fb.bool)
    if visibility.ndim == 3:
        visibility = visibility.squeeze(-1)
    if visibility.shape != keypoints.shape[:-1]:
        raise ValueError(
            "keypoints and visibility must have the same dimensionality for num_instances and K. "
            f"Got {visibility.shape = } and {keypoints.shape = }"
        )
    picture = _as_picture(image)
    draw = pil("ImageDraw").Draw(picture)
    seen = np.asarray(visibility.cpu().bool())
    for points, shown in zip(keypoints.to(fb.int64).tolist(), seen, strict=True):
        for (x, y), visible in zip(points, shown, strict=True):
            if visible:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors)
        for first, last in connectivity or ():
            if shown[first] and shown[last]:
                draw.line((*points[first], *points[last]), width=width)
    return _as_tensor(picture, image)
