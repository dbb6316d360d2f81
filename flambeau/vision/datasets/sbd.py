"""Semantic Boundaries: the objects of PASCAL VOC 2011 with their outlines. Hariharan et al., ICCV 2011"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb

from .._pil import pil
from ._listed import CORRUPTED
from ._matlab import scipy_matlab
from .folder import pil_loader
from .utils import download_and_extract_archive, download_url, verify_str_arg
from .vision import VisionDataset


class SBDataset(VisionDataset):
    """Pictures with outlines of 20 classes [20, H, W], or a picture of the classes. Needs SciPy.

    `image_set` is 'train', 'val' or 'train_noval' (none of VOC 2012's validation); `mode` is 'boundaries' or
    'segmentation'.
    """

    url = (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
    )
    md5 = "82b4d87ceb2ed10f6038a1cba92111cb"
    filename = "benchmark.tgz"
    voc_train_url = "https://www.cs.cornell.edu/~bharathh/train_noval.txt"
    voc_split_filename = "train_noval.txt"
    voc_split_md5 = "79bff800c5f0b1ec6b21080a3c066722"

    def __init__(
        self,
        root: str | os.PathLike,
        image_set: str = "train",
        mode: str = "boundaries",
        download: bool = False,
        transforms: Callable | None = None,
    ) -> None:
        super().__init__(root, transforms)
        self.image_set = verify_str_arg(image_set, "image_set", ("train", "val", "train_noval"))
        self.mode = verify_str_arg(mode, "mode", ("segmentation", "boundaries"))
        self.num_classes = 20
        if download:
            self._download()
        if not os.path.isdir(self.root):
            raise RuntimeError(CORRUPTED)
        with open(os.path.join(self.root, image_set + ".txt")) as file:
            names = [line.strip() for line in file if line.strip()]
        self.images = [os.path.join(self.root, "img", name + ".jpg") for name in names]
        self.masks = [os.path.join(self.root, "cls", name + ".mat") for name in names]

    def _download(self) -> None:
        download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        unpacked = os.path.join(self.root, "benchmark_RELEASE", "dataset")
        for name in ("cls", "img", "inst", "train.txt", "val.txt"):
            target = os.path.join(self.root, name)
            if not os.path.exists(target):
                shutil.move(os.path.join(unpacked, name), target)
        download_url(self.voc_train_url, self.root, self.voc_split_filename, self.voc_split_md5)

    def _target(self, path: str) -> Any:
        classes = scipy_matlab(path)["GTcls"]
        if self.mode == "segmentation":
            return pil().fromarray(np.ascontiguousarray(classes["Segmentation"].item()))
        outlines = classes["Boundaries"].item()  # a sparse array for each class
        return fb.from_numpy(np.stack([outline.toarray() for outline in outlines]))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture, target = pil_loader(self.images[index]), self._target(self.masks[index])
        return (picture, target) if self.transforms is None else self.transforms(picture, target)

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        return f"Image set: {self.image_set}\nMode: {self.mode}"
