"""Oxford 102 Flowers. robots.ox.ac.uk/~vgg/data/flowers/102"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import CORRUPTED, ListedImages
from ._matlab import read_matlab
from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive, download_url, verify_str_arg


class Flowers102(ListedImages):
    """Flowers in 102 classes (numbered from 0). `split` is 'train', 'val' or 'test'."""

    _download_url_prefix = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    _file_dict = {
        "image": ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
        "label": ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        "setid": ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
    }
    _splits_map = {"train": "trnid", "val": "valid", "test": "tstid"}

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[Any], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._base_folder = pathlib.Path(self.root) / "flowers-102"
        self._images_folder = self._base_folder / "jpg"
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(CORRUPTED)
        chosen = read_matlab(self._base_folder / self._file_dict["setid"][0])[self._splits_map[split]]
        labels = read_matlab(self._base_folder / self._file_dict["label"][0])["labels"].reshape(-1)
        self.samples = [
            (self._images_folder / f"image_{number:05d}.jpg", int(labels[number - 1]) - 1)
            for number in chosen.reshape(-1).astype(int).tolist()
        ]

    def _check_integrity(self) -> bool:
        if not self._images_folder.is_dir():
            return False
        return all(
            check_integrity(self._base_folder / self._file_dict[k][0], self._file_dict[k][1])
            for k in ("label", "setid")
        )

    def download(self) -> None:
        """Fetch the pictures, labels and splits."""
        if self._check_integrity():
            return
        name, md5 = self._file_dict["image"]
        download_and_extract_archive(f"{self._download_url_prefix}{name}", self._base_folder, md5=md5)
        for what in ("label", "setid"):
            name, md5 = self._file_dict[what]
            download_url(self._download_url_prefix + name, self._base_folder, md5=md5)

    def extra_repr(self) -> str:
        return f"split={self._split}"
