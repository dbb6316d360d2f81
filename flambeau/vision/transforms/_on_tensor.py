"""The operations on tensors of shape [..., C, H, W]."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.nn import functional as F

_SIGNED_BITS = {fb.int8: 7, fb.int16: 15, fb.int32: 31, fb.int64: 63}


def size(img: fb.Tensor) -> list[int]:
    """Channels, height, width."""
    return [1 if img.dim() == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]


def value_bits(dtype: fb.dtype) -> int:
    """How many bits of an integer type hold a colour."""
    return {fb.uint8: 8, fb.uint16: 16, **_SIGNED_BITS}.get(dtype, 1)


def max_value(dtype: fb.dtype) -> int:
    """The value of white."""
    return 1 if dtype.is_floating_point or dtype == fb.bool else 2 ** value_bits(dtype) - 1


def as_float(img: fb.Tensor) -> fb.Tensor:
    """In a type that can be computed with."""
    return img if img.dtype in (fb.float32, fb.float64) else img.to(fb.float32)


def rounded(out: fb.Tensor, dtype: fb.dtype) -> fb.Tensor:
    """Back in the type of the picture."""
    return (out if dtype.is_floating_point else out.round()).to(dtype)


def _nearest(old: int, new: int, half: float) -> fb.Tensor:
    scale = np.float32(old) / np.float32(new)
    places = np.floor((np.arange(new, dtype=np.float32) + np.float32(half)) * scale).astype(np.int64)
    return fb.from_numpy(np.minimum(places, old - 1))


def resize(
    img: fb.Tensor, height: int, width: int, mode: str, antialias: bool, as_bytes: bool = False
) -> fb.Tensor:
    """To a new size; with `as_bytes` in the integer arithmetic that Pillow has, else rounded from floats."""
    if tuple(img.shape[-2:]) == (height, width):
        return img
    if mode in ("nearest", "nearest-exact"):
        half = 0.5 if mode == "nearest-exact" else 0.0
        for dim, new in ((-2, height), (-1, width)):
            img = img.index_select(dim, _nearest(img.shape[dim], new, half).to(img.device))
        return img
    if mode not in ("bilinear", "bicubic"):
        raise ValueError(
            "This interpolation mode is unsupported with Tensor input\n"
            f"Tensors are resized with nearest, nearest-exact, bilinear and bicubic, not {mode}."
        )
    flat = (img if as_bytes and img.dtype == fb.uint8 else as_float(img)).reshape(-1, 1, *img.shape[-2:])
    out = F.interpolate(flat, size=(height, width), mode=mode, align_corners=False, antialias=antialias)
    if mode == "bicubic" and img.dtype == fb.uint8 and not as_bytes:
        out = out.clamp_(0, 255)  # cubic curves overshoot
    return rounded(out, img.dtype).reshape(*img.shape[:-2], height, width)


def crop(img: fb.Tensor, top: int, left: int, height: int, width: int) -> fb.Tensor:
    rows, columns = img.shape[-2:]
    right, bottom = left + width, top + height
    if left < 0 or top < 0 or right > columns or bottom > rows:
        sides = (max(-left, 0), max(-top, 0), max(right - columns, 0), max(bottom - rows, 0))
        img = pad(img, sides, 0, "constant")
        top, left = max(top, 0), max(left, 0)
    return img[..., top : top + height, left : left + width]


def hflip(img: fb.Tensor) -> fb.Tensor:
    return img.flip(-1)


def vflip(img: fb.Tensor) -> fb.Tensor:
    return img.flip(-2)


def pad(img: fb.Tensor, sides: tuple[int, int, int, int], fill: Any, mode: str) -> fb.Tensor:
    if any(side < 0 for side in sides):
        cut = [max(-side, 0) for side in sides]
        img = img[..., cut[1] : img.shape[-2] - cut[3], cut[0] : img.shape[-1] - cut[2]]
        sides = tuple(max(side, 0) for side in sides)
    rows, columns = img.shape[-2:]
    left, top, right, bottom = sides
    if mode == "constant":
        value = fb.tensor(0 if fill is None else fill, dtype=img.dtype, device=img.device)
        value = value.reshape(-1, 1, 1) if value.dim() else value
        shape = (*img.shape[:-2], rows + top + bottom, columns + left + right)
        out = value.expand(shape).clone()
        out[..., top : top + rows, left : left + columns] = img
        return out
    down = np.pad(np.arange(rows), (top, bottom), mode=mode)
    across = np.pad(np.arange(columns), (left, right), mode=mode)
    for dim, index in ((-2, down), (-1, across)):
        img = img.index_select(dim, fb.from_numpy(index).to(img.device))
    return img


# geometry by a grid of places


def sample(img: fb.Tensor, grid: fb.Tensor, mode: str, fill: Any) -> fb.Tensor:
    """The picture at the places of a grid [1, H', W', 2], on which it reaches from -1 to 1.

    `fill` covers what lies outside: a number, or one for each channel; None leaves black.
    """
    if mode not in ("nearest", "bilinear"):
        raise ValueError(
            f"Interpolation mode '{mode}' is unsupported with Tensor input\nUse nearest or bilinear."
        )
    picture = as_float(img)
    picture = picture.unsqueeze(0) if img.dim() == 2 else picture
    flat = picture.reshape(-1, *picture.shape[-3:])
    grid = grid.to(flat)

    def sampled(values: fb.Tensor) -> fb.Tensor:
        places = grid.expand(values.shape[0], -1, -1, -1)
        return F.grid_sample(values, places, mode=mode, padding_mode="zeros", align_corners=False)

    out = sampled(flat)
    if fill is not None:
        values = [float(fill)] if isinstance(fill, numbers.Number) else [float(v) for v in fill]
        if len(values) not in (1, flat.shape[1]):
            raise ValueError(
                "The number of elements in 'fill' cannot broadcast to match the number of channels of the "
                f"image ({len(values)} != {flat.shape[1]})"
            )
        background = fb.tensor(values, dtype=out.dtype, device=out.device).reshape(1, -1, 1, 1)
        if mode == "nearest":
            inside = sampled(flat.new_ones(1, 1, *flat.shape[-2:]))
            out = fb.where(inside < 0.5, background, out)
        else:  # at the border a share of black is in `out` already: torchvision weighs it once more
            share = _share_inside(grid[..., 0], flat.shape[-1]) * _share_inside(grid[..., 1], flat.shape[-2])
            out = out * share + (1.0 - share) * background
    return rounded(out.reshape(*img.shape[:-2], *grid.shape[1:3]), img.dtype)


def _share_inside(places: fb.Tensor, length: int) -> fb.Tensor:
    """How much of linear interpolation at these places falls on the picture, along one axis."""
    pixels = ((places + 1.0) * length - 1.0) / 2
    return fb.minimum(pixels + 1.0, length - pixels).clamp(0.0, 1.0)


def _centres(length: int) -> fb.Tensor:
    return fb.linspace(-length * 0.5 + 0.5, length * 0.5 - 0.5, steps=length)


def affine_grid(
    matrix: Sequence[float], rows: int, columns: int, new_rows: int, new_columns: int
) -> fb.Tensor:
    """The grid for a matrix from places in the result to places in the picture, both from the middle."""
    base = fb.ones(new_rows, new_columns, 3)
    base[..., 0] = _centres(new_columns)
    base[..., 1] = _centres(new_rows)[:, None]
    scale = fb.tensor([0.5 * columns, 0.5 * rows])
    theta = fb.tensor([float(v) for v in matrix]).reshape(2, 3).t() / scale
    return fb.mm(base.reshape(-1, 3), theta).reshape(1, new_rows, new_columns, 2)


def rotation_size(matrix: Sequence[float], rows: int, columns: int) -> tuple[int, int]:
    """Height and width of what holds the whole picture turned by this matrix."""
    corners = np.array([[-1, -1, 1, 1], [-1, 1, 1, -1]]) * [[0.5 * columns], [0.5 * rows]]
    places = np.array(matrix).reshape(2, 3)[:, :2] @ corners
    low, high = (np.trunc(edge / 1e-4) * 1e-4 for edge in (places.min(axis=1), places.max(axis=1)))
    width, height = (np.ceil(high) - np.floor(low)).astype(int).tolist()
    return height, width


def perspective_grid(coefficients: Sequence[float], rows: int, columns: int) -> fb.Tensor:
    """The grid for (ax + by + c, dx + ey + f) / (gx + hy + 1)."""
    base = fb.ones(rows, columns, 3)
    base[..., 0] = fb.linspace(0.5, columns - 0.5, steps=columns)
    base[..., 1] = fb.linspace(0.5, rows - 0.5, steps=rows)[:, None]
    base = base.reshape(-1, 3)
    a, b, c, d, e, f, g, h = coefficients
    top = fb.tensor([[a, b, c], [d, e, f]]).t() / fb.tensor([0.5 * columns, 0.5 * rows])
    bottom = fb.tensor([[g, h, 1.0], [g, h, 1.0]]).t()
    return (fb.mm(base, top) / fb.mm(base, bottom) - 1.0).reshape(1, rows, columns, 2)


def identity_grid(rows: int, columns: int) -> fb.Tensor:
    """The grid that changes nothing."""
    x = fb.linspace((-columns + 1) / columns, (columns - 1) / columns, columns)
    y = fb.linspace((-rows + 1) / rows, (rows - 1) / rows, rows)
    return fb.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], -1).unsqueeze(0)


# colour


def blend(one: fb.Tensor, other: fb.Tensor, ratio: float) -> fb.Tensor:
    return (ratio * one + (1.0 - ratio) * other).clamp(0, max_value(one.dtype)).to(one.dtype)


def to_grayscale(img: fb.Tensor, channels: int) -> fb.Tensor:
    if size(img)[0] == 3:
        red, green, blue = img.unbind(dim=-3)
        grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    else:
        grey = img.clone()
    return grey if channels == 1 else grey.expand(*img.shape[:-3], 3, *img.shape[-2:])


def adjust_brightness(img: fb.Tensor, factor: float) -> fb.Tensor:
    return blend(img, fb.zeros_like(img), factor)


def adjust_saturation(img: fb.Tensor, factor: float) -> fb.Tensor:
    return img if size(img)[0] == 1 else blend(img, to_grayscale(img, 1), factor)


def adjust_saturation_at_once(img: fb.Tensor, factor: float) -> fb.Tensor:
    """The same, rounded once instead of twice: the second generation's."""
    if size(img)[0] == 1:
        return img
    out = fb.add(as_float(img) * factor, as_float(to_grayscale(img, 1)), alpha=1.0 - factor)
    return out.clamp(0, max_value(img.dtype)).to(img.dtype)


def adjust_contrast(img: fb.Tensor, factor: float) -> fb.Tensor:
    return blend(img, as_float(to_grayscale(img, 1)).mean(dim=(-3, -2, -1), keepdim=True), factor)


def _smoothed(img: fb.Tensor) -> fb.Tensor:
    """A weighted mean of each inner pixel with its neighbours; those at the border stay."""
    plain = as_float(img)
    ones = [1.0, 1.0, 1.0]  # the middle counts 5, its neighbours 1, of 13
    inner = (weighed(weighed(plain, ones, -1), ones, -2) + 4 * plain[..., 1:-1, 1:-1]) / 13
    inner = inner if img.is_floating_point() else inner.round()
    blurred = plain.clone()
    blurred[..., 1:-1, 1:-1] = inner
    return blurred


def adjust_sharpness(img: fb.Tensor, factor: float) -> fb.Tensor:
    if min(img.shape[-2:]) <= 2:
        return img
    return blend(img, _smoothed(img), factor)


def adjust_sharpness_exactly(img: fb.Tensor, factor: float) -> fb.Tensor:
    """The same, written so that what is equal in both pictures stays as it is: the second generation's."""
    if min(img.shape[-2:]) <= 2:
        return img
    plain = as_float(img)
    out = fb.add(plain, _smoothed(img) - plain, alpha=1.0 - factor)
    return out.clamp(0, max_value(img.dtype)).to(img.dtype)


def adjust_gamma(img: fb.Tensor, gamma: float, gain: float) -> fb.Tensor:
    out = img if img.is_floating_point() else convert_dtype(img, fb.float32)
    return convert_dtype((gain * out**gamma).clamp(0, 1), img.dtype)


def convert_dtype(img: fb.Tensor, dtype: fb.dtype) -> fb.Tensor:
    """Another element type, with white and black kept."""
    if img.dtype == dtype:
        return img
    old, new = max_value(img.dtype), max_value(dtype)
    if img.is_floating_point():
        if dtype.is_floating_point:
            return img.to(dtype)
        if (img.dtype, dtype) in ((fb.float32, fb.int32), (fb.float32, fb.int64), (fb.float64, fb.int64)):
            raise RuntimeError(f"The cast from {img.dtype} to {dtype} cannot be performed safely.")
        return img.mul(new + 1.0 - 1e-3).to(dtype)
    if dtype.is_floating_point:
        return img.to(dtype) / old
    if old > new:
        return (img // ((old + 1) // (new + 1))).to(dtype)
    return img.to(dtype) * ((new + 1) // (old + 1))


def weighed(img: fb.Tensor, weights: list[float], dim: int) -> fb.Tensor:
    """Sums of neighbours along a dimension, which becomes shorter: a convolution without padding."""
    length = img.shape[dim] - len(weights) + 1
    out = img.narrow(dim, 0, length) * weights[0]
    for i, weight in enumerate(weights[1:], 1):
        out = out.add_(img.narrow(dim, i, length), alpha=weight)
    return out


def blur_weights(length: int, sigma: float) -> list[float]:
    x = fb.linspace(-(length - 1) * 0.5, (length - 1) * 0.5, steps=length)
    weights = fb.exp(-0.5 * (x / sigma).pow(2))
    return (weights / weights.sum()).tolist()


def gaussian_blur(img: fb.Tensor, kernel: list[int], sigma: list[float]) -> fb.Tensor:
    across, down = (blur_weights(length, width) for length, width in zip(kernel, sigma, strict=True))
    out = pad(as_float(img), (kernel[0] // 2, kernel[1] // 2) * 2, 0, "reflect")
    return rounded(weighed(weighed(out, across, -1), down, -2), img.dtype)


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


def invert(img: fb.Tensor) -> fb.Tensor:
    return max_value(img.dtype) - img


def posterize(img: fb.Tensor, bits: int) -> fb.Tensor:
    if img.is_floating_point():
        levels = 1 << bits
        return (img * levels).floor().clamp(0, levels - 1) / levels
    all_bits = value_bits(img.dtype)
    if bits >= all_bits:
        return img
    return img & fb.tensor(((1 << bits) - 1) << (all_bits - bits), dtype=img.dtype, device=img.device)


def solarize(img: fb.Tensor, threshold: float) -> fb.Tensor:
    if threshold > max_value(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return fb.where(img >= threshold, invert(img), img)


def autocontrast(img: fb.Tensor) -> fb.Tensor:
    bound = max_value(img.dtype)
    plain = as_float(img)
    low, high = plain.amin(dim=(-2, -1), keepdim=True), plain.amax(dim=(-2, -1), keepdim=True)
    flat = low == high
    scale = bound / fb.where(flat, fb.full_like(high, bound), high - low)
    return ((plain - fb.where(flat, fb.zeros_like(low), low)) * scale).clamp(0, bound).to(img.dtype)


def autocontrast_by_division(img: fb.Tensor) -> fb.Tensor:
    """The same with a division at the end, which rounds some bytes otherwise: the second generation's."""
    bound = max_value(img.dtype)
    plain = as_float(img)
    low, high = plain.amin(dim=(-2, -1), keepdim=True), plain.amax(dim=(-2, -1), keepdim=True)
    flat = low == high
    span = fb.where(flat, fb.full_like(high, bound), high - low) * (1.0 / bound)
    return ((plain - fb.where(flat, fb.zeros_like(low), low)) / span).clamp(0, bound).to(img.dtype)


def _equalized(plane: fb.Tensor) -> fb.Tensor:
    """One channel of bytes: each value becomes the share of pixels below it."""
    flat = plane.reshape(-1).to(fb.int64)
    counts = fb.bincount(flat, minlength=256)
    present = counts[counts != 0]
    step = int(present[:-1].sum()) // 255
    if step == 0:
        return plane
    below = counts.cumsum(0) - counts
    table = ((below + step // 2) // step).clamp(0, 255).to(fb.uint8)
    return table[flat].reshape(plane.shape)


def equalize(img: fb.Tensor) -> fb.Tensor:
    if img.dtype != fb.uint8:
        return convert_dtype(equalize(convert_dtype(img, fb.uint8)), img.dtype)
    if img.numel() == 0:
        return img
    planes = img.reshape(-1, *img.shape[-2:])
    return fb.stack([_equalized(plane) for plane in planes]).reshape(img.shape)
