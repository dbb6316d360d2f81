"""The operations on Pillow images."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from .._pil import pil

_MODES = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5, "nearest-exact": 0}


def size(img: Any) -> list[int]:
    """Channels, height, width."""
    return [len(img.getbands()), img.height, img.width]


def resize(img: Any, height: int, width: int, interpolation: str) -> Any:
    return img.resize((width, height), _MODES[interpolation])


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    return img.crop((left, top, left + width, top + height))


def hflip(img: Any) -> Any:
    return img.transpose(pil().Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    return img.transpose(pil().Transpose.FLIP_TOP_BOTTOM)


def fill_colour(fill: Any, img: Any) -> Any:
    """A fill value as Pillow wants it for this image."""
    bands = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, numbers.Number):
        return fill if bands == 1 else (int(fill),) * bands
    if len(fill) == 1:
        return fill[0] if bands == 1 else (int(fill[0]),) * bands
    if len(fill) != bands:
        raise ValueError(
            f"The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(fill)} != {bands})"
        )
    return tuple(int(value) for value in fill)


def pad(img: Any, sides: tuple[int, int, int, int], fill: Any, mode: str) -> Any:
    left, top, right, bottom = sides
    if mode == "constant":
        out = pil().new(
            img.mode, (img.width + left + right, img.height + top + bottom), fill_colour(fill, img)
        )
        if img.mode == "P":
            out.putpalette(img.getpalette())
        out.paste(img, (left, top))
        return out
    cut = [max(-side, 0) for side in sides]
    if any(cut):
        img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
        left, top, right, bottom = (max(side, 0) for side in sides)
    array = np.asarray(img)
    widths = ((top, bottom), (left, right)) + ((0, 0),) * (array.ndim - 2)
    return pil().fromarray(np.pad(array, widths, mode=mode))


def rotate(img: Any, angle: float, interpolation: str, expand: bool, centre: Any, fill: Any) -> Any:
    return img.rotate(angle, _MODES[interpolation], expand, centre, fillcolor=fill_colour(fill, img))


def affine(img: Any, matrix: list[float], interpolation: str, fill: Any) -> Any:
    transform = pil().Transform.AFFINE
    return img.transform(img.size, transform, matrix, _MODES[interpolation], fillcolor=fill_colour(fill, img))


def perspective(img: Any, coefficients: list[float], interpolation: str, fill: Any) -> Any:
    transform = pil().Transform.PERSPECTIVE
    return img.transform(
        img.size, transform, coefficients, _MODES[interpolation], fillcolor=fill_colour(fill, img)
    )


def adjust_brightness(img: Any, factor: float) -> Any:
    return pil("ImageEnhance").Brightness(img).enhance(factor)


def adjust_contrast(img: Any, factor: float) -> Any:
    return pil("ImageEnhance").Contrast(img).enhance(factor)


def adjust_saturation(img: Any, factor: float) -> Any:
    return pil("ImageEnhance").Color(img).enhance(factor)


def adjust_sharpness(img: Any, factor: float) -> Any:
    return pil("ImageEnhance").Sharpness(img).enhance(factor)


def adjust_hue(img: Any, factor: float) -> Any:
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    shifted = (np.asarray(hue).astype(np.int32) + np.int32(factor * 255)) % 256
    hue = pil().fromarray(shifted.astype(np.uint8))
    return pil().merge("HSV", (hue, saturation, value)).convert(img.mode)


def adjust_gamma(img: Any, gamma: float, gain: float) -> Any:
    mode = img.mode
    table = [int((255 + 1 - 1e-3) * gain * pow(value / 255.0, gamma)) for value in range(256)]
    img = img.convert("RGB")
    return img.point([min(max(entry, 0), 255) for entry in table] * 3).convert(mode)


def to_grayscale(img: Any, channels: int) -> Any:
    grey = img.convert("L")
    if channels == 1:
        return grey
    array = np.asarray(grey)
    return pil().fromarray(np.stack([array] * 3, 2))


def invert(img: Any) -> Any:
    return pil("ImageOps").invert(img)


def posterize(img: Any, bits: int) -> Any:
    return pil("ImageOps").posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    return pil("ImageOps").solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    return pil("ImageOps").autocontrast(img)


def equalize(img: Any) -> Any:
    return pil("ImageOps").equalize(img)
