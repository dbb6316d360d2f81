"""STL-10: few labelled and many unlabelled pictures. cs.stanford.edu/~acoates/stl10"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .._pil import pil
from ._listed import CORRUPTED
from .utils import check_integrity, download_and_extract_archive, verify_str_arg
from .vision import VisionDataset


class STL10(VisionDataset):
    """Colour pictures of 96 × 96 pixels in ten classes.

    Parameters
    ----------
    split : 'train', 'test', 'unlabeled' or 'train+unlabeled'; unlabelled pictures have the label -1.
    folds : one of the ten predefined parts of the training data, or None for all of it.
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        folds: int | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        if folds is not None and not isinstance(folds, int):
            raise ValueError(f"Expected type None or int for argument folds, but got type {type(folds)}.")
        if folds is not None and folds not in range(10):
            raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
        self.folds = folds
        if download:
            self.download()
        elif not self._check_integrity():
            raise RuntimeError(CORRUPTED)
        self.labels: np.ndarray | None
        if split == "test":
            self.data, self.labels = self._pictures("test_X.bin"), self._labels("test_y.bin")
        elif split == "unlabeled":
            self.data = self._pictures("unlabeled_X.bin")
            self.labels = np.full(len(self.data), -1, np.int64)
        else:
            self.data, self.labels = self._pictures("train_X.bin"), self._labels("train_y.bin")
            if folds is not None:
                with open(self._path(self.folds_list_file)) as file:
                    chosen = np.array(file.read().splitlines()[folds].split(), np.int64)
                self.data, self.labels = self.data[chosen], self.labels[chosen]
            if split == "train+unlabeled":
                more = self._pictures("unlabeled_X.bin")
                self.data = np.concatenate([self.data, more])
                self.labels = np.concatenate([self.labels, np.full(len(more), -1, np.int64)])
        with open(self._path(self.class_names_file)) as file:
            self.classes = file.read().splitlines()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _pictures(self, name: str) -> np.ndarray:
        numbers = np.fromfile(self._path(name), np.uint8)
        return np.ascontiguousarray(numbers.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2))

    def _labels(self, name: str) -> np.ndarray:
        return np.fromfile(self._path(name), np.uint8).astype(np.int64) - 1  # the file counts from 1

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(np.transpose(self.data[index], (1, 2, 0))), int(self.labels[index])
        return self._transformed(image, target)

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch and unpack the archive."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
