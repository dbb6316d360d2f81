"""EuroSAT: land use seen by a satellite. arXiv:1709.00029"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND
from .folder import ImageFolder, default_loader
from .utils import download_and_extract_archive


class EuroSAT(ImageFolder):
    """Colour pictures of 64 × 64 pixels in ten classes."""

    url = (
        "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
        "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip"
    )
    md5 = "c8fa014336c82ac7804f0398fcb19387"

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        self.root = os.path.expanduser(root)
        self._base_folder = os.path.join(self.root, "eurosat")
        self._data_folder = os.path.join(self._base_folder, "2750")
        if download:
            self.download()
        if not os.path.isdir(self._data_folder):
            raise RuntimeError(NOT_FOUND)
        super().__init__(self._data_folder, transform, target_transform, loader)
        self.root = os.path.expanduser(root)

    def download(self) -> None:
        """Fetch and unpack the archive."""
        if not os.path.isdir(self._data_folder):
            download_and_extract_archive(self.url, self._base_folder, md5=self.md5)
