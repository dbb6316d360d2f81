"""Records of a PyTorch archive by name."""

from __future__ import annotations

import os
import zipfile
from typing import IO

import flambeau as fb

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
        try:
            self._zip = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise RuntimeError(f"PytorchStreamReader failed reading zip archive: {error}") from None
        names = self._zip.namelist()
        self._root = names[0].partition("/")[0] + "/" if names else ""

    def _info(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._zip.getinfo(self._root + name)
        except KeyError:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found") from None

    def get_all_records(self) -> list[str]:
        """Names of all records."""
        return [n.removeprefix(self._root) for n in self._zip.namelist()]

    def has_record(self, name: str) -> bool:
        """Whether there is a record of this name."""
        return self._root + name in self._zip.NameToInfo

    def get_record(self, name: str) -> bytes:
        """The bytes of a record."""
        return self._zip.read(self._info(name))

    def get_record_size(self, name: str) -> int:
        """Number of bytes of a record."""
        return self._info(name).file_size

    def get_record_header_offset(self, name: str) -> int:
        """Where in the file the record's header begins."""
        return self._info(name).header_offset

    def get_record_offset(self, name: str) -> int:
        """Where in the file the record's bytes begin."""
        info = self._info(name)
        with self._zip.open(info) as record:
            return record._orig_compress_start

    def get_storage_from_record(self, name: str, numel: int, dtype: fb.dtype) -> fb.Tensor:
        """An empty tensor whose storage has the `numel` elements of a record."""
        return fb.frombuffer(bytearray(self.get_record(name)), dtype=dtype, count=numel)[:0]

    def serialization_id(self) -> str:
        """What identifies the contents; empty for files without one."""
        name = ".data/serialization_id"
        return self.get_record(name).decode() if self.has_record(name) else ""
