"""Describable Textures. robots.ox.ac.uk/~vgg/data/dtd"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND, ListedImages
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg


class DTD(ListedImages):
    """Textures in 47 classes. `split` is 'train', 'val' or 'test' of one of ten partitions, from 1."""

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    _MD5 = "fff73e5086ae6bdbea199a49dfb8a4c1"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        partition: int = 1,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[Any], Any] = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if not isinstance(partition, int) or not 1 <= partition <= 10:
            raise ValueError(
                "Parameter 'partition' should be an integer with `1 <= partition <= 10`, but got "
                f"{partition} instead"
            )
        self._partition = partition
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._base_folder = pathlib.Path(self.root) / "dtd"
        self._images_folder = self._base_folder / "dtd" / "images"
        if download and not self._base_folder.is_dir():
            download_and_extract_archive(self._URL, str(self._base_folder), md5=self._MD5)
        if not self._images_folder.is_dir():
            raise RuntimeError(NOT_FOUND)
        with open(self._base_folder / "dtd" / "labels" / f"{split}{partition}.txt") as file:
            rows = [line.strip().split("/") for line in file]
        self.classes = sorted({row[0] for row in rows})
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [(self._images_folder.joinpath(*row), self.class_to_idx[row[0]]) for row in rows]

    def extra_repr(self) -> str:
        return f"split={self._split}, partition={self._partition}"
