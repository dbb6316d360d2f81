"""``load``, ``save`` and ``info``: sounds in files."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

import flambeau as fb
from flambeau.serialization.files import replacing

from . import _wav

__all__ = ["AudioMetaData", "info", "list_audio_backends", "load", "save"]


@dataclass
class AudioMetaData:
    """What a file says of its sound."""

    sample_rate: int
    num_frames: int
    num_channels: int
    bits_per_sample: int
    encoding: str


def list_audio_backends() -> list[str]:
    """What can read files here: WAV always, other formats where soundfile is installed."""
    import importlib.util

    return ["wav"] + ["soundfile"] * (importlib.util.find_spec("soundfile") is not None)


def _soundfile(what: str) -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise ImportError(f'{what} needs the package soundfile: pip install "flambeau[audio]"') from error
    return soundfile


def _open(uri: Any) -> AbstractContextManager[BinaryIO]:
    return nullcontext(uri) if hasattr(uri, "read") else open(uri, "rb")


def _name(uri: Any) -> str:
    return repr(getattr(uri, "name", type(uri).__name__)) if hasattr(uri, "read") else os.fspath(uri)


_ENCODINGS = {
    "PCM_U8": ("PCM_U", 8), "PCM_S8": ("PCM_S", 8), "PCM_16": ("PCM_S", 16), "PCM_24": ("PCM_S", 24),
    "PCM_32": ("PCM_S", 32), "FLOAT": ("PCM_F", 32), "DOUBLE": ("PCM_F", 64), "ULAW": ("ULAW", 8),
    "ALAW": ("ALAW", 8), "VORBIS": ("VORBIS", 0), "OPUS": ("OPUS", 0),
}  # fmt: skip


def info(
    uri: Any, format: str | None = None, buffer_size: int = 4096, backend: str | None = None
) -> AudioMetaData:
    """Sample rate, length, channels and encoding of a file, without reading the sound."""
    with _open(uri) as file:
        begin = file.tell()
        try:
            head = _wav.read_header(file)
        except _wav.NotWav as error:
            file.seek(begin)
            found = _soundfile(f"{_name(uri)} ({error}): reading it").SoundFile(file)
            encoding, bits = _ENCODINGS.get(found.subtype, (found.format, 0))
            encoding = found.format if found.format in ("FLAC", "MP3") else encoding
            return AudioMetaData(found.samplerate, found.frames, found.channels, bits, encoding)
        file.seek(begin)
        return AudioMetaData(head.rate, head.frames, head.channels, head.bits, head.encoding)


def load(
    uri: Any,
    frame_offset: int = 0,
    num_frames: int = -1,
    normalize: bool = True,
    channels_first: bool = True,
    format: str | None = None,
    buffer_size: int = 4096,
    backend: str | None = None,
) -> tuple[fb.Tensor, int]:
    """Read a sound.

    Parameters
    ----------
    uri : a path or an open binary file. WAV is read here, other formats by soundfile.
    frame_offset, num_frames : where to begin and how many frames to read; -1 for all.
    normalize : give numbers from -1 to 1; otherwise the integers of a WAV file as they are (24 bits as the
        upper part of 32).
    channels_first : give [channels, frames], or [frames, channels].

    Returns
    -------
    (Tensor, int) : the sound and its frames a second.
    """
    if frame_offset < 0 or num_frames < -1 or num_frames == 0:
        raise ValueError(
            f"frame_offset must not be negative and num_frames be positive or -1; they are {frame_offset} "
            f"and {num_frames}"
        )
    with _open(uri) as file:
        begin = file.tell()
        try:
            head = _wav.read_header(file)
        except _wav.NotWav as error:
            file.seek(begin)
            package = _soundfile(f"{_name(uri)} ({error}): reading it")
            with package.SoundFile(file) as sound:
                sound.seek(min(frame_offset, sound.frames))
                frames = sound.read(num_frames, dtype="float32", always_2d=True)
                rate = sound.samplerate
        else:
            frames, rate = _wav.read(file, head, frame_offset, num_frames, normalize), head.rate
    tensor = fb.from_numpy(np.ascontiguousarray(frames.T if channels_first else frames))
    return tensor, rate


def save(
    uri: Any,
    src: fb.Tensor,
    sample_rate: int,
    channels_first: bool = True,
    format: str | None = None,
    encoding: str | None = None,
    bits_per_sample: int | None = None,
    buffer_size: int = 4096,
    backend: str | None = None,
    compression: Any = None,
) -> None:
    """Write a sound [channels, frames] (or [frames, channels]).

    Parameters
    ----------
    uri : a path (an old file there stays until the new one is whole) or an open binary file. WAV is written
        here, other formats by soundfile.
    src : real numbers from -1 to 1 (beyond, integers are cut off), or integers of 8, 16 or 32 bits.
    format : by default, the ending of the name.
    encoding, bits_per_sample : for WAV 'PCM_S' with 16, 24 or 32 bits, 'PCM_U' with 8, 'PCM_F' with 32 or 64;
        by default those of the tensor's dtype.
    """
    if src.dim() != 2:
        raise ValueError(f"Expected 2D Tensor, got {src.dim()}D.")
    frames = src.detach().cpu().numpy()
    frames = frames.T if channels_first else frames
    if format is None:
        format = "wav" if hasattr(uri, "write") else os.path.splitext(os.fspath(uri))[1][1:] or "wav"
    if format.lower() != "wav":
        package = _soundfile(f"writing {format}")
        frames = frames if frames.dtype.kind == "f" else _wav._real(frames)
        subtypes = {
            ("PCM_S", 16): "PCM_16",
            ("PCM_S", 24): "PCM_24",
            (None, 16): "PCM_16",
            (None, 24): "PCM_24",
        }
        subtype = subtypes.get((encoding, bits_per_sample))
        with nullcontext(uri) if hasattr(uri, "write") else replacing(uri) as file:
            package.write(file, frames, sample_rate, subtype, format=format.upper())
        return
    encoding, bits = _wav_encoding(frames.dtype, encoding, bits_per_sample)
    with nullcontext(uri) if hasattr(uri, "write") else replacing(uri) as file:
        _wav.write(file, frames, sample_rate, encoding, bits)


def _wav_encoding(dtype: np.dtype, encoding: str | None, bits: int | None) -> tuple[str, int]:
    own = {
        "f4": ("PCM_F", 32),
        "f8": ("PCM_F", 64),
        "u1": ("PCM_U", 8),
        "i2": ("PCM_S", 16),
        "i4": ("PCM_S", 32),
    }
    if dtype.str[1:] not in own:
        raise ValueError(
            f"Unsupported dtype for WAV: {dtype}; it can be float32, float64, int16, int32 or uint8"
        )
    if encoding is None and bits is None:
        return own[dtype.str[1:]]
    if encoding is None:
        encoding = "PCM_U" if bits == 8 else "PCM_S"
    usual = {"PCM_S": 16, "PCM_U": 8, "PCM_F": 32}
    chosen = encoding, bits or usual.get(encoding, 0)
    allowed = [("PCM_S", 16), ("PCM_S", 24), ("PCM_S", 32), ("PCM_U", 8), ("PCM_F", 32), ("PCM_F", 64)]
    if chosen not in allowed:
        raise ValueError(f"WAV has no encoding {chosen[0]} with {chosen[1]} bits; it has {allowed}")
    return chosen
