"""CLEVR: rendered scenes of simple bodies. cs.stanford.edu/people/jcjohns/clevr"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import CORRUPTED
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset


class CLEVRClassification(VisionDataset):
    """Pictures with the number of bodies in them; `split` is 'train', 'val' or 'test' (targets None)."""

    _URL = "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip"
    _MD5 = "b11922020e72d0cd9154779b2d3d07d2"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self.loader = loader
        self._base_folder = pathlib.Path(self.root) / "clevr"
        self._data_folder = self._base_folder / "CLEVR_v1.0"
        if download and not self._data_folder.is_dir():
            download_and_extract_archive(self._URL, str(self._base_folder), md5=self._MD5)
        if not self._data_folder.is_dir():
            raise RuntimeError(CORRUPTED)
        self._image_files = sorted((self._data_folder / "images" / split).glob("*"))
        self._labels: list[int | None] = [None] * len(self._image_files)
        if split != "test":
            with open(self._data_folder / "scenes" / f"CLEVR_{split}_scenes.json") as file:
                counts = {s["image_filename"]: len(s["objects"]) for s in json.load(file)["scenes"]}
            self._labels = [counts[path.name] for path in self._image_files]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.loader(str(self._image_files[index])), self._labels[index])

    def __len__(self) -> int:
        return len(self._image_files)

    def extra_repr(self) -> str:
        return f"split={self._split}"
