"""FGVC Aircraft. robots.ox.ac.uk/~vgg/data/fgvc-aircraft"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND, ListedImages
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg


class FGVCAircraft(ListedImages):
    """Aircraft. `split` is 'train', 'val', 'trainval' or 'test'.

    `annotation_level` is 'variant' (100 classes), 'family' (70) or 'manufacturer' (30).
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"
    _LISTS = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "trainval",
        annotation_level: str = "variant",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[Any], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._split = verify_str_arg(split, "split", ("train", "val", "trainval", "test"))
        level = self._annotation_level = verify_str_arg(
            annotation_level, "annotation_level", tuple(self._LISTS)
        )
        base = pathlib.Path(self.root) / "fgvc-aircraft-2013b"
        if download and not base.is_dir():
            download_and_extract_archive(self._URL, self.root)
        if not base.is_dir():
            raise RuntimeError(NOT_FOUND)
        with open(base / "data" / self._LISTS[level]) as file:
            self.classes = [line.strip() for line in file]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        with open(base / "data" / f"images_{level}_{split}.txt") as file:
            rows = [line.strip().split(" ", 1) for line in file]
        images = base / "data" / "images"
        self.samples = [(images / f"{number}.jpg", self.class_to_idx[name]) for number, name in rows]
