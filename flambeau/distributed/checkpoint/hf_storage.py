"""Checkpoints as folders of safetensors files, the form in which models are published."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import flambeau as fb
from flambeau.serialization import safetensors
from flambeau.serialization.files import replacing, settle

from .filesystem import FileSystemReader, FileSystemWriter

__all__ = ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"]

_INDEX = "model.safetensors.index.json"


class HuggingFaceStorageReader(FileSystemReader):
    """Reads tensors of the ``.safetensors`` files of a folder: those of its index, if it has one, or all.

    Parameters
    ----------
    path : the folder.
    thread_count : accepted.
    """

    def __init__(self, path: str, thread_count: int = 1) -> None:
        super().__init__(path)

    def entries(self) -> dict[str, Any]:
        """The description: each tensor is one piece."""
        found = {}
        for name, file in self._places():
            shape = list(self.read(file, name).shape)
            piece = {"file": file, "starts": [0] * len(shape), "sizes": shape}
            found[name] = {"path": [name], "shape": shape, "pieces": [piece]}
        if not found:
            raise FileNotFoundError(f"{self.path} has no tensors in .safetensors files")
        return found

    def _places(self) -> list[tuple[str, str]]:
        """Names of tensors and of the files that have them."""
        index = self.path / _INDEX
        if not index.exists():
            files = sorted(file.name for file in self.path.glob("*.safetensors"))
            return [(name, file) for file in files for name in self._opened(file)]
        try:
            places = json.loads(index.read_bytes())["weight_map"]
            if not all(isinstance(file, str) and "/" not in file for file in places.values()):
                raise ValueError("it names what is no file of this folder")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{index} is damaged: {error}") from error
        return list(places.items())

    def read(self, name: str, key: str) -> fb.Tensor:
        """A tensor of a file."""
        tensors = self._opened(name)
        if key not in tensors:
            raise ValueError(f"{self.path / name} has no {key!r}, which the index says is there")
        return tensors[key]

    def _opened(self, name: str) -> dict[str, fb.Tensor]:
        if name not in self._files:
            self._files[name] = safetensors.load_file(self.path / name)
        return self._files[name]


class HuggingFaceStorageWriter(FileSystemWriter):
    """Writes tensors into ``.safetensors`` files of a folder, and which is where into an index.

    Parameters
    ----------
    path : the folder.
    fqn_to_index_mapping : name of a tensor to the number of its file, from 1; one file without it.

    Raises
    ------
    NotImplementedError : for parts of tensors (`save_distributed`) and for writing by several processes.
    """

    def __init__(
        self,
        path: str,
        fqn_to_index_mapping: dict[str, int] | None = None,
        thread_count: int = 1,
        save_distributed: bool = False,
        enable_consolidation: bool = False,
        thread_count_consolidation: int = 1,
    ) -> None:
        super().__init__(path)
        if save_distributed or enable_consolidation:
            raise NotImplementedError("HuggingFaceStorageWriter of parts of tensors (save_distributed)")
        self._numbers = fqn_to_index_mapping or {}

    def begin(self) -> int:
        """Make the folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        return 0

    def write(self, rank: int, values: dict[str, Any], turn: int = 0) -> str:
        """Write the tensors, and the index; the name of the last file.

        No file takes its place before all of them are on the disk.
        """
        if rank and values:
            raise NotImplementedError("HuggingFaceStorageWriter with tensors that several processes share")
        if rank:
            return ""
        others = [name for name, value in values.items() if not isinstance(value, fb.Tensor)]
        if others:
            raise ValueError(f"safetensors files have tensors only; not one is {others[0]!r}")
        last = max(self._numbers.values(), default=1)
        files: dict[str, dict[str, fb.Tensor]] = {}
        for name, value in values.items():
            number = self._numbers.get(name, 1)
            files.setdefault(f"model-{number:05d}-of-{last:05d}.safetensors", {})[name] = value
        with contextlib.ExitStack() as open_files:
            index = open_files.enter_context(replacing(self.path / _INDEX))  # the first opened moves last
            size = 0
            for file, tensors in files.items():
                beside = open_files.enter_context(replacing(self.path / file))
                safetensors.write_to(beside, tensors)
                settle(beside)
                size += beside.tell()
            places = {name: file for file, tensors in files.items() for name in tensors}
            index.write(
                json.dumps({"metadata": {"total_size": size}, "weight_map": places}, indent=2).encode()
            )
            settle(index)
        return next(reversed(files), "")

    def finish(self, entries: dict[str, Any]) -> None:
        """Nothing is left to do."""

    def tidy(self) -> None:
        """Nothing is left behind."""
