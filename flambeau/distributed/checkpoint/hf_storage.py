"""Checkpoints as folders of safetensors files, the form in which models are published."""

from __future__ import annotations

import json
from typing import Any

import flambeau as fb
from flambeau.serialization import safetensors

from .filesystem import FileSystemReader, FileSystemWriter

__all__ = ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"]

_INDEX = "model.safetensors.index.json"


class HuggingFaceStorageReader(FileSystemReader):
    """Reads tensors of the ``.safetensors`` files of a folder.

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
        for file in sorted(self.path.glob("*.safetensors")):
            for name, tensor in self._opened(file.name).items():
                shape = list(tensor.shape)
                piece = {"file": file.name, "starts": [0] * len(shape), "sizes": shape}
                found[name] = {"path": [name], "shape": shape, "pieces": [piece]}
        if not found:
            raise FileNotFoundError(f"{self.path} has no tensors in .safetensors files")
        return found

    def read(self, name: str, key: str) -> fb.Tensor:
        """A tensor of a file."""
        return self._opened(name)[key]

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
        self._written: dict[str, str] = {}

    def begin(self) -> None:
        """Make the folder."""
        self.path.mkdir(parents=True, exist_ok=True)

    def write(self, rank: int, values: dict[str, Any]) -> str:
        """Write the tensors; the name of the last file."""
        if rank and values:
            raise NotImplementedError("HuggingFaceStorageWriter with tensors that several processes share")
        others = [name for name, value in values.items() if not isinstance(value, fb.Tensor)]
        if others:
            raise ValueError(f"safetensors files have tensors only; not one is {others[0]!r}")
        last = max(self._numbers.values(), default=1)
        files: dict[str, dict[str, fb.Tensor]] = {}
        for name, value in values.items():
            number = self._numbers.get(name, 1)
            files.setdefault(f"model-{number:05d}-of-{last:05d}.safetensors", {})[name] = value
        for file, tensors in files.items():
            safetensors.save_file(tensors, self.path / file)
            self._written |= dict.fromkeys(tensors, file)
        return next(reversed(files), "")

    def finish(self, entries: dict[str, Any]) -> None:
        """Write the index."""
        size = sum(file.stat().st_size for file in {self.path / name for name in self._written.values()})
        text = json.dumps({"metadata": {"total_size": size}, "weight_map": self._written}, indent=2)
        self._put(_INDEX, lambda file: file.write(text.encode()))
