"""Switches of the GPU vendor's profiler. There is no GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from . import _refuse

__all__ = ["start", "stop", "profile"]


def start() -> None:
    """Begin to profile."""
    _refuse()


def stop() -> None:
    """Profile no more."""
    _refuse()


@contextlib.contextmanager
def profile() -> Iterator[None]:
    """Profile a block."""
    start()
    try:
        yield
    finally:
        stop()
