"""FER2013: faces of seven expressions, of a challenge on Kaggle in 2013. arXiv:1307.0414"""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .._pil import pil
from .utils import verify_str_arg
from .vision import VisionDataset


class FER2013(VisionDataset):
    """Grey pictures of 48 × 48 pixels with a number from 0 to 6; `split` is 'train' or 'test'.

    The folder ``root/fer2013`` holds ``fer2013.csv``, ``icml_face_data.csv``, or ``train.csv`` and
    ``test.csv``, looked for in this order. Targets are None where the file has none (``test.csv``).
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        folder = pathlib.Path(self.root) / "fer2013"
        names = ("fer2013.csv", "icml_face_data.csv", f"{split}.csv")
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            raise RuntimeError(
                f"{names[-1]} not found in {folder} or corrupted. You can download it from "
                "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-"
                "challenge"
            )
        with open(path, newline="") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            try:
                self._samples = [
                    (self._picture(row["pixels"]), int(row["emotion"]) if row.get("emotion") else None)
                    for row in rows
                    if "Usage" not in row or (row["Usage"] == "Training") == (split == "train")
                ]
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise RuntimeError(f"{path} is damaged near line {rows.line_num}: {error}") from error

    @staticmethod
    def _picture(pixels: str) -> np.ndarray:
        return np.array(pixels.split(), np.uint8).reshape(48, 48)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels, target = self._samples[index]
        return self._transformed(pil().fromarray(pixels), target)

    def __len__(self) -> int:
        return len(self._samples)

    def extra_repr(self) -> str:
        return f"split={self._split}"
