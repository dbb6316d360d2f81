"""A package that was unpacked into a folder."""

from __future__ import annotations

import os
from pathlib import Path

import flambeau as fb


class DirectoryReader:
    """The files of a folder as the records of an archive.

    Parameters
    ----------
    directory : the folder; records never lie outside it.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._root = Path(directory)

    def _path(self, name: str) -> Path:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ValueError(f"{name} is not inside of {self.directory}")
        return path

    def get_record(self, name: str) -> bytes:
        """The bytes of a file."""
        return self._path(name).read_bytes()

    def get_storage_from_record(self, name: str, numel: int, dtype: fb.dtype) -> fb.UntypedStorage:
        """The storage that has the `numel` elements of a file."""
        return fb.frombuffer(bytearray(self.get_record(name)), dtype=dtype, count=numel).untyped_storage()

    def has_record(self, path: str) -> bool:
        """Whether there is a file of this path."""
        return self._path(path).is_file()

    def get_all_records(self) -> list[str]:
        """The paths of all files."""
        found = (Path(folder) / f for folder, _, files in os.walk(self._root) for f in files)
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def serialization_id(self) -> str:
        """What identifies the contents; empty where nothing does."""
        name = ".data/serialization_id"
        return self.get_record(name).decode() if self.has_record(name) else ""
