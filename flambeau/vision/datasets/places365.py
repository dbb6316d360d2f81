"""Places365: photographs of 365 kinds of places. places2.csail.mit.edu"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset

_URL = "http://data.csail.mit.edu/places/places365/"


class Places365(VisionDataset):
    """Pictures with the number of their kind.

    `split` is 'train-standard', 'train-challenge', 'val' or 'test' (no targets: None); with `small` the
    pictures are 256 × 256.
    """

    _LISTS = {  # archive, MD5 sum and list of each split
        "train-standard": (
            "filelist_places365-standard.tar",
            "35a0585fee1fa656440f3ab298f8479c",
            "places365_train_standard.txt",
        ),
        "train-challenge": (
            "filelist_places365-challenge.tar",
            "70a8307e459c3de41690a7c76c931734",
            "places365_train_challenge.txt",
        ),
        "val": ("filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c", "places365_val.txt"),
        "test": ("filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c", "places365_test.txt"),
    }
    _IMAGES = {  # archive and MD5 sum by split and `small`
        ("train-standard", False): ("train_large_places365standard.tar", "67e186b496a84c929568076ed01a8aa1"),
        ("train-challenge", False): (
            "train_large_places365challenge.tar",
            "605f18e68e510c82b958664ea134545f",
        ),
        ("val", False): ("val_large.tar", "9b71c4993ad89d2d8bcbdc4aef38042f"),
        ("test", False): ("test_large.tar", "41a4b6b724b1d2cd862fb3871ed59913"),
        ("train-standard", True): ("train_256_places365standard.tar", "53ca1c756c3d1e7809517cc47c5561c5"),
        ("train-challenge", True): ("train_256_places365challenge.tar", "741915038a5e3471ec7332404dfb64ef"),
        ("val", True): ("val_256.tar", "e27b17d8d44f4af9a78502beb927f808"),
        ("test", True): ("test_256.tar", "f532f6ad7b582262a2ec8009075e186b"),
    }

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train-standard",
        small: bool = False,
        download: bool = False,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self._LISTS))
        self.small = small
        self.loader = loader
        archive, md5, file_list = self._LISTS[split]
        lists = [os.path.join(self.root, name) for name in ("categories_places365.txt", file_list)]
        if download and not all(map(os.path.isfile, lists)):
            download_and_extract_archive(_URL + archive, self.root, md5=md5)
        if not all(map(os.path.isfile, lists)):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it.")
        self.classes, self.class_to_idx = self._categories(lists[0])
        if download:
            self._download_images()
        self.imgs, self.targets = self._files(lists[1])

    @property
    def images_dir(self) -> str:
        """The folder of the pictures."""
        size = "256" if self.small else "large"
        if self.split.startswith("train"):
            return os.path.join(self.root, f"data_{size}_{self.split.partition('-')[2]}")
        return os.path.join(self.root, f"{self.split}_{size}")

    def _categories(self, path: str) -> tuple[list[str], dict[str, int]]:
        with open(path) as file:
            numbers = {name: int(number) for name, number in (line.split() for line in file if line.strip())}
        return sorted(numbers), numbers

    def _files(self, path: str) -> tuple[list[tuple[str, int | None]], list[int | None]]:
        with open(path) as file:
            rows = [line.split() for line in file if line.strip()]
        files = [
            (os.path.join(self.images_dir, row[0].lstrip("/")), int(row[1]) if len(row) > 1 else None)
            for row in rows
        ]
        return files, [target for _, target in files]

    def _download_images(self) -> None:
        if os.path.isdir(self.images_dir):
            raise RuntimeError(
                f"The directory {self.images_dir} already exists. If you want to re-download or re-extract "
                "the images, delete the directory."
            )
        archive, md5 = self._IMAGES[self.split, self.small]
        download_and_extract_archive(_URL + archive, self.root, md5=md5)
        if self.split.startswith("train"):  # the archive's folder does not tell the two training sets apart
            unpacked = os.path.join(self.root, self.images_dir.rpartition("_")[0])
            if os.path.isdir(unpacked):
                os.rename(unpacked, self.images_dir)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.imgs[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.imgs)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nSmall: {self.small}"
