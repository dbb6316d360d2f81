"""Writing checkpoints."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import sys
from typing import IO, Any

import numpy as np

from . import archive, files, options, pickler

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DEFAULT_PROTOCOL = 2


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write an object with its tensors to a file that `load`, and PyTorch, can read.

    Parameters
    ----------
    obj : anything that can be pickled, best a ``state_dict``.
    f : a path, or a file open for writing. A path gets the whole new content or keeps its old one, whatever
    interrupts.
    pickle_protocol : 2 is what PyTorch writes and reads everywhere.

    Tensors that share memory share it again after loading; a view is saved with all of what it is a view of.
    """
    if pickle_module is not pickle and getattr(pickle_module, "__name__", "") not in (
        "pickle",
        "dill",
        "cloudpickle",
    ):
        raise NotImplementedError(
            f"save with pickle_module={pickle_module!r}: only the standard pickle is supported"
        )
    write = _write_zip if _use_new_zipfile_serialization else _write_legacy
    if isinstance(f, (str, os.PathLike)):
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or "archive"
        content = pickler.dump(obj, pickle_protocol, legacy=not _use_new_zipfile_serialization)
        with files.replacing(f) as file:
            write(content, file, name, pickle_protocol, _disable_byteorder_record)
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    content = pickler.dump(obj, pickle_protocol, legacy=not _use_new_zipfile_serialization)
    write(content, f, "archive", pickle_protocol, _disable_byteorder_record)


Content = tuple[bytes, list[pickler.SavedStorage]]


def _write_zip(content: Content, file: IO[bytes], name: str, protocol: int, no_byteorder: bool) -> None:
    data, storages = content
    identity = hashlib.sha256(data)
    with archive.Writer(file, name) as writer:
        writer.write("data.pkl", data)
        writer.write(".format_version", b"1")
        writer.write(".storage_alignment", b"64")
        if not no_byteorder:
            writer.write("byteorder", sys.byteorder.encode())
        for storage in storages:
            content_bytes = storage.content()
            if options.is_skipping_data():
                content_bytes = np.zeros_like(content_bytes)
            identity.update(content_bytes[: 1 << 16])
            writer.write(f"data/{storage.key}", content_bytes.data)
        writer.write("version", b"3\n")
        writer.write(".data/serialization_id", archive.identity(identity))


def _write_legacy(content: Content, file: IO[bytes], name: str, protocol: int, no_byteorder: bool) -> None:
    data, storages = content
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": sizes,
    }
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        file.write(pickle.dumps(part, protocol))
    file.write(data)
    file.write(pickle.dumps([storage.key for storage in storages], protocol))
    for storage in storages:
        array = storage.content()
        file.write(struct.pack("<q", array.size // storage.itemsize))
        file.write(array.data)
