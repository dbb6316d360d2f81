"""USPS: handwritten digits from envelopes, in the text format of LIBSVM."""

from __future__ import annotations

import bz2
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .._pil import pil
from .utils import download_url
from .vision import VisionDataset


class USPS(VisionDataset):
    """Digits, grey, 16 × 16 pixels."""

    split_list = {
        "train": [
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.bz2",
            "usps.bz2",
            "ec16c51db3855ca6c91edd34d0e9b197",
        ],
        "test": [
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.t.bz2",
            "usps.t.bz2",
            "8ea070ee2aca1ac39742fdd1ef5ed118",
        ],
    }

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        url, filename, md5 = self.split_list["train" if train else "test"]
        path = os.path.join(self.root, filename)
        if download and not os.path.exists(path):
            download_url(url, self.root, filename, md5)
        try:
            with bz2.open(path, "rt") as file:
                rows = [line.split() for line in file]
            # "label 1:value 2:value …", values from -1 to 1, all of them in order
            values = np.array([[float(part.split(":")[-1]) for part in row[1:]] for row in rows], np.float32)
            self.data = ((values.reshape(-1, 16, 16) + 1) / 2 * 255).astype(np.uint8)
            self.targets = [int(float(row[0])) - 1 for row in rows]
        except (EOFError, ValueError, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(self.data[index]), int(self.targets[index])
        return self._transformed(image, target)

    def __len__(self) -> int:
        return len(self.data)
