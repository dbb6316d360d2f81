"""The zip archive of a checkpoint: stored records, each starting at a multiple of 64 bytes so that it can be
mapped.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from .. import _C
from .files import Bounded, describe

_ALIGN = 64
_LOCAL_HEADER = 30
_END = 22  # bytes of the record that ends every archive
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


# the three kinds of record that a zip archive has besides the data (APPNOTE.TXT of PKWARE, 4.3)
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END_64 = struct.Struct("<4sQHHIIQQQQ4sIQI")
_END_ALL = struct.Struct("<4sHHHHIIH")
_DATE = 1 << 5 | 1  # 1 January 1980, the first there is
_MADE_BY = 3 << 8  # Unix
_MODE = 0o600 << 16
_UTF8 = 0x800
_LIMIT = (1 << 31) - 1  # what readers with signed numbers understand; beyond are fields of 64 bits
_MANY = 0xFFFF


def identity(digest: Any) -> bytes:
    """What a hash of the contents says of them: 40 digits."""
    return str(int(digest.hexdigest(), 16))[:40].rjust(40, "0").encode()


class Writer:
    """Writes records one after the other, without going back: `file` need not be able to seek."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.file = file
        self.position = 0  # counted from where the archive begins in the file
        self.directory: list[bytes] = []

    def write(self, record: str, data: bytes | memoryview) -> None:
        """Add a record, its data aligned."""
        path = f"{self.name}/{record}"
        name, flags = path.encode(), 0 if path.isascii() else _UTF8
        size, start, check = memoryview(data).nbytes, self.position, _C._crc32(data)
        large = size > _LIMIT
        wide = struct.pack("<HHQQ", 1, 16, size, size) if large else b""
        padding = -(start + _LOCAL.size + len(name) + len(wide) + 4) % _ALIGN
        pad = struct.pack("<HH", _PADDING_ID, padding) + b"Z" * padding
        version, shown = (45, 0xFFFFFFFF) if large else (20, size)
        extra = wide + pad
        common = (version, flags, 0, 0, _DATE, check, shown, shown, len(name))
        self._put(_LOCAL.pack(b"PK\3\4", *common, len(extra)) + name + extra)
        self._put(data)

        far = start > _LIMIT
        numbers = ([size, size] if large else []) + ([start] if far else [])
        wide = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        version, start = (45, 0xFFFFFFFF if far else start) if numbers else (20, start)
        extra = wide + pad
        common = (version, flags, 0, 0, _DATE, check, shown, shown, len(name))
        entry = _CENTRAL.pack(
            b"PK\1\2", _MADE_BY | version, *common, len(extra), 0, 0, 0, _MODE, start
        )  # fmt: skip
        self.directory.append(entry + name + extra)

    def _put(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.position += memoryview(data).nbytes

    def _finish(self) -> None:
        start, count = self.position, len(self.directory)
        directory = b"".join(self.directory)
        size = len(directory)
        end = b""
        if count > _MANY or start > _LIMIT or size > _LIMIT:
            end = _END_64.pack(
                *(b"PK\6\6", 44, _MADE_BY | 45, 45, 0, 0, count, count, size, start),
                *(b"PK\6\7", 0, start + size, 1),
            )
            count, size, start = min(count, _MANY), min(size, 0xFFFFFFFF), min(start, 0xFFFFFFFF)
        self._put(directory + end + _END_ALL.pack(b"PK\5\6", 0, 0, count, count, size, start, 0))
        if hasattr(self.file, "flush"):
            self.file.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self._finish()


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
        if self.checksums and info.CRC and _C._crc32(data) != info.CRC:
            raise RuntimeError(
                _BROKEN.format(f"checksum of record {info.filename} is wrong")
                + "\nBytes of the file were changed after it was written; "
                "flambeau.serialization.set_crc32_options(False) reads it nevertheless."
            )
