"""CelebA: faces of celebrities with attributes. mmlab.ie.cuhk.edu.hk/projects/CelebA.html"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb

from ._listed import CORRUPTED
from .folder import pil_loader
from .utils import check_integrity, download_file_from_google_drive, extract_archive, verify_str_arg
from .vision import VisionDataset


class CelebA(VisionDataset):
    """Faces.

    Parameters
    ----------
    split : 'train', 'valid', 'test' or 'all'.
    target_type : 'attr' (40 of 0 or 1), 'identity' (a number), 'bbox' (x, y, width, height), 'landmarks'
        (eyes, nose, corners of the mouth), or a list of these, which gives a tuple.
    """

    base_folder = "celeba"
    file_list = [
        ("0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb", "img_align_celeba.zip"),
        ("0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c", "list_attr_celeba.txt"),
        ("1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS", "32bd1bd63d3c78cd57e08160ec5ed1e2", "identity_CelebA.txt"),
        ("0B7EVK8r0v71pbThiMVRxWXZ4dU0", "00566efa6fedff7a56946cd1c10f1c16", "list_bbox_celeba.txt"),
        (
            "0B7EVK8r0v71pd0FJY3Blby1HUTQ",
            "cc24ecafdb5b50baae59b03474781f8c",
            "list_landmarks_align_celeba.txt",
        ),
        ("0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668", "list_eval_partition.txt"),
    ]
    _SPLITS = {"train": 0, "valid": 1, "test": 2, "all": None}
    _KINDS = ("attr", "identity", "bbox", "landmarks")

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        target_type: list[str] | str = "attr",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and self.target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        for kind in self.target_type:
            if kind not in self._KINDS:
                raise ValueError(f'Target type "{kind}" is not recognized.')
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(CORRUPTED)
        wanted = self._SPLITS[verify_str_arg(split.lower(), "split", tuple(self._SPLITS))]
        names, parts = self._table("list_eval_partition.txt")[1:]
        chosen = np.arange(len(names)) if wanted is None else np.flatnonzero(parts[:, 0] == wanted)
        self.filename = [names[i] for i in chosen]
        tables = {}
        for kind, file, head in (
            ("identity", "identity_CelebA.txt", False),
            ("bbox", "list_bbox_celeba.txt", True),
            ("landmarks", "list_landmarks_align_celeba.txt", True),
            ("attr", "list_attr_celeba.txt", True),
        ):
            header, _, values = self._table(file, head)
            tables[kind] = fb.from_numpy(values[chosen])
            if kind == "attr":
                self.attr_names = header
        self.identity, self.bbox = tables["identity"], tables["bbox"]
        self.landmarks_align = tables["landmarks"]
        self.attr = (tables["attr"] + 1) // 2  # from -1 and 1

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _table(self, name: str, head: bool = False) -> tuple[list[str], list[str], np.ndarray]:
        """Column names (after a line with the number of rows), picture names, and the numbers."""
        with open(self._path(name)) as file:
            lines = file.read().splitlines()
        header = lines[1].split() if head else []
        rows = [line.split() for line in lines[2 if head else 0 :] if line.strip()]
        try:
            return header, [row[0] for row in rows], np.array([[int(v) for v in row[1:]] for row in rows])
        except ValueError as error:
            raise ValueError(f"{self._path(name)} is damaged: {error}") from error

    def _check_integrity(self) -> bool:
        for _, md5, name in self.file_list:
            if not name.endswith(".zip") and not check_integrity(self._path(name), md5):
                return False
        return os.path.isdir(self._path("img_align_celeba"))

    def download(self) -> None:
        """Fetch the files from Google Drive and unpack the pictures."""
        if self._check_integrity():
            return
        folder = os.path.join(self.root, self.base_folder)
        for number, md5, name in self.file_list:
            download_file_from_google_drive(number, folder, name, md5)
        extract_archive(self._path("img_align_celeba.zip"))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pil_loader(self._path(os.path.join("img_align_celeba", self.filename[index])))
        values = {
            "attr": lambda: self.attr[index],
            "identity": lambda: self.identity[index, 0],
            "bbox": lambda: self.bbox[index],
            "landmarks": lambda: self.landmarks_align[index],
        }
        targets = tuple(values[kind]() for kind in self.target_type)
        target: Any = targets if len(targets) > 1 else targets[0] if targets else None
        if self.transform is not None:
            image = self.transform(image)
        if targets and self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.attr)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}\nSplit: {self.split}"
