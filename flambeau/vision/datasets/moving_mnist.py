"""Moving MNIST: two digits that move about. arXiv:1502.04681"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

import flambeau as fb

from ._listed import NOT_FOUND
from .utils import check_integrity, download_url, verify_str_arg
from .vision import VisionDataset


class MovingMNIST(VisionDataset):
    """10,000 videos of 20 pictures [T, 1, 64, 64], of bytes.

    Parameters
    ----------
    split : 'train' for the first `split_ratio` pictures of each video, 'test' for the rest, None for all.
    """

    _URL = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
    _MD5 = "be083ec986bfe91a449d63653c411eb2"

    def __init__(
        self,
        root: str | os.PathLike,
        split: str | None = None,
        split_ratio: int = 10,
        download: bool = False,
        transform: Callable | None = None,
    ) -> None:
        super().__init__(root, transform=transform)
        self._base_folder = os.path.join(self.root, type(self).__name__)
        self._filename = self._URL.split("/")[-1]
        path = os.path.join(self._base_folder, self._filename)
        if split is not None:
            verify_str_arg(split, "split", ("train", "test"))
        self.split = split
        if not isinstance(split_ratio, int):
            raise TypeError(f"`split_ratio` should be an integer, but got {type(split_ratio)}")
        if not 1 <= split_ratio <= 19:
            raise ValueError(
                f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {split_ratio} instead."
            )
        self.split_ratio = split_ratio
        if download and not check_integrity(path, self._MD5):
            download_url(self._URL, self._base_folder, self._filename, self._MD5)
        if not os.path.isfile(path):
            raise RuntimeError(NOT_FOUND)
        data = fb.from_numpy(np.load(path, allow_pickle=False))  # [T, N, 64, 64]
        chosen = {"train": slice(split_ratio), "test": slice(split_ratio, None)}.get(split, slice(None))
        self.data = data[chosen].transpose(0, 1).unsqueeze(2).contiguous()

    def __getitem__(self, index: int) -> fb.Tensor:
        return self.data[index] if self.transform is None else self.transform(self.data[index])

    def __len__(self) -> int:
        return len(self.data)
