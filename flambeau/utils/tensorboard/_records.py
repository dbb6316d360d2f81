"""The file of records that TensorBoard reads (TFRecord): length, its checksum, the bytes, their checksum.

Checksums are CRC-32C (Castagnoli, RFC 3720), rotated and shifted by a constant ("masked").
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_POLYNOMIAL = 0x82F63B78  # reflected


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _after(crc: int, data: bytes) -> int:
    """The register after some more bytes."""
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def _apply(columns: list[int], crc: int) -> int:
    result = 0
    for bit, column in enumerate(columns):
        if crc >> bit & 1:
            result ^= column
    return result


def _after_zeros(count: int) -> list[int]:
    """What `count` zero bytes make of each bit of the register: a linear map, by repeated squaring."""
    result = [1 << bit for bit in range(32)]
    step = [_after(1 << bit, b"\0") for bit in range(32)]
    while count:
        if count & 1:
            result = [_apply(step, column) for column in result]
        step = [_apply(step, column) for column in step]
        count >>= 1
    return result


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes. Long ones are cut into pieces that NumPy works on side by side."""
    crc, done = 0xFFFFFFFF, 0
    if len(data) > 4096:
        import numpy as np

        pieces = int(len(data) ** 0.5)
        length = len(data) // pieces
        done = pieces * length
        table = np.array(_TABLE, np.uint32)
        state = np.zeros(pieces, np.uint32)
        state[0] = crc
        for column in np.frombuffer(data, np.uint8, done).reshape(pieces, length).T:
            state = table[(state ^ column) & 255] ^ (state >> 8)
        shift, crc = _after_zeros(length), 0
        for piece in state.tolist():
            crc = _apply(shift, crc) ^ piece
    return _after(crc, data[done:]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum as records have it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class RecordWriter:
    """Writes records to an open binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        """Write one record."""
        length = struct.pack("<Q", len(data))
        head = length + struct.pack("<I", masked_crc32c(length))
        self._file.write(head + data + struct.pack("<I", masked_crc32c(data)))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
