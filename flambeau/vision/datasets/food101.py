"""Food-101. data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND, ListedImages
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg


class Food101(ListedImages):
    """Dishes in 101 classes, 1,000 pictures of each. `split` is 'train' or 'test'."""

    _URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    _MD5 = "85eeb15f3717b99a5da872d97d918f87"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[Any], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = pathlib.Path(self.root) / "food-101"
        self._meta_folder, self._images_folder = self._base_folder / "meta", self._base_folder / "images"
        if download:
            self._download()
        if not self._check_exists():
            raise RuntimeError(NOT_FOUND)
        with open(self._meta_folder / f"{split}.json") as file:
            names = json.load(file)
        self.classes = sorted(names)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [
            (self._images_folder.joinpath(*f"{path}.jpg".split("/")), self.class_to_idx[name])
            for name, paths in names.items()
            for path in paths
        ]

    def _check_exists(self) -> bool:
        return all(folder.is_dir() for folder in (self._meta_folder, self._images_folder))

    def _download(self) -> None:
        if not self._check_exists():
            download_and_extract_archive(self._URL, self.root, md5=self._MD5)

    def extra_repr(self) -> str:
        return f"split={self._split}"
