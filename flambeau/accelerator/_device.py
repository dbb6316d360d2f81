"""Whether there is an accelerator, and its module."""

from __future__ import annotations

from typing import Any

from flambeau import cuda

__all__ = ["in_use", "is_available"]


def is_available() -> bool:
    """Tell whether there is an accelerator."""
    return cuda.is_available()


def in_use() -> Any:
    """The module of the accelerator that there is.

    Raises
    ------
    RuntimeError : there is none.
    """
    if not is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    return cuda
