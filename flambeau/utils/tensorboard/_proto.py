"""Protocol buffers' wire format, as far as events need it: each function gives the bytes of one field.

A message is the concatenation of its fields. Zero numbers and empty bytes are left out, as proto3 does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers take ten bytes
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number: int, *fields: bytes) -> bytes:
    """A message within a message; it is there even when it is empty."""
    content = b"".join(fields)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def data(number: int, content: bytes | str) -> bytes:
    """A field of bytes or text."""
    return message(number, content.encode() if isinstance(content, str) else content) if content else b""


def texts(number: int, values: Iterable[bytes | str]) -> bytes:
    """A repeated field of bytes or text."""
    return b"".join(message(number, v.encode() if isinstance(v, str) else v) for v in values)


def integer(number: int, value: int) -> bytes:
    """An integer, boolean or enumerated value."""
    return _varint(number << 3) + _varint(int(value)) if value else b""


def double(number: int, value: float) -> bytes:
    """A number of 64 bits."""
    return struct.pack("<Bd", number << 3 | 1, value) if value else b""


def single(number: int, value: float, always: bool = False) -> bytes:
    """A number of 32 bits."""
    return struct.pack("<Bf", number << 3 | 5, value) if value or always else b""


def doubles(number: int, values: Iterable[float]) -> bytes:
    """A packed repeated field of 64-bit numbers."""
    values = list(values)
    return data(number, struct.pack(f"<{len(values)}d", *values))


def singles(number: int, values: Iterable[float]) -> bytes:
    """A packed repeated field of 32-bit numbers."""
    values = list(values)
    return data(number, struct.pack(f"<{len(values)}f", *values))


def integers(number: int, values: Iterable[int]) -> bytes:
    """A packed repeated field of integers."""
    return data(number, b"".join(map(_varint, values)))
