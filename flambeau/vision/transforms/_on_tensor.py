"""The operations on tensors of shape [..., C, H, W]."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

import flambeau as fb

_TAPS = {"bilinear": 1.0, "bicubic": 2.0}


def size(img: fb.Tensor) -> list[int]:
    """Channels, height, width."""
    return [1 if img.dim() == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]


def max_value(dtype: fb.dtype) -> int:
    """The value of white."""
    known = {
        fb.uint8: 255,
        fb.int8: 127,
        fb.int16: 32767,
        fb.uint16: 65535,
        fb.int32: 2**31 - 1,
        fb.int64: 2**63 - 1,
    }
    return known.get(dtype, 1)


def _kernel(mode: str, x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    if mode == "bilinear":
        return np.maximum(0.0, 1.0 - x)
    a = -0.5  # Keys's cubic as Pillow has it
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys's cubic with a = -0.75, which interpolation without antialiasing uses."""
    a, x = -0.75, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resampling_matrix(old: int, new: int, mode: str, antialias: bool) -> np.ndarray:
    """The matrix (new × old) of one-dimensional resampling.

    With antialiasing the kernel is stretched by the scale when shrinking, as Pillow does; without, the
    nearest samples are used, those at the border repeated.
    """
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    matrix = np.zeros((new, old))
    if antialias:
        stretch = max(scale, 1.0)
        reach = _TAPS[mode] * stretch
        for row, centre in enumerate(centres):
            first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), old)
            weights = _kernel(mode, (np.arange(first, last) + 0.5 - centre) / stretch)
            matrix[row, first:last] = weights / weights.sum()
        return matrix
    places = centres - 0.5
    if mode == "bilinear":
        places = np.maximum(places, 0.0)
    base = np.floor(places).astype(int)
    for shift in (0, 1) if mode == "bilinear" else (-1, 0, 1, 2):
        distance = places - (base + shift)
        weights = _kernel("bilinear", distance) if mode == "bilinear" else _cubic(distance)
        np.add.at(matrix, (np.arange(new), np.clip(base + shift, 0, old - 1)), weights)
    return matrix


def resize(img: fb.Tensor, height: int, width: int, mode: str, antialias: bool) -> fb.Tensor:
    old_height, old_width = img.shape[-2:]
    if (old_height, old_width) == (height, width):
        return img
    if mode in ("nearest", "nearest-exact"):
        half = 0.5 if mode == "nearest-exact" else 0.0

        def chosen(old: int, new: int) -> fb.Tensor:
            places = np.minimum(((np.arange(new) + half) * (old / new)).astype(np.int64), old - 1)
            return fb.from_numpy(places).to(img.device)

        return img.index_select(-2, chosen(old_height, height)).index_select(-1, chosen(old_width, width))
    if mode not in _TAPS:
        raise ValueError(
            f"tensors can be resized with nearest, nearest-exact, bilinear and bicubic, not {mode}"
        )
    whole = not img.is_floating_point()
    out = img.to(fb.float32) if whole or img.dtype in (fb.float16, fb.bfloat16) else img
    rows = fb.from_numpy(resampling_matrix(old_height, height, mode, antialias)).to(out)
    columns = fb.from_numpy(resampling_matrix(old_width, width, mode, antialias)).to(out)
    out = fb.matmul(rows, fb.matmul(out, columns.t()))
    if whole:
        limit = max_value(img.dtype)
        low = -limit - 1 if img.dtype in (fb.int8, fb.int16, fb.int32, fb.int64) else 0
        out = out.round().clamp(low, limit)
    return out.to(img.dtype)


def crop(img: fb.Tensor, top: int, left: int, height: int, width: int) -> fb.Tensor:
    rows, columns = img.shape[-2:]
    right, bottom = left + width, top + height
    if left < 0 or top < 0 or right > columns or bottom > rows:
        sides = (max(-left, 0), max(-top, 0), max(right - columns, 0), max(bottom - rows, 0))
        img = pad(img, sides, 0, "constant")
        top, left = max(top, 0), max(left, 0)
    return img[..., top : top + height, left : left + width]


def _border(
    sides: tuple[int, int, int, int], rows: int, columns: int, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = sides
    kind = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}[mode]
    return (
        np.pad(np.arange(rows), (top, bottom), mode=kind),
        np.pad(np.arange(columns), (left, right), mode=kind),
    )


def pad(img: fb.Tensor, sides: tuple[int, int, int, int], fill: Any, mode: str) -> fb.Tensor:
    if any(side < 0 for side in sides):
        cut = [max(-side, 0) for side in sides]
        img = img[..., cut[1] : img.shape[-2] - cut[3], cut[0] : img.shape[-1] - cut[2]]
        sides = tuple(max(side, 0) for side in sides)
    rows, columns = img.shape[-2:]
    left, top, right, bottom = sides
    if mode == "constant":
        if isinstance(fill, (tuple, list)):
            value = fb.tensor(fill, dtype=img.dtype, device=img.device).reshape(-1, 1, 1)
        else:
            value = fb.tensor(0 if fill is None else fill, dtype=img.dtype, device=img.device)
        shape = (*img.shape[:-2], rows + top + bottom, columns + left + right)
        out = value.expand(shape).clone()
        out[..., top : top + rows, left : left + columns] = img
        return out
    down, across = (fb.from_numpy(index).to(img.device) for index in _border(sides, rows, columns, mode))
    return img.index_select(-2, down).index_select(-1, across)


def sample(img: fb.Tensor, x: np.ndarray, y: np.ndarray, mode: str, fill: Any) -> fb.Tensor:
    """The image at the pixel coordinates (x, y), which are arrays of the shape of the result."""
    rows, columns = img.shape[-2:]
    if fill is None or isinstance(fill, numbers.Number):
        background = fb.tensor(float(fill or 0), device=img.device)
    else:
        background = fb.tensor([float(value) for value in fill], device=img.device).reshape(-1, 1, 1)

    def at(px: np.ndarray, py: np.ndarray) -> tuple[fb.Tensor, fb.Tensor]:
        inside = (px >= 0) & (px < columns) & (py >= 0) & (py < rows)
        flat = np.clip(py, 0, rows - 1) * columns + np.clip(px, 0, columns - 1)
        picked = img.reshape(*img.shape[:-2], -1).index_select(
            -1, fb.from_numpy(flat.reshape(-1)).to(img.device)
        )
        return picked.reshape(*img.shape[:-2], *flat.shape), fb.from_numpy(inside).to(img.device)

    if mode == "nearest":
        value, inside = at(np.rint(x).astype(np.int64), np.rint(y).astype(np.int64))
        return fb.where(inside, value.to(fb.float32), background).to(img.dtype)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    total: Any = 0.0
    weight: Any = 0.0
    for dx in (0, 1):
        for dy in (0, 1):
            share = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy))
            value, inside = at(left + dx, top + dy)
            part = fb.from_numpy(share.astype(np.float32)).to(img.device) * inside
            total = total + part * value
            weight = weight + part
    out = total + (1 - weight) * background
    return (out.round() if not img.is_floating_point() else out).to(img.dtype)


def affine_grid(matrix: list[float], rows: int, columns: int, new_rows: int, new_columns: int) -> tuple:
    """Where the pixels of the result lie in the image, for a matrix of centred coordinates."""
    x = np.arange(new_columns) + 0.5 - new_columns / 2
    y = np.arange(new_rows) + 0.5 - new_rows / 2
    x, y = np.meshgrid(x, y)
    a, b, c, d, e, f = matrix
    return a * x + b * y + c + columns / 2 - 0.5, d * x + e * y + f + rows / 2 - 0.5


def perspective_grid(coefficients: list[float], rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f, g, h = coefficients
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    bottom = g * x + h * y + 1
    return (a * x + b * y + c) / bottom - 0.5, (d * x + e * y + f) / bottom - 0.5


def blend(one: fb.Tensor, other: fb.Tensor, ratio: float) -> fb.Tensor:
    limit = max_value(one.dtype)
    return (ratio * one + (1.0 - ratio) * other).clamp(0, limit).to(one.dtype)


def to_grayscale(img: fb.Tensor, channels: int) -> fb.Tensor:
    if size(img)[0] == 3:
        red, green, blue = img.unbind(dim=-3)
        grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    else:
        grey = img
    return grey if channels == 1 else grey.expand(*img.shape[:-3], 3, *img.shape[-2:])


def adjust_contrast(img: fb.Tensor, factor: float) -> fb.Tensor:
    grey = to_grayscale(img, 1)
    grey = grey if img.is_floating_point() else grey.to(fb.float32)
    return blend(img, fb.mean(grey, dim=(-3, -2, -1), keepdim=True), factor)


def blur_kernel(length: int, sigma: float, like: fb.Tensor) -> fb.Tensor:
    half = (length - 1) * 0.5
    x = fb.linspace(-half, half, steps=length, dtype=like.dtype, device=like.device)
    weights = fb.exp(-0.5 * (x / sigma).pow(2))
    return weights / weights.sum()


def gaussian_blur(img: fb.Tensor, kernel: list[int], sigma: list[float]) -> fb.Tensor:
    out = img if img.is_floating_point() else img.to(fb.float32)
    shape = out.shape
    out = out.reshape(-1, 1, *shape[-2:])
    out = pad(out, (kernel[0] // 2, kernel[1] // 2, kernel[0] // 2, kernel[1] // 2), 0, "reflect")
    out = fb.nn.functional.conv2d(out, blur_kernel(kernel[0], sigma[0], out).reshape(1, 1, 1, -1))
    out = fb.nn.functional.conv2d(out, blur_kernel(kernel[1], sigma[1], out).reshape(1, 1, -1, 1))
    out = out.reshape(shape)
    return (out.round() if not img.is_floating_point() else out).to(img.dtype)


def rgb_to_hsv(img: fb.Tensor) -> fb.Tensor:
    """Hue, saturation and value, each in 0..1. (Foley, van Dam: Computer Graphics)"""
    red, green, blue = img.unbind(dim=-3)
    high, low = fb.amax(img, dim=-3), fb.amin(img, dim=-3)
    spread = high - low
    grey = spread == 0
    divisor = fb.where(grey, fb.ones_like(spread), spread)
    saturation = spread / fb.where(grey, fb.ones_like(high), high)
    r, g, b = (high - red) / divisor, (high - green) / divisor, (high - blue) / divisor
    hue = fb.where(high == red, b - g, fb.where(high == green, 2.0 + r - b, 4.0 + g - r))
    hue = fb.where(grey, fb.zeros_like(hue), (hue / 6.0 + 1.0) % 1.0)
    return fb.stack([hue, saturation, high], dim=-3)


def hsv_to_rgb(img: fb.Tensor) -> fb.Tensor:
    hue, saturation, value = img.unbind(dim=-3)
    parts = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + hue * 6.0) % 6.0
        parts.append(value - value * saturation * fb.minimum(k, 4.0 - k).clamp(0.0, 1.0))
    return fb.stack(parts, dim=-3)


def adjust_hue(img: fb.Tensor, factor: float) -> fb.Tensor:
    if size(img)[0] == 1:
        return img
    whole = not img.is_floating_point()
    hsv = rgb_to_hsv(img.to(fb.float32) / max_value(img.dtype) if whole else img)
    hue, saturation, value = hsv.unbind(dim=-3)
    rgb = hsv_to_rgb(fb.stack([(hue + factor) % 1.0, saturation, value], dim=-3))
    return (rgb * (max_value(img.dtype) + 1.0 - 1e-3)).to(img.dtype) if whole else rgb


def rotation_size(matrix: list[float], rows: int, columns: int) -> tuple[int, int]:
    """Height and width of what holds the whole image turned by this matrix."""
    a, b, _, d, e, _ = matrix
    x = np.array([-0.5 * columns, -0.5 * columns, 0.5 * columns, 0.5 * columns])
    y = np.array([-0.5 * rows, 0.5 * rows, -0.5 * rows, 0.5 * rows])
    new_x, new_y = a * x + b * y, d * x + e * y

    def extent(values: np.ndarray) -> int:
        low, high = round(values.min(), 6), round(values.max(), 6)
        return int(math.ceil(high) - math.floor(low))

    return extent(new_y), extent(new_x)
