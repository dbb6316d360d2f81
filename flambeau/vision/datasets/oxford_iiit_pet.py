"""Oxford-IIIT Pets. robots.ox.ac.uk/~vgg/data/pets"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from .._pil import pil
from ._listed import NOT_FOUND
from .folder import pil_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset


class OxfordIIITPet(VisionDataset):
    """Cats and dogs of 37 breeds.

    Parameters
    ----------
    split : 'trainval' or 'test'.
    target_types : 'category' (the breed, from 0), 'binary-category' (0 cat, 1 dog), 'segmentation' (a
        picture: 1 animal, 2 background, 3 border), or several of these, which gives a tuple.
    """

    _RESOURCES = (
        ("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        (
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
            "95a8c909bbe2e81eed6a22bccdf3f68f",
        ),
    )
    _VALID_TARGET_TYPES = ("category", "binary-category", "segmentation")

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "trainval",
        target_types: Sequence[str] | str = "category",
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        wanted = [target_types] if isinstance(target_types, str) else target_types
        self._target_types = [verify_str_arg(t, "target_types", self._VALID_TARGET_TYPES) for t in wanted]
        super().__init__(root, transforms=transforms, transform=transform, target_transform=target_transform)
        self._base_folder = pathlib.Path(self.root) / "oxford-iiit-pet"
        self._images_folder = self._base_folder / "images"
        self._anns_folder = self._base_folder / "annotations"
        if download:
            self._download()
        if not self._check_exists():
            raise RuntimeError(NOT_FOUND)
        with open(self._anns_folder / f"{split}.txt") as file:
            rows = [line.split() for line in file]
        names = [row[0] for row in rows]
        self._labels, self._bin_labels = [int(row[1]) - 1 for row in rows], [int(row[2]) - 1 for row in rows]
        breeds = {label: name.rsplit("_", 1)[0] for name, label in zip(names, self._labels, strict=True)}
        self.classes = [
            " ".join(part.title() for part in breeds[label].split("_")) for label in sorted(breeds)
        ]
        self.bin_classes = ["Cat", "Dog"]
        self.class_to_idx = dict(zip(self.classes, range(len(self.classes)), strict=True))
        self.bin_class_to_idx = {"Cat": 0, "Dog": 1}
        self._images = [self._images_folder / f"{name}.jpg" for name in names]
        self._segs = [self._anns_folder / "trimaps" / f"{name}.png" for name in names]

    def _target(self, kind: str, index: int) -> Any:
        if kind == "category":
            return self._labels[index]
        if kind == "binary-category":
            return self._bin_labels[index]
        return pil().open(self._segs[index])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pil_loader(self._images[index])
        targets = tuple(self._target(kind, index) for kind in self._target_types)
        target: Any = targets[0] if len(targets) == 1 else targets or None
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self._images)

    def _check_exists(self) -> bool:
        return all(folder.is_dir() for folder in (self._images_folder, self._anns_folder))

    def _download(self) -> None:
        if not self._check_exists():
            for url, md5 in self._RESOURCES:
                download_and_extract_archive(url, download_root=str(self._base_folder), md5=md5)
