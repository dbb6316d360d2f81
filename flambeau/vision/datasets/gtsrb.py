"""German Traffic Sign Recognition Benchmark. benchmark.ini.rub.de"""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Callable

from ._listed import NOT_FOUND, ListedImages
from .folder import make_dataset
from .utils import download_and_extract_archive, verify_str_arg


class GTSRB(ListedImages):
    """Traffic signs in 43 classes. `split` is 'train' or 'test'."""

    url_base = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
    md5 = {
        "GTSRB-Training_fixed.zip": "513f3c79a4c5141765e10e952eaa2478",
        "GTSRB_Final_Test_Images.zip": "c7e4e6327067d32654124b0fe9e82185",
        "GTSRB_Final_Test_GT.zip": "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
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
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = pathlib.Path(root) / "gtsrb"
        part = "Training" if split == "train" else "Final_Test/Images"
        self._target_folder = self._base_folder / "GTSRB" / part
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError(f"{NOT_FOUND}\nThere is no folder {self._target_folder}.")
        if split == "train":
            self.samples = make_dataset(str(self._target_folder), extensions=(".ppm",))
        else:
            with open(self._base_folder / "GT-final_test.csv", newline="") as file:
                rows = list(csv.DictReader(file, delimiter=";", skipinitialspace=True))
            self.samples = [(str(self._target_folder / row["Filename"]), int(row["ClassId"])) for row in rows]

    def _check_exists(self) -> bool:
        return self._target_folder.is_dir()

    def download(self) -> None:
        """Fetch and unpack the archives of this split."""
        if self._check_exists():
            return
        names = [name for name in self.md5 if ("Training" in name) == (self._split == "train")]
        for name in names:
            download_and_extract_archive(self.url_base + name, self._base_folder, md5=self.md5[name])
