"""KITTI: objects on streets, seen from a car. cvlibs.net/datasets/kitti"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .folder import pil_loader
from .utils import download_and_extract_archive
from .vision import VisionDataset


class Kitti(VisionDataset):
    """Pictures with lists of objects: type, truncated, occluded, alpha, bbox, dimensions, location and
    rotation_y.

    The test part (`train=False`) has no objects: its targets are None.
    """

    data_url = "https://s3.eu-central-1.amazonaws.com/avg-kitti/"
    resources = ["data_object_image_2.zip", "data_object_label_2.zip"]
    image_dir_name, labels_dir_name = "image_2", "label_2"

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        transforms: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.train = train
        self._location = "training" if train else "testing"
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You may use download=True to download it.")
        folder = os.path.join(self._raw_folder, self._location)
        names = sorted(os.listdir(os.path.join(folder, self.image_dir_name)))
        self.images = [os.path.join(folder, self.image_dir_name, name) for name in names]
        self.targets = (
            [os.path.join(folder, self.labels_dir_name, os.path.splitext(name)[0] + ".txt") for name in names]
            if train
            else []
        )

    @property
    def _raw_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "raw")

    def _check_exists(self) -> bool:
        parts = [self.image_dir_name] + ([self.labels_dir_name] if self.train else [])
        return all(os.path.isdir(os.path.join(self._raw_folder, self._location, part)) for part in parts)

    def _objects(self, path: str) -> list[dict[str, Any]]:
        with open(path) as file:
            rows = [line.split() for line in file if line.strip()]
        try:
            return [
                {
                    "type": row[0],
                    "truncated": float(row[1]),
                    "occluded": int(row[2]),
                    "alpha": float(row[3]),
                    "bbox": [float(v) for v in row[4:8]],
                    "dimensions": [float(v) for v in row[8:11]],
                    "location": [float(v) for v in row[11:14]],
                    "rotation_y": float(row[14]),
                }
                for row in rows
            ]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pil_loader(self.images[index])
        target = self._objects(self.targets[index]) if self.train else None
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.images)

    def download(self) -> None:
        """Fetch and unpack the archives."""
        if not self._check_exists():
            for name in self.resources:
                download_and_extract_archive(self.data_url + name, self._raw_folder, filename=name)
