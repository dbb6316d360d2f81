"""Videos: the names are there to say what to use instead."""

from __future__ import annotations

from typing import Any

_MESSAGE = (
    "{}: flambeau does not read or write videos, it has no decoder. Decode with a package such as av (PyAV) "
    "or imageio, and stack the frames: flambeau.stack([flambeau.from_numpy(frame) for frame in frames])."
)


def read_video(*args: Any, **kwargs: Any) -> Any:
    """Not supported: raises an error that says what to use."""
    raise NotImplementedError(_MESSAGE.format("read_video"))


def read_video_timestamps(*args: Any, **kwargs: Any) -> Any:
    """Not supported: raises an error that says what to use."""
    raise NotImplementedError(_MESSAGE.format("read_video_timestamps"))


def write_video(*args: Any, **kwargs: Any) -> None:
    """Not supported: raises an error that says what to use."""
    raise NotImplementedError(_MESSAGE.format("write_video"))


class VideoReader:
    """Not supported: making one raises an error that says what to use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(_MESSAGE.format("VideoReader"))
