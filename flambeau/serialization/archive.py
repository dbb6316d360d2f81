"""The zip archive of a checkpoint: stored records, each starting at a multiple of 64 bytes so that it can be
mapped.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from .files import Bounded, describe

_ALIGN = 64
_LOCAL_HEADER = 30
_END = 22  # bytes of the record that ends every archive
_ZIP64_EXTRA = 20
_PADDING_ID = 0x4246  # "FB", the tag of the extra field that PyTorch pads with

_ADVICE = (
    ". This is an internal miniz error. If you are seeing this error, there is a high likelihood that your "
    "checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was transferred "
    "incorrectly, or the file was modified after saving."
)
_BROKEN = "PytorchStreamReader failed reading zip archive: {}" + _ADVICE
MISSING = "PytorchStreamReader failed locating file {}: file not found" + _ADVICE
NO_VERSION = (
    'Expected hasRecord("version") to be true, but got false.  (Could this error message be improved?  '
    "If so, please report an enhancement request to PyTorch.)"
)


class Writer:
    """Writes records one after the other."""

    def __init__(self, file: IO[bytes], name: str, checksums: bool = True) -> None:
        self.name = name
        self.counter = _Position(file)
        self.zip = zipfile.ZipFile(self.counter, "w", zipfile.ZIP_STORED, allowZip64=True)

    def write(self, record: str, data: bytes | memoryview) -> None:
        """Add a record, its data aligned."""
        info = zipfile.ZipInfo(f"{self.name}/{record}")
        size = memoryview(data).nbytes
        large = size >= zipfile.ZIP64_LIMIT
        start = self.counter.position + _LOCAL_HEADER + len(info.filename.encode()) + 4
        padding = -(start + (_ZIP64_EXTRA if large else 0)) % _ALIGN
        info.extra = struct.pack("<HH", _PADDING_ID, padding) + b"Z" * padding
        info.file_size = size
        with self.zip.open(info, "w", force_zip64=large) as entry:
            entry.write(data)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.zip.close()
        else:
            self.zip.fp = None  # or its finalizer would try to end an archive whose writing failed


class _Position(io.RawIOBase):
    """A file that counts from where the archive begins in it; offsets in the archive are relative to that."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self.file = file
        self.position = 0
        self._seekable = bool(getattr(file, "seekable", lambda: False)())
        self.base = file.tell() if self._seekable else 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.file.write(data)
        self.position += size
        return size

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("an archive is written from its beginning")
        self.file.seek(self.base + offset)
        self.position = offset
        return offset

    def flush(self) -> None:
        if hasattr(self.file, "flush"):
            self.file.flush()


class Reader:
    """Reads records, checking sizes and checksums."""

    def __init__(self, file: Any, checksums: bool = True) -> None:
        self.file = file
        self.checksums = checksums
        self.bounded = Bounded(file)
        try:
            self.zip = zipfile.ZipFile(file)
            self.infos = {info.filename: info for info in self.zip.infolist()}
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            NotImplementedError,
            EOFError,
            struct.error,
        ) as error:
            what = "not a ZIP archive" if self.bounded.end < _END else "failed finding central directory"
            raise RuntimeError(_BROKEN.format(what) + self._cut_off()) from error

        if not self.infos:
            raise RuntimeError(_BROKEN.format("archive does not contain any files"))
        first = next(iter(self.infos))
        self.name = first.split("/")[0] if "/" in first else ""

    def _cut_off(self) -> str:
        self.file.seek(0)
        start = self.file.read(512)
        if start.startswith(b"PK\x03\x04"):
            return (
                f"\nThe file has {self.bounded.end} bytes and ends too early: it was cut off while written "
                f"or copied."
            )
        return "\n" + describe(start)

    def __contains__(self, record: str) -> bool:
        return f"{self.name}/{record}" in self.infos

    def records(self) -> list[str]:
        """The names of all records."""
        return [name[len(self.name) + 1 :] for name in self.infos]

    def _info(self, record: str) -> zipfile.ZipInfo:
        try:
            info = self.infos[f"{self.name}/{record}"]
        except KeyError:
            raise RuntimeError(MISSING.format(record)) from None
        if info.header_offset < 0:
            raise RuntimeError(_BROKEN.format(f"record {record} begins before the file"))
        return info

    def size(self, record: str) -> int:
        """The size of a record in bytes."""
        return self._info(record).file_size

    def header_offset(self, record: str) -> int:
        """Where the header of a record begins in the file."""
        return self._info(record).header_offset

    def offset(self, record: str) -> int:
        """Where the bytes of a stored record begin in the file."""
        info = self._info(record)
        if info.compress_type != zipfile.ZIP_STORED:
            raise RuntimeError(f"record {record} is compressed and cannot be mapped: load it without mmap")
        self.file.seek(info.header_offset)
        header = self.bounded.read(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise RuntimeError(_BROKEN.format(f"invalid header of record {record}"))
        name, extra = struct.unpack_from("<HH", header, 26)
        start = info.header_offset + _LOCAL_HEADER + name + extra
        if start + info.file_size > self.bounded.end:
            raise RuntimeError(_BROKEN.format(f"record {record} is longer than the file"))
        return start

    def forget_checksum(self, record: str, mapped: np.ndarray) -> None:
        """Remove the checksum of a record from the bytes of the whole file: they are about to change."""
        info = self._info(record)
        mapped[info.header_offset + 14 :][:4] = 0
        place = self.zip.start_dir
        for _ in self.infos:
            sizes = struct.unpack_from("<HHH", mapped, place + 28)
            if struct.unpack_from("<I", mapped, place + 42)[0] == info.header_offset & 0xFFFFFFFF:
                mapped[place + 16 :][:4] = 0
            place += 46 + sum(sizes)

    def read_into(self, record: str, target: np.ndarray) -> None:
        """Fill a byte array with a record."""
        info = self._info(record)
        if info.compress_type != zipfile.ZIP_STORED:
            target[:] = np.frombuffer(self.read(record), np.uint8)
            return
        start = self.offset(record)
        self.file.seek(start)
        try:
            self.bounded.readinto(memoryview(target))
        except EOFError as error:
            raise RuntimeError(_BROKEN.format(f"record {record} is cut off")) from error
        self._check(info, target)

    def read(self, record: str) -> bytes:
        """The bytes of a record; RuntimeError where it is missing or damaged."""
        info = self._info(record)
        if info.compress_type == zipfile.ZIP_STORED:
            data = np.empty(info.file_size if self.offset(record) else 0, np.uint8)
            self.read_into(record, data)
            return data.tobytes()
        try:
            return self.zip.read(info)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise RuntimeError(_BROKEN.format(f"{error}")) from error

    def _check(self, info: zipfile.ZipInfo, data: np.ndarray) -> None:
        # 0 stands where the writer made none: skip_data, set_crc32_options(False), a file mapped for writing
        if self.checksums and info.CRC and zlib.crc32(data) != info.CRC:
            raise RuntimeError(
                _BROKEN.format(f"checksum of record {info.filename} is wrong")
                + "\nBytes of the file were changed after it was written; "
                "flambeau.serialization.set_crc32_options(False) reads it nevertheless."
            )
