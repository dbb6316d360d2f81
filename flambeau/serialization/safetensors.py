"""The safetensors format: a JSON header with names, types and places, then the bytes.

The format: github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import os
import struct
from typing import IO, Any

import numpy as np

import flambeau as fb

from .files import replacing
from .pickler import storage_bytes

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
_LONGEST_HEADER = 100_000_000


def _header(path: str | os.PathLike) -> tuple[dict[str, Any], int]:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
        if length > min(_LONGEST_HEADER, size - 8):
            raise ValueError(f"{path} is no safetensors file: its header would have {length} of {size} bytes")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"{path} is no safetensors file: its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file: its header is no table")
    return header, 8 + length


def load_file(filename: str | os.PathLike, device: str = "cpu") -> dict[str, fb.Tensor]:
    """Read all tensors of a file, by name. The file is mapped: a tensor is read when it is used."""
    header, base = _header(filename)
    header.pop("__metadata__", None)
    end = os.path.getsize(filename) - base
    content = np.memmap(filename, np.uint8, "c").view(np.ndarray)[base:] if end else np.empty(0, np.uint8)
    tensors = {}
    for name, entry in header.items():
        try:
            dtype, shape, (first, last) = (
                getattr(fb, _TYPES[entry["dtype"]]),
                tuple(entry["shape"]),
                entry["data_offsets"],
            )
            count = int(np.prod([1, *shape], dtype=object)) * dtype.itemsize
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{filename}: the entry of {name!r} is wrong or of a type not known here"
            ) from error
        if not 0 <= first <= last <= end or last - first != count or any(n < 0 for n in shape):
            raise ValueError(
                f"{filename}: {name!r} of shape {shape} cannot lie at {first} to {last} of {end} bytes"
            )
        flat = fb.from_numpy(content[first:last]) if count else fb.empty(0, dtype=fb.uint8)
        if first % dtype.itemsize:
            flat = flat.clone()
        tensors[name] = (flat.view(dtype) if count else fb.empty(0, dtype=dtype)).reshape(shape).to(device)
    return tensors


def load_metadata(filename: str | os.PathLike) -> dict[str, str]:
    """The texts that a file carries beside its tensors."""
    return _header(filename)[0].get("__metadata__", {})


def save_file(
    tensors: dict[str, fb.Tensor], filename: str | os.PathLike, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors by name, atomically; a view is written as what it shows."""
    with replacing(filename) as file:
        write_to(file, tensors, metadata)


def write_to(file: IO[bytes], tensors: dict[str, fb.Tensor], metadata: dict[str, str] | None = None) -> None:
    """The same for an open file."""
    names = {getattr(fb, value): key for key, value in _TYPES.items() if hasattr(fb, value)}
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    parts, offset = [], 0
    # the widest types first, so that every tensor is aligned
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        if tensor.dtype not in names:
            raise ValueError(f"{name!r}: safetensors has no type for {tensor.dtype}")
        part = storage_bytes(tensor.detach().cpu().contiguous().clone().untyped_storage())
        size = tensor.numel() * tensor.dtype.itemsize
        parts.append(part[:size])
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": [*tensor.shape],
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for part in parts:
        file.write(part.data)
