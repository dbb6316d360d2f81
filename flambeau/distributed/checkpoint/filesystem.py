"""Checkpoints as folders: a file of tensors for each process, and a description that is written last.

The description (``.metadata``) is JSON: for each name the pieces of its tensor, and the files they are in. A
folder without it is no checkpoint, so that one that was broken off is never read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import flambeau as fb
from flambeau.serialization.files import replacing

__all__ = ["FileSystemReader", "FileSystemWriter"]

_METADATA = ".metadata"
_FORMAT = "flambeau checkpoint 1"


class FileSystemWriter:
    """Writes a checkpoint into a folder.

    Parameters
    ----------
    path : the folder.
    sync_files : wait until the disk has the files.
    overwrite : whether a checkpoint that is there already may be replaced.
    single_file_per_rank, thread_count, per_thread_copy_ahead, cache_staged_state_dict, … : accepted.
    """

    def __init__(
        self, path: str | os.PathLike, single_file_per_rank: bool = True, sync_files: bool = True,
        thread_count: int = 1, per_thread_copy_ahead: int = 10_000_000, cache_staged_state_dict: bool = False,
        overwrite: bool = True, _extensions: Any = None, serialization_format: Any = None,
    ) -> None:  # fmt: skip
        self.path, self.sync_files, self.overwrite = Path(path), sync_files, overwrite

    def begin(self) -> None:
        """Make the folder; what is in it counts no longer."""
        self.path.mkdir(parents=True, exist_ok=True)
        metadata = self.path / _METADATA
        if metadata.exists():
            if not self.overwrite:
                raise RuntimeError("Checkpoint already exists and self.overwrite=False.")
            metadata.unlink()

    def write(self, rank: int, values: dict[str, Any]) -> str:
        """Write the values of a process; the name of the file."""
        name = f"__{rank}_0.distcp"
        self._put(name, lambda file: fb.save(values, file))
        return name

    def finish(self, entries: dict[str, Any]) -> None:
        """Write the description."""
        text = json.dumps({"format": _FORMAT, "entries": entries}).encode()
        self._put(_METADATA, lambda file: file.write(text))

    def _put(self, name: str, write: Any) -> None:
        """Write a file beside its place and move it there."""
        with replacing(self.path / name, sync=self.sync_files) as file:
            write(file)


class FileSystemReader:
    """Reads a checkpoint from a folder."""

    def __init__(self, path: str | os.PathLike, _extension_registry: Any = None) -> None:
        self.path = Path(path)
        self._files: dict[str, dict] = {}

    def entries(self) -> dict[str, Any]:
        """The description: name -> pieces, or the place of an object."""
        data = (self.path / _METADATA).read_bytes()
        if not data.startswith(b"{"):
            raise NotImplementedError(
                f"{self.path} is a checkpoint of PyTorch's own format, which flambeau does not read"
            )
        description = json.loads(data)
        if description.get("format") != _FORMAT:
            raise ValueError(f"{self.path} is not a checkpoint of the format '{_FORMAT}'")
        return description["entries"]

    def read(self, name: str, key: str) -> Any:
        """A value of a file."""
        if Path(name).name != name:
            raise ValueError(f"a checkpoint names a file outside of its folder: {name!r}")
        if name not in self._files:
            self._files[name] = fb.load(self.path / name, map_location="cpu", weights_only=True, mmap=True)
        return self._files[name][key]
