"""The C++ frames of the calling thread."""

from __future__ import annotations

from flambeau import _C

__all__ = ["get_cpp_backtrace"]


def get_cpp_backtrace(frames_to_skip: int = 0, maximum_number_of_frames: int = 64) -> str:
    """One line a frame, innermost first."""
    return _C._get_cpp_backtrace(frames_to_skip, maximum_number_of_frames)
