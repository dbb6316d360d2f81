"""Street View House Numbers. ufldl.stanford.edu/housenumbers"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .._pil import pil
from ._listed import CORRUPTED
from ._matlab import read_matlab
from .utils import check_integrity, download_url, verify_str_arg
from .vision import VisionDataset


class SVHN(VisionDataset):
    """Digits from house numbers: colour pictures of 32 × 32 pixels. `split` is 'train', 'test' or 'extra'."""

    split_list = {
        "train": [
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            "train_32x32.mat",
            "e26dedcc434d2e4c54c9b2d4a06d8373",
        ],
        "test": [
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            "test_32x32.mat",
            "eb5a983be6a315427106f1b164d9cef3",
        ],
        "extra": [
            "http://ufldl.stanford.edu/housenumbers/extra_32x32.mat",
            "extra_32x32.mat",
            "a93ce644f1a588dc4d68dda5feec44a7",
        ],
    }

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        if not check_integrity(path, self.file_md5):
            raise RuntimeError(f"{CORRUPTED}\n{path} is not there, or does not have its MD5 sum.")
        content = read_matlab(path)
        if not {"X", "y"} <= set(content) or content["X"].ndim != 4:
            raise ValueError(f"{path} holds no pictures X and labels y")
        self.labels = content["y"].astype(np.int64).reshape(-1)
        self.labels[self.labels == 10] = 0  # the file counts the digit 0 as class 10
        self.data = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(np.transpose(self.data[index], (1, 2, 0))), int(self.labels[index])
        return self._transformed(image, target)

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch the file of this split."""
        download_url(self.url, self.root, self.filename, self.file_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
