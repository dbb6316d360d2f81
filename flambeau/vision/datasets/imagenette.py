"""Imagenette: ten easily told classes of ImageNet. github.com/fastai/imagenette"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND, ListedImages
from .folder import find_classes, make_dataset, pil_loader
from .utils import download_and_extract_archive, verify_str_arg


class Imagenette(ListedImages):
    """Pictures of ten classes. `split` is 'train' or 'val'; `size` is 'full', '320px' or '160px'."""

    _ARCHIVES = {
        "full": (
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz",
            "fe2fc210e6bb7c5664d602c3cd71e612",
        ),
        "320px": (
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
            "3df6f0d01a2c9592104656642f5e78a3",
        ),
        "160px": (
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
            "e793b78cc4c9e9a4ccc0c1155377a412",
        ),
    }
    _WNID_TO_CLASS = {
        "n01440764": ("tench", "Tinca tinca"),
        "n02102040": ("English springer", "English springer spaniel"),
        "n02979186": ("cassette player",),
        "n03000684": ("chain saw", "chainsaw"),
        "n03028079": ("church", "church building"),
        "n03394916": ("French horn", "horn"),
        "n03417042": ("garbage truck", "dustcart"),
        "n03425413": ("gas pump", "gasoline pump", "petrol pump", "island dispenser"),
        "n03445777": ("golf ball",),
        "n03888257": ("parachute", "chute"),
    }

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        size: str = "full",
        download: bool = False,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] = pil_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ["train", "val"])
        self._size = verify_str_arg(size, "size", ["full", "320px", "160px"])
        url, md5 = self._ARCHIVES[size]
        folder = pathlib.Path(self.root) / pathlib.Path(url).stem
        if download and not folder.is_dir():
            download_and_extract_archive(url, self.root, md5=md5)
        if not folder.is_dir():
            raise RuntimeError(NOT_FOUND)
        self.loader = loader
        self.wnids, self.wnid_to_idx = find_classes(folder / split)
        self.classes = [self._WNID_TO_CLASS[wnid] for wnid in self.wnids]
        self.class_to_idx = {
            name: self.wnid_to_idx[wnid]
            for wnid, names in self._WNID_TO_CLASS.items()
            if wnid in self.wnid_to_idx
            for name in names
        }
        self.samples = make_dataset(str(folder / split), self.wnid_to_idx, extensions=".jpeg")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[index]
        return self._transformed(self.loader(path), label)
