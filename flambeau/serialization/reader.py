"""Records of a PyTorch archive by name."""

from __future__ import annotations

import os
from typing import IO

import flambeau as fb

from . import archive

__all__ = ["PyTorchFileReader"]


class PyTorchFileReader:
    """Reader of the zip archives that `save` writes: bytes by name of the record.

    Parameters
    ----------
    file : path or binary file.

    Raises
    ------
    RuntimeError : where it is not such an archive, or lacks the record asked for.
    """

    def __init__(self, file: str | os.PathLike[str] | IO[bytes]) -> None:
        self._reader = archive.Reader(open(file, "rb") if isinstance(file, (str, os.PathLike)) else file)

    def get_all_records(self) -> list[str]:
        """Names of all records."""
        return self._reader.records()

    def has_record(self, name: str) -> bool:
        """Whether there is a record of this name."""
        return name in self._reader

    def get_record(self, name: str) -> bytes:
        """The bytes of a record."""
        return self._reader.read(name)

    def get_record_size(self, name: str) -> int:
        """Number of bytes of a record."""
        return self._reader.size(name)

    def get_record_header_offset(self, name: str) -> int:
        """Where in the file the record's header begins."""
        return self._reader.header_offset(name)

    def get_record_offset(self, name: str) -> int:
        """Where in the file the record's bytes begin."""
        return self._reader.offset(name)

    def get_storage_from_record(self, name: str, numel: int, dtype: fb.dtype) -> fb.Tensor:
        """An empty tensor whose storage has the `numel` elements of a record."""
        return fb.frombuffer(bytearray(self.get_record(name)), dtype=dtype, count=numel)[:0]

    def serialization_id(self) -> str:
        """What identifies the contents; empty for files without one."""
        name = ".data/serialization_id"
        return self.get_record(name).decode() if self.has_record(name) else ""
