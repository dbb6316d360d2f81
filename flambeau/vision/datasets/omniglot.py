"""Omniglot: characters of 50 alphabets, each drawn by 20 people. github.com/brendenlake/omniglot"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .._pil import pil
from ._listed import CORRUPTED
from .utils import check_integrity, download_and_extract_archive, list_dir, list_files
from .vision import VisionDataset


class Omniglot(VisionDataset):
    """Black and white drawings of 105 × 105 pixels; `background` chooses the 30 alphabets to learn from."""

    folder = "omniglot-py"
    download_url_prefix = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
    zips_md5 = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(
        self,
        root: str | os.PathLike,
        background: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__(
            os.path.join(root, self.folder), transform=transform, target_transform=target_transform
        )
        self.background = background
        self.loader = loader
        part = "images_background" if background else "images_evaluation"
        if download:
            self.download(part)
        if not check_integrity(os.path.join(self.root, part + ".zip"), self.zips_md5[part]):
            raise RuntimeError(CORRUPTED)
        self.target_folder = os.path.join(self.root, part)
        self._characters = [
            os.path.join(alphabet, character)
            for alphabet in sorted(list_dir(self.target_folder))
            for character in sorted(list_dir(os.path.join(self.target_folder, alphabet)))
        ]
        self._flat_character_images = [
            (os.path.join(self.target_folder, character, name), label)
            for label, character in enumerate(self._characters)
            for name in sorted(list_files(os.path.join(self.target_folder, character), ".png"))
        ]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self._flat_character_images[index]
        picture = pil().open(path).convert("L") if self.loader is None else self.loader(path)
        return self._transformed(picture, label)

    def __len__(self) -> int:
        return len(self._flat_character_images)

    def download(self, part: str) -> None:
        """Fetch and unpack the archive of one part."""
        if not check_integrity(os.path.join(self.root, part + ".zip"), self.zips_md5[part]):
            url = f"{self.download_url_prefix}/{part}.zip"
            download_and_extract_archive(url, self.root, filename=part + ".zip", md5=self.zips_md5[part])
