"""Checkpoints as folders: a file of tensors for each process, and a description that is written last.

The description (``.metadata``) is JSON: for each name the pieces of its tensor, and the files they are in. A
folder without it is no checkpoint, so that one that was broken off is never read. A checkpoint that takes the
place of another has files of other names (``__<process>_<turn>.distcp``): the old one stays whole until the
new description takes the place of the old one, and its files go after that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import flambeau as fb
from flambeau.serialization.files import remove_abandoned, replacing

__all__ = ["FileSystemReader", "FileSystemWriter"]

_METADATA = ".metadata"
_FORMAT = "flambeau checkpoint 1"
_FILE = re.compile(r"__\d+_(\d+)\.distcp")


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

    def begin(self) -> int:
        """Make the folder; the turn of this checkpoint in it, which every process tells `write`."""
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / _METADATA).exists() and not self.overwrite:
            raise RuntimeError("Checkpoint already exists and self.overwrite=False.")
        self.tidy()
        return 1 + max((int(_FILE.fullmatch(name)[1]) for name in self._present()), default=-1)

    def write(self, rank: int, values: dict[str, Any], turn: int = 0) -> str:
        """Write the values of a process; the name of the file."""
        name = f"__{rank}_{turn}.distcp"
        self._put(name, lambda file: fb.save(values, file))
        return name

    def finish(self, entries: dict[str, Any]) -> None:
        """Write the description: from here on the folder has the new checkpoint, and the old one goes."""
        text = json.dumps({"format": _FORMAT, "entries": entries}).encode()
        self._put(_METADATA, lambda file: file.write(text))
        self.tidy()

    def tidy(self) -> None:
        """Remove what saves that were broken off, and checkpoints that were replaced, left in the folder."""
        try:
            entries = FileSystemReader(self.path).entries()
        except FileNotFoundError:
            entries = {}
        except (NotImplementedError, ValueError):
            return  # not written here: which of the files it needs is not known
        needed = {piece["file"] for entry in entries.values() for piece in entry["pieces"]}
        for name in self._present():
            if name not in needed:
                (self.path / name).unlink(missing_ok=True)
        for file in self.path.glob("__*_*.distcp.flambeau-*.tmp"):
            remove_abandoned(str(file))

    def _present(self) -> Iterable[str]:
        return [file.name for file in self.path.iterdir() if _FILE.fullmatch(file.name)]

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
        try:
            description = json.loads(data)
            if description.get("format") != _FORMAT:
                raise ValueError(f"it is not of the format '{_FORMAT}'")
            for entry in description["entries"].values():
                _check(entry)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{self.path / _METADATA} is damaged: {error}") from error
        return description["entries"]

    def read(self, name: str, key: str) -> Any:
        """A value of a file."""
        if Path(name).name != name:
            raise ValueError(f"{self.path / _METADATA} names a file outside of its folder: {name!r}")
        if name not in self._files:
            self._files[name] = fb.load(self.path / name, map_location="cpu", weights_only=True, mmap=True)
        values = self._files[name]
        if not isinstance(values, dict) or key not in values:
            raise ValueError(f"{self.path / name} is damaged: it has no {key!r}")
        return values[key]


def _check(entry: dict[str, Any]) -> None:
    """What a description says about one name makes sense: numbers, and pieces that lie in the whole."""
    path, shape, pieces = entry["path"], entry["shape"], entry["pieces"]
    if not path or any(isinstance(key, (list, dict)) for key in path):
        raise ValueError(f"the path {path!r}")
    if not pieces or not all(isinstance(piece["file"], str) for piece in pieces):
        raise ValueError(f"the pieces of {path!r}")
    for piece in pieces:
        starts, sizes = piece["starts"], shape if piece["sizes"] is None else piece["sizes"]
        if not len(starts) == len(sizes) == len(shape) or not all(
            0 <= start and 0 <= size and start + size <= whole
            for start, size, whole in zip(starts, sizes, shape)
        ):
            raise ValueError(f"the piece {piece!r} of {path!r}, whose shape is {shape}")
