"""SBU Captions: a million photographs with what their owners wrote. cs.rice.edu/~vo9/sbucaptions"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from ._listed import CORRUPTED
from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive, download_url
from .vision import VisionDataset


class SBU(VisionDataset):
    """Pictures with texts. `download` fetches the list, then each picture that is still to be had."""

    url = "https://www.cs.rice.edu/~vo9/sbucaptions/SBUCaptionedPhotoDataset.tar.gz"
    filename = "SBUCaptionedPhotoDataset.tar.gz"
    md5_checksum = "9aec147b3488753cf758b4d493422285"

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = True,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(CORRUPTED)
        pairs = [
            (os.path.basename(url), caption)
            for url, caption in zip(*self._lists(), strict=True)
            if os.path.exists(os.path.join(self.root, "dataset", os.path.basename(url)))
        ]
        self.photos = [photo for photo, _ in pairs]
        self.captions = [caption for _, caption in pairs]

    def _lists(self) -> tuple[list[str], list[str]]:
        """The addresses of all pictures, and their texts."""
        lists = []
        for what in ("urls", "captions"):
            with open(
                os.path.join(self.root, "dataset", f"SBU_captioned_photo_dataset_{what}.txt"),
                encoding="utf-8",
            ) as file:
                lists.append([line.rstrip() for line in file])
        return lists[0], lists[1]

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.md5_checksum)

    def download(self) -> None:
        """Fetch the list and the pictures; a picture that is not there any more is left out."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5_checksum)
        urls, gone = self._lists()[0], 0
        for url in urls:
            try:
                download_url(url, os.path.join(self.root, "dataset"))
            except (OSError, RuntimeError):
                gone += 1
        if gone:
            warnings.warn(f"{gone} of {len(urls)} pictures could not be fetched", stacklevel=3)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture = self.loader(os.path.join(self.root, "dataset", self.photos[index]))
        return self._transformed(picture, self.captions[index])

    def __len__(self) -> int:
        return len(self.photos)
