"""Profiles of work on an Apple GPU: there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from . import _no_mps

__all__ = ["is_capturing_metal", "is_metal_capture_enabled", "metal_capture", "profile", "start", "stop"]


def start(mode: str = "interval", wait_until_completed: bool = False) -> NoReturn:
    """Begin to record.

    Parameters
    ----------
    mode : ``"interval"``, ``"event"`` or both.
    wait_until_completed : whether each piece of work is waited for.
    """
    raise _no_mps("profilerStartTrace")


def stop() -> NoReturn:
    """End the record."""
    raise _no_mps("profilerStopTrace")


@contextmanager
def profile(mode: str = "interval", wait_until_completed: bool = False) -> Iterator[None]:
    """Context manager that records.

    Parameters
    ----------
    mode, wait_until_completed : as of `start`.
    """
    try:
        start(mode, wait_until_completed)
        yield
    finally:
        stop()


def _without(name: str) -> AttributeError:
    return AttributeError(
        f"module 'torch._C' has no attribute '{name}'\nflambeau has no support for Apple GPUs"
    )


def is_metal_capture_enabled() -> bool:
    """Whether Metal was told to let programs record."""
    raise _without("_mps_isCaptureEnabled")


def is_capturing_metal() -> bool:
    """Whether Metal records."""
    raise _without("_mps_isCapturing")


@contextmanager
def metal_capture(fname: str) -> Iterator[None]:
    """Context manager: have Metal record into a file.

    Parameters
    ----------
    fname : the name of the file.
    """
    raise _without("_mps_startCapture")
    yield
