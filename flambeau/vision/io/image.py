"""Pictures in files and in bytes, as uint8 tensors [C, H, W]."""

from __future__ import annotations

import io
import os
import warnings
from enum import Enum
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.serialization.files import replacing

from .._pil import check_png_size, pil
from ..transforms.functional import pil_to_tensor, to_pil_image


class ImageReadMode(Enum):
    """The channels that are wanted of a picture, whatever it has."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}


def read_file(path: str | os.PathLike) -> fb.Tensor:
    """The bytes of a file, as a uint8 tensor of one dimension."""
    return fb.from_numpy(np.fromfile(path, dtype=np.uint8))


def write_file(filename: str | os.PathLike, data: fb.Tensor) -> None:
    """Write a uint8 tensor of one dimension to a file, which is whole or not there."""
    with replacing(filename) as file:
        file.write(_bytes(data))


def _bytes(data: fb.Tensor) -> bytes:
    if not isinstance(data, fb.Tensor) or data.dtype != fb.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if data.dim() != 1 or data.numel() == 0:
        raise RuntimeError("Expected a non empty 1-dimensional tensor")
    return data.cpu().numpy().tobytes()


def _opened(data: bytes, formats: tuple[str, ...] | None, name: str) -> Any:
    """The picture in these bytes, decoded; whatever is wrong with them is a RuntimeError."""
    Image = pil()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=formats)
            check_png_size(image, len(data))
            image.load()
    except Image.DecompressionBombError as error:
        raise RuntimeError(f"{name}: {error}\nA picture that large is refused.") from error
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, TypeError) as error:
        begin = data[:8].hex(" ")
        raise RuntimeError(
            f"{name}: these {len(data)} bytes are no whole picture of that kind: {error}\n"
            f"They begin with {begin}."
        ) from error
    return image


def _upright(image: Any, wanted: bool) -> Any:
    return pil("ImageOps").exif_transpose(image) if wanted else image


def _tensor(image: Any, mode: ImageReadMode | str) -> fb.Tensor:
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper()]
    if mode is ImageReadMode.UNCHANGED:
        if image.mode == "P":  # colours by number: there are no channels before they are looked up
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        elif image.mode == "1":
            image = image.convert("L")
    else:
        image = image.convert(_MODES[mode])
    return pil_to_tensor(image)


def _decode(
    data: fb.Tensor, formats: tuple[str, ...] | None, name: str, mode: ImageReadMode | str, upright: bool
) -> fb.Tensor:
    return _tensor(_upright(_opened(_bytes(data), formats, name), upright), mode)


def decode_png(
    input: fb.Tensor,
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> fb.Tensor:
    """A picture from the bytes of a PNG file."""
    return _decode(input, ("PNG",), "decode_png", mode, apply_exif_orientation)


def decode_jpeg(
    input: fb.Tensor | list[fb.Tensor],
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    device: Any = "cpu",
    apply_exif_orientation: bool = False,
) -> fb.Tensor | list[fb.Tensor]:
    """A picture from the bytes of a JPEG file, or a list of pictures from a list."""
    if isinstance(input, list):
        return [decode_jpeg(part, mode, device, apply_exif_orientation) for part in input]
    return _decode(input, ("JPEG",), "decode_jpeg", mode, apply_exif_orientation).to(device)


def decode_webp(input: fb.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """A picture from the bytes of a WebP file."""
    return _decode(input, ("WEBP",), "decode_webp", mode, False)


def decode_avif(input: fb.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """A picture from the bytes of an AVIF file, where Pillow was built with it."""
    if not pil("features").check("avif"):
        raise NotImplementedError("decode_avif: this Pillow was built without AVIF")
    return _decode(input, ("AVIF",), "decode_avif", mode, False)


def decode_heic(input: fb.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """Not supported: raises an error that says what to use."""
    raise NotImplementedError(
        "decode_heic: Pillow reads no HEIC by itself. Open the file with the package pillow-heif, then call "
        "torchvision.transforms.functional.pil_to_tensor."
    )


def decode_gif(input: fb.Tensor) -> fb.Tensor:
    """A picture from the bytes of a GIF file, [3, H, W], or [N, 3, H, W] where it has several."""
    image = _opened(_bytes(input), ("GIF",), "decode_gif")
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append(pil_to_tensor(image.convert("RGB")))
    return frames[0] if len(frames) == 1 else fb.stack(frames)


def decode_image(
    input: fb.Tensor | str | os.PathLike,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> fb.Tensor:
    """A picture from the bytes of a file, or from the file of that name; JPEG, PNG, GIF, WebP or AVIF."""
    if isinstance(input, (str, os.PathLike)):
        input = read_file(input)
    data = _bytes(input)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return decode_gif(input)
    formats = tuple(
        f for f in ("JPEG", "PNG", "WEBP", "AVIF") if f != "AVIF" or pil("features").check("avif")
    )
    return _decode(input, formats, "decode_image", mode, apply_exif_orientation)


def read_image(
    path: str | os.PathLike,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> fb.Tensor:
    """The picture in a file, as a uint8 tensor [C, H, W]."""
    return decode_image(path, mode, apply_exif_orientation)


def _encode(image: fb.Tensor, channels: tuple[int, ...], **options: Any) -> fb.Tensor:
    if not isinstance(image, fb.Tensor) or image.dtype != fb.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if image.dim() != 3:
        raise RuntimeError("Input data should be a 3-dimensional tensor")
    if image.size(0) not in channels:
        raise RuntimeError(f"The number of channels should be 1 or 3, got: {image.size(0)}")
    buffer = io.BytesIO()
    to_pil_image(image).save(buffer, **options)
    return fb.from_numpy(np.frombuffer(bytearray(buffer.getvalue()), dtype=np.uint8))


def encode_png(input: fb.Tensor, compression_level: int = 6) -> fb.Tensor:
    """The bytes of a PNG file of a picture [C, H, W] with one or three channels."""
    if not 0 <= compression_level <= 9:
        raise RuntimeError("Compression level should be between 0 and 9")
    return _encode(input, (1, 3), format="PNG", compress_level=compression_level)


def encode_jpeg(input: fb.Tensor | list[fb.Tensor], quality: int = 75) -> fb.Tensor | list[fb.Tensor]:
    """The bytes of a JPEG file of a picture [C, H, W] with one or three channels, or a list of them."""
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    if isinstance(input, list):
        if not input:
            raise ValueError("encode_jpeg requires at least one input tensor when a list is passed")
        return [encode_jpeg(part, quality) for part in input]
    return _encode(input, (1, 3), format="JPEG", quality=quality)


def write_png(input: fb.Tensor, filename: str | os.PathLike, compression_level: int = 6) -> None:
    """Write a picture to a PNG file."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: fb.Tensor, filename: str | os.PathLike, quality: int = 75) -> None:
    """Write a picture to a JPEG file."""
    write_file(filename, encode_jpeg(input, quality))
