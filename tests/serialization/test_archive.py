"""The zip archive itself: its checksums, and the fields of archives too large for 32 bits."""

import io
import random
import zipfile
import zlib

import pytest

import flambeau as fb
from flambeau import _C
from flambeau.serialization import archive

RECORDS = {"a": b"", "b": b"x", "long": bytes(range(256)) * 5, "ü": b"name"}


def written(file):
    with archive.Writer(file, "top") as writer:
        for name, data in RECORDS.items():
            writer.write(name, data)


def test_checksums():
    assert _C._crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32
    assert _C._crc32(b"") == 0 and _C._crc32(b"", 7) == 7
    bytes_ = memoryview(random.Random(0).randbytes(5000))
    for size in (*range(300), *range(1000, 1400), 4999):
        for start in (0, 1):
            part = bytes_[start : start + size]
            assert _C._crc32(part) == zlib.crc32(part), size
    assert _C._crc32(bytes_[1500:], _C._crc32(bytes_[:1500])) == zlib.crc32(bytes_)
    with pytest.raises(TypeError, match="bytes-like"):
        _C._crc32("text")


class OnlyWrites:
    def __init__(self):
        self.content = b""

    def write(self, data):
        self.content += bytes(data)


@pytest.mark.parametrize("limit", [None, 200, 0])
def test_other_readers(monkeypatch, limit):
    if limit is not None:  # as if records and archive were longer than 2 GiB
        monkeypatch.setattr(archive, "_LIMIT", limit)
    file = OnlyWrites()
    written(file)
    other = zipfile.ZipFile(io.BytesIO(file.content))
    assert other.testzip() is None
    assert {info.filename: other.read(info) for info in other.infolist()} == {
        f"top/{name}": data for name, data in RECORDS.items()
    }
    for info in other.infolist():
        wide = info.file_size > (limit if limit is not None else 1 << 31)
        assert file.content[info.header_offset + 18 :][:4] == (
            b"\xff" * 4 if wide else info.file_size.to_bytes(4, "little")
        )
    reader = archive.Reader(io.BytesIO(file.content))
    for name, data in RECORDS.items():
        assert reader.read(name) == data and reader.offset(name) % 64 == 0
    if limit is not None:
        assert b"PK\6\6" in file.content


def test_more_records_than_16_bits_count(monkeypatch):
    monkeypatch.setattr(archive, "_MANY", 2)
    file = io.BytesIO()
    written(file)
    assert b"PK\6\7" in file.getvalue() and zipfile.ZipFile(file).testzip() is None


def test_every_byte_is_checked():
    file = io.BytesIO()
    fb.save(fb.arange(1000), file)
    content = bytearray(file.getvalue())
    at = content.find(fb.arange(1000).numpy().tobytes())
    content[at + 4567] ^= 16
    with pytest.raises(RuntimeError, match="checksum of record archive/data/0 is wrong"):
        fb.load(io.BytesIO(content))
