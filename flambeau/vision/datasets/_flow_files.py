"""Files of optical flow and disparity: .flo, .pfm, and PNG files of 16 bits."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._pil import check_png_size, pil


def _damaged(path: str | os.PathLike, why: str) -> ValueError:
    return ValueError(f"{os.fspath(path)} is damaged: {why}")


def read_flo(path: str | os.PathLike) -> np.ndarray:
    """A flow [2, H, W] in Middlebury's format: the bytes PIEH, width, height, pairs of floats."""
    content = np.fromfile(path, np.uint8)
    if content[:4].tobytes() != b"PIEH" or content.size < 12:
        raise ValueError("Magic number incorrect. Invalid .flo file" + f"\n{os.fspath(path)}")
    width, height = map(int, content[4:12].view("<i4"))
    if width < 0 or height < 0 or content.size != 12 + 8 * width * height:
        raise _damaged(path, f"{width} × {height} pixels do not take {content.size} bytes")
    return content[12:].view("<f4").reshape(height, width, 2).transpose(2, 0, 1)


def read_pfm(path: str | os.PathLike, slice_channels: int = 2) -> np.ndarray:
    """The first channels [C, H, W] of a portable float map, whose rows run from the bottom to the top."""
    with open(path, "rb") as file:
        kind = file.readline(8).strip()
        if kind not in (b"PF", b"Pf"):
            raise ValueError("Invalid PFM file" + f"\n{os.fspath(path)}")
        try:
            (width, height), scale = map(int, file.readline(64).split()), float(file.readline(64))
        except ValueError as error:
            raise _damaged(path, "width, height and scale do not stand at its beginning") from error
        channels = 3 if kind == b"PF" else 1
        data = np.frombuffer(file.read(), np.uint8)
    if width < 0 or height < 0 or data.size != 4 * width * height * channels:
        raise _damaged(path, f"{width} × {height} × {channels} numbers do not take {data.size} bytes")
    rows = data.view("<f4" if scale < 0 else ">f4").reshape(height, width, channels)
    return rows[::-1].transpose(2, 0, 1)[:slice_channels].astype(np.float32)


def _opened(path: str | os.PathLike) -> Any:
    Image = pil()
    try:
        picture = Image.open(path)
        check_png_size(picture, os.path.getsize(path))
        return picture
    except (ValueError, Image.DecompressionBombError) as error:
        raise _damaged(path, str(error)) from error


def read_png16(path: str | os.PathLike) -> np.ndarray:
    """The values [H, W, 3] of a coloured PNG file of 16 bits.

    Pillow keeps one byte of the two; which one is a setting of its decoder, so the file is decoded twice.
    """
    values = np.zeros((), np.uint16)
    for order, shift in (("RGB;16B", 8), ("RGB;16L", 0)):
        with _opened(path) as picture:
            if not picture.tile or picture.tile[0].args != "RGB;16B":
                raise ValueError(f"{os.fspath(path)} is no coloured PNG file of 16 bits")
            picture.tile = [tile._replace(args=order) for tile in picture.tile]
            values = values | (np.asarray(picture).astype(np.uint16) << shift)
    return values


def read_kitti_flow(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """A flow [2, H, W] and where it is known [H, W], from a PNG file of 16 bits as KITTI's."""
    red, green, known = read_png16(path).astype(np.float32).transpose(2, 0, 1)
    return (np.stack([red, green]) - 2**15) / 64, known.astype(bool)
