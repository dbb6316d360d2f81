"""SEMEION: handwritten digits, black and white. archive.ics.uci.edu/dataset/178"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .._pil import pil
from ._listed import CORRUPTED
from .utils import check_integrity, download_url
from .vision import VisionDataset


class SEMEION(VisionDataset):
    """1,593 digits of 16 × 16 pixels, black or white."""

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = True,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        if not check_integrity(path, self.md5_checksum):
            raise RuntimeError(f"{CORRUPTED}\n{path} is not there, or does not have its MD5 sum.")
        table = np.loadtxt(path, ndmin=2)  # 256 pixels, then ten columns of which that of the digit is 1
        self.data = (table[:, :256] * 255).astype(np.uint8).reshape(-1, 16, 16)
        self.labels = np.nonzero(table[:, 256:266])[1]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(self.data[index]), int(self.labels[index])
        return self._transformed(image, target)

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch the file."""
        download_url(self.url, self.root, self.filename, self.md5_checksum)
