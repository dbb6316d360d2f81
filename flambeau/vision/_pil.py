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
