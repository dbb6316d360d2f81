"""Pillow, imported when it is first needed."""

from __future__ import annotations

import sys
from typing import Any


def pil(module: str = "Image") -> Any:
    """A module of Pillow; says how to install it where it is not there."""
    import importlib

    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError('pictures need Pillow: pip install pillow (or "flambeau[vision]")') from error


def is_pil(obj: Any) -> bool:
    """Whether `obj` is a Pillow image; does not import Pillow."""
    image = sys.modules.get("PIL.Image")
    return image is not None and isinstance(obj, image.Image)


def check_png_size(image: Any, size: int) -> None:
    """ValueError where a PNG file of `size` bytes announces more pixels than these can hold.

    Pillow would make room for all of them first. Deflate makes data at most 1032 times smaller.
    """
    width, height = image.size
    bits = 8 * len(image.getbands()) if image.mode in ("RGB", "RGBA") else 1
    if image.format == "PNG" and width * height * bits // 8 > 1032 * size:
        raise ValueError(f"{width} × {height} pixels cannot lie in {size} bytes")
