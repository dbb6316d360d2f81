"""Photo Tourism: patches of buildings, seen from several sides. matthewalunbrown.com/patchdata"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb

from .._pil import pil
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset

_URL = "http://matthewalunbrown.com/patchdata/"
_SIDE = 64  # pixels of a patch; a picture has 16 × 16 of them
_MD5 = {
    "notredame_harris": "69f8c90f78e171349abdf0307afefe4d",
    "yosemite_harris": "a73253d1c6fbd3ba2613c45065c00d46",
    "liberty_harris": "c731fcfb3abb4091110d0ae8c7ba182c",
    "notredame": "509eda8535847b8c0a90bbb210c83484",
    "yosemite": "533b2e8eb7ede31be40abc317b2fd4f0",
    "liberty": "fdd9152f138ea5ef2091746689176414",
}


class PhotoTour(VisionDataset):
    """Patches of 64 × 64 grey bytes (`train`), or pairs of them, with 1 if they show one point.

    `name` is 'notredame', 'yosemite' or 'liberty', or one of these followed by '_harris' for the other
    detector of points. A file ``root/name.pt`` keeps what was read.
    """

    mean = dict(zip(_MD5, (0.4854, 0.4844, 0.4437) * 2, strict=True))
    std = dict(zip(_MD5, (0.1864, 0.1818, 0.2019) * 2, strict=True))
    lens = dict(zip(_MD5, (325295, 450912, 379587, 468159, 633587, 450092), strict=True))
    info_file = "info.txt"
    matches_files = "m50_100000_100000_0.txt"
    image_ext = "bmp"

    def __init__(
        self,
        root: str | os.PathLike,
        name: str,
        train: bool = True,
        transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform)
        self.name = verify_str_arg(name, "name", tuple(_MD5))
        self.data_dir = os.path.join(self.root, name)
        self.data_file = os.path.join(self.root, f"{name}.pt")
        self.data_down = os.path.join(self.root, f"{name}.zip")
        self.train = train
        if download and not os.path.exists(self.data_file) and not os.path.isdir(self.data_dir):
            download_and_extract_archive(f"{_URL}{name}.zip", self.root, self.data_dir, md5=_MD5[name])
        if not os.path.exists(self.data_file):
            self.cache()
        self.data, self.labels, self.matches = fb.load(self.data_file, weights_only=True)

    def cache(self) -> None:
        """Read the pictures and lists, and keep them in one file."""
        if not os.path.isdir(self.data_dir):
            raise RuntimeError("Dataset not found. You can use download=True to download it.")
        fb.save((self._patches(), self._labels(), self._matches()), self.data_file)

    def _lines(self, name: str) -> list[list[int]]:
        with open(os.path.join(self.data_dir, name)) as file:
            return [[int(word) for word in line.split()] for line in file if line.strip()]

    def _labels(self) -> fb.Tensor:
        """The point that each patch shows."""
        return fb.tensor([row[0] for row in self._lines(self.info_file)], dtype=fb.int64)

    def _matches(self) -> fb.Tensor:
        """Rows of two patches, and whether they show one point."""
        rows = self._lines(self.matches_files)
        return fb.tensor([[row[0], row[3], int(row[1] == row[4])] for row in rows], dtype=fb.int64)

    def _patches(self) -> fb.Tensor:
        count = len(self._lines(self.info_file))
        files = sorted(name for name in os.listdir(self.data_dir) if name.endswith(self.image_ext))
        parts = []
        for name in files:
            with pil().open(os.path.join(self.data_dir, name)) as picture:
                sheet = np.asarray(picture.convert("L"))
            high, wide = (side // _SIDE for side in sheet.shape)
            grid = sheet[: high * _SIDE, : wide * _SIDE].reshape(high, _SIDE, wide, _SIDE)
            parts.append(grid.transpose(0, 2, 1, 3).reshape(-1, _SIDE, _SIDE))
        patches = np.concatenate(parts)[:count] if parts else np.empty((0, _SIDE, _SIDE), np.uint8)
        if len(patches) != count:
            raise RuntimeError(
                f"{self.data_dir} has {len(patches)} patches and {self.info_file} lists {count}"
            )
        return fb.from_numpy(np.ascontiguousarray(patches))

    def __getitem__(self, index: int) -> Any:
        if self.train:
            patch = self.data[index]
            return patch if self.transform is None else self.transform(patch)
        first, second, same = self.matches[index]
        patches = [self.data[int(first)], self.data[int(second)]]
        if self.transform is not None:
            patches = [self.transform(patch) for patch in patches]
        return patches[0], patches[1], same

    def __len__(self) -> int:
        return len(self.data if self.train else self.matches)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"
