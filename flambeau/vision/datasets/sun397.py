"""SUN397: scenes. vision.princeton.edu/projects/2010/SUN"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._listed import NOT_FOUND, ListedImages
from .folder import default_loader
from .utils import download_and_extract_archive


class SUN397(ListedImages):
    """108,754 pictures of scenes in 397 classes."""

    _DATASET_URL = "http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz"
    _DATASET_MD5 = "8ca2778205c41d23104230ba66911c7a"

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[Any], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        folder = pathlib.Path(self.root) / "SUN397"
        if download and not folder.is_dir():
            download_and_extract_archive(self._DATASET_URL, self.root, md5=self._DATASET_MD5)
        if not folder.is_dir():
            raise RuntimeError(NOT_FOUND)
        with open(folder / "ClassName.txt") as file:
            self.classes = [line[3:].strip() for line in file]  # without the first letter: /a/abbey
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [
            (path, self.class_to_idx["/".join(path.relative_to(folder).parts[1:-1])])
            for path in sorted(folder.rglob("sun_*.jpg"))
        ]
