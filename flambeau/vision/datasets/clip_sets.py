"""Two data sets of CLIP's evaluation, in one folder a split and class. arXiv:2103.00020"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND
from .folder import ImageFolder, default_loader
from .utils import download_and_extract_archive, verify_str_arg


class _Split(ImageFolder):
    """Base: an archive with a folder for each split."""

    _URL: str
    _MD5: str
    _FOLDER: str
    _SPLITS: dict[str, str]

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", tuple(self._SPLITS))
        self.root = os.path.expanduser(root)
        self._base_folder = pathlib.Path(self.root) / self._FOLDER
        if download and not self._base_folder.is_dir():
            download_and_extract_archive(self._URL, download_root=self.root, md5=self._MD5)
        if not self._base_folder.is_dir():
            raise RuntimeError(NOT_FOUND)
        folder = self._base_folder / self._SPLITS[split]
        super().__init__(str(folder), transform=transform, target_transform=target_transform, loader=loader)
        self.root = os.path.expanduser(root)

    def extra_repr(self) -> str:
        return f"split={self._split}"


class Country211(_Split):
    """Photographs from 211 countries. `split` is 'train', 'valid' or 'test'."""

    _URL = "https://openaipublic.azureedge.net/clip/data/country211.tgz"
    _MD5 = "84988d7644798601126c29e9877aab6a"
    _FOLDER = "country211"
    _SPLITS = {"train": "train", "valid": "valid", "test": "test"}


class RenderedSST2(_Split):
    """Pictures of written sentences, negative or positive. `split` is 'train', 'val' or 'test'."""

    _URL = "https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz"
    _MD5 = "2384d08e9dcfa4bd55b324e610496ee5"
    _FOLDER = "rendered-sst2"
    _SPLITS = {"train": "train", "val": "valid", "test": "test"}
