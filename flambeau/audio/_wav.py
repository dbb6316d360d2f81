"""The WAV format (RIFF): integers of 8 to 32 bits and floating point, read and written."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class NotWav(ValueError):
    """The file is no WAV file, or one whose samples are encoded in another way."""


@dataclass
class Header:
    """What the file says of its samples, and where they are."""

    kind: int
    channels: int
    rate: int
    bits: int
    start: int
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8

    @property
    def encoding(self) -> str:
        """torchaudio's name of the encoding."""
        return "PCM_F" if self.kind == _FLOAT else "PCM_U" if self.bits == 8 else "PCM_S"


def read_header(file: BinaryIO) -> Header:
    """Read the chunks up to the samples."""
    begin = file.tell()
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise NotWav(f"no WAV file: it begins with {head[:4]!r}")
    size_of_file = file.seek(0, 2)
    file.seek(begin + 12)
    form = None
    while len(chunk := file.read(8)) == 8:
        name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        here = file.tell()
        if name == b"fmt ":
            form = _format(file.read(size))
        elif name == b"data":
            if form is None:
                raise NotWav("the samples come before their format")
            size = min(size, size_of_file - here)  # a stream that was never closed announces too many
            kind, channels, rate, bits = form
            return Header(kind, channels, rate, bits, here, size // (channels * bits // 8))
        file.seek(here + size + size % 2)
    raise NotWav("a WAV file without samples")


def _format(content: bytes) -> tuple[int, int, int, int]:
    if len(content) < 16:
        raise NotWav("its format is cut short")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if kind == _EXTENSIBLE and len(content) >= 26:
        kind = struct.unpack("<H", content[24:26])[0]
    if (kind, bits) not in [(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)]:
        raise NotWav(f"samples of kind {kind} with {bits} bits")
    if not channels or not rate:
        raise NotWav(f"{channels} channels at {rate} samples a second")
    return kind, channels, rate, bits


def read(file: BinaryIO, header: Header, offset: int, count: int, normalize: bool) -> np.ndarray:
    """Frames as [frames, channels]: real numbers from -1 to 1, or the file's integers."""
    offset = min(offset, header.frames)
    count = header.frames - offset if count < 0 else min(count, header.frames - offset)
    file.seek(header.start + offset * header.frame_bytes)
    data = file.read(count * header.frame_bytes)
    data = data[: len(data) - len(data) % header.frame_bytes]
    if header.kind == _FLOAT:
        return np.frombuffer(data, f"<f{header.bits // 8}").astype("f4").reshape(-1, header.channels)
    if header.bits == 24:  # the three bytes become the upper ones of four
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.view("<i4").ravel()
    else:
        values = np.frombuffer(data, "u1" if header.bits == 8 else f"<i{header.bits // 8}")
    if normalize:
        values = (
            (values.astype("f8") - 128) / 128
            if header.bits == 8
            else values / -float(np.iinfo(values.dtype).min)
        )
        return values.astype("f4").reshape(-1, header.channels)
    return values.astype(values.dtype.newbyteorder("=")).reshape(-1, header.channels)


def write(file: BinaryIO, frames: np.ndarray, rate: int, encoding: str, bits: int) -> None:
    """Write frames [frames, channels], real numbers from -1 to 1 or integers of a WAV type."""
    count, channels = frames.shape
    if encoding == "PCM_F":
        kind, data = _FLOAT, _real(frames).astype(f"<f{bits // 8}").tobytes()
    else:
        kind, data = _PCM, _integers(frames, bits)
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    if kind == _FLOAT:
        form += b"\0\0"  # size of the extension
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    if kind == _FLOAT:
        chunks += b"fact" + struct.pack("<II", 4, count)
    if len(chunks) + len(data) + 12 >= 1 << 32:
        raise ValueError(f"a WAV file holds less than 4 GiB; this sound takes {len(data)} bytes")
    chunks += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    file.write(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def _real(frames: np.ndarray) -> np.ndarray:
    if frames.dtype.kind == "f":
        return frames
    if frames.dtype == np.uint8:
        return (frames.astype("f8") - 128) / 128
    return frames / -float(np.iinfo(frames.dtype).min)


def _integers(frames: np.ndarray, bits: int) -> bytes:
    top = 1 << (bits - 1)
    values = np.clip(np.rint(_real(frames).astype("f8") * top), -top, top - 1).astype("i8")
    if bits == 8:
        return (values + 128).astype("u1").tobytes()
    if bits == 24:
        return np.ascontiguousarray(
            values.astype("<i4").ravel().view(np.uint8).reshape(-1, 4)[:, :3]
        ).tobytes()
    return values.astype(f"<i{bits // 8}").tobytes()
