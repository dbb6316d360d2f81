"""Marks for NVIDIA's profilers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

__all__ = ["range_push", "range_pop", "range_start", "range_end", "mark", "range"]


def _absent() -> NoReturn:
    raise RuntimeError(
        "NVTX functions not installed. Are you sure you have a CUDA build?\n"
        "This flambeau has no GPU support yet."
    )


def range_push(msg: str) -> int:
    """Begin a nested range; returns its depth."""
    _absent()


def range_pop() -> int:
    """End the innermost range."""
    _absent()


def range_start(msg: str) -> int:
    """Begin a range; returns its number."""
    _absent()


def range_end(range_id: int) -> None:
    """End a range."""
    _absent()


def mark(msg: str) -> None:
    """Mark a moment."""
    _absent()


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Context manager around a range; `msg` is formatted with the arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
