"""Data sets that are lists of picture files and their labels."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .folder import default_loader
from .vision import VisionDataset

NOT_FOUND = "Dataset not found. You can use download=True to download it"
CORRUPTED = "Dataset not found or corrupted. You can use download=True to download it"


class ListedImages(VisionDataset):
    """Base: `samples` holds pairs of the path of a picture and its target."""

    samples: list[tuple[str | os.PathLike, Any]]
    loader: Callable[[Any], Any] = staticmethod(default_loader)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)
