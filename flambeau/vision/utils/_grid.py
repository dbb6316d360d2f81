"""Pictures of many pictures."""

from __future__ import annotations

import math
import os
from typing import IO, Any

import flambeau as fb
from flambeau.serialization.files import replacing

from .._pil import pil
from ..transforms.functional import to_pil_image

__all__ = ["make_grid", "save_image"]


@fb.no_grad()
def make_grid(
    tensor: fb.Tensor | list[fb.Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[int, int] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> fb.Tensor:
    """Pictures [B, C, H, W], or a list of equal ones, side by side in one picture [C, H', W'].

    Parameters
    ----------
    nrow : pictures in a row.
    padding, pad_value : width and value of the lines between them.
    normalize : scale the values to 0..1, from `value_range` or from the smallest and largest that occur.
    scale_each : do that for each picture by itself.
    """
    if not isinstance(tensor, (fb.Tensor, list)) or (
        isinstance(tensor, list) and not all(isinstance(part, fb.Tensor) for part in tensor)
    ):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    images = fb.stack(tensor, dim=0) if isinstance(tensor, list) else tensor
    images = images.unsqueeze(0) if images.dim() == 2 else images
    if images.dim() == 3:
        images = images.expand(3, -1, -1) if images.size(0) == 1 else images
        images = images.unsqueeze(0)
    if images.dim() == 4 and images.size(1) == 1:
        images = images.expand(-1, 3, -1, -1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        images = images.clone()
        for part in images if scale_each else [images]:
            low, high = value_range or (float(part.min()), float(part.max()))
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    if images.size(0) == 1:
        return images.squeeze(0)
    count, channels, rows, columns = images.shape
    across = min(nrow, count)
    down = math.ceil(count / across)
    high, wide = rows + padding, columns + padding
    grid = images.new_full((channels, high * down + padding, wide * across + padding), pad_value)
    for k in range(count):
        y, x = divmod(k, across)
        grid[:, y * high + padding : (y + 1) * high, x * wide + padding : (x + 1) * wide] = images[k]
    return grid


@fb.no_grad()
def save_image(
    tensor: fb.Tensor | list[fb.Tensor],
    fp: str | os.PathLike | IO[bytes],
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Save a picture, or a grid of pictures (arguments as in `make_grid`), with values from 0 to 1."""
    grid = make_grid(tensor, **kwargs)
    picture = to_pil_image(grid.mul(255).add(0.5).clamp(0, 255).to("cpu", fb.uint8))
    if not isinstance(fp, (str, os.PathLike)):
        picture.save(fp, format=format)
        return
    if format is None:
        suffix = os.path.splitext(fp)[1].lower()
        known = pil().registered_extensions()
        if suffix not in known:
            raise ValueError(f"unknown file extension: {suffix}")
        format = known[suffix]
    with replacing(fp) as file:  # a program that is killed leaves the old file or the new one
        picture.save(file, format=format)
