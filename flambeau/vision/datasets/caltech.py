"""Caltech 101 and 256. data.caltech.edu"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ._listed import CORRUPTED
from ._matlab import read_matlab
from .folder import pil_loader
from .utils import download_file_from_google_drive, extract_archive, verify_str_arg
from .vision import VisionDataset

# Four classes have other names in the annotations than the folders of their pictures.
_ANNOTATED_AS = {
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
    "airplanes": "Airplanes_Side_2",
}


class _Caltech(VisionDataset):
    """Base: pictures in a folder a class, in an archive from Google Drive."""

    folder: str
    pictures: str
    files: tuple[tuple[str, str, str], ...]  # the file's number there, its name, its MD5 sum

    def __init__(
        self, root: str | os.PathLike, transform: Any, target_transform: Any, download: bool
    ) -> None:
        super().__init__(
            os.path.join(root, self.folder), transform=transform, target_transform=target_transform
        )
        os.makedirs(self.root, exist_ok=True)
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(CORRUPTED)
        place = os.path.join(self.root, self.pictures)
        self.categories = sorted(
            name for name in os.listdir(place) if os.path.isdir(os.path.join(place, name))
        )

    def _list(self, name_of: Callable[[int, str], str]) -> None:
        """Number the pictures of each class, as they are named: from 1 without a gap."""
        self.index: list[int] = []
        self.y: list[int] = []
        for label, name in enumerate(self.categories):
            folder = os.path.join(self.root, self.pictures, name)
            count = sum(file.endswith(".jpg") for file in os.listdir(folder))
            self.index.extend(range(1, count + 1))
            self.y.extend([label] * count)
        self._name_of = name_of

    def _picture(self, index: int) -> Any:
        label = self.y[index]
        name = self._name_of(label, f"{self.index[index]:04d}")
        return pil_loader(os.path.join(self.root, self.pictures, self.categories[label], name))

    def _check_integrity(self) -> bool:
        return os.path.isdir(os.path.join(self.root, self.pictures))

    def __len__(self) -> int:
        return len(self.index)

    def download(self) -> None:
        """Fetch and unpack the archives."""
        if self._check_integrity():
            return
        for number, name, md5 in self.files:
            download_file_from_google_drive(number, self.root, name, md5)
            extract_archive(os.path.join(self.root, name), self.root)


class Caltech101(_Caltech):
    """Objects in 101 classes.

    `target_type` is 'category' (a number), 'annotation' (the outline, an array [2, n]) or a list of both.
    """

    folder, pictures = "caltech101", "101_ObjectCategories"
    files = (
        (
            "137RyRjvTBkBiIfeYBNZBJViDHQ6_Ewsp",
            "101_ObjectCategories.tar.gz",
            "b224c7392d521a49829488ab0f1120d9",
        ),
        ("175kQy3UsZ0wUEHZjqkUDdNVssr7bgh_m", "Annotations.tar", "6f83eeb1f24d99cab4eb377263132c91"),
    )

    def __init__(
        self,
        root: str | os.PathLike,
        target_type: list[str] | str = "category",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform, download)
        wanted = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [verify_str_arg(t, "target_type", ("category", "annotation")) for t in wanted]
        if "BACKGROUND_Google" in self.categories:  # not a class
            self.categories.remove("BACKGROUND_Google")
        self.annotation_categories = [_ANNOTATED_AS.get(name, name) for name in self.categories]
        self._list(lambda label, number: f"image_{number}.jpg")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self._picture(index), self.y[index]
        targets: list[Any] = []
        for kind in self.target_type:
            if kind == "category":
                targets.append(label)
            else:
                name = f"annotation_{self.index[index]:04d}.mat"
                path = os.path.join(self.root, "Annotations", self.annotation_categories[label], name)
                targets.append(read_matlab(path)["obj_contour"])
        target: Any = tuple(targets) if len(targets) > 1 else targets[0]
        return self._transformed(image, target)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """Objects in 256 classes, and one of other pictures."""

    folder, pictures = "caltech256", "256_ObjectCategories"
    files = (
        ("1r6o0pSROcV1_VwT4oSjA2FBUSCWGuxLK", "256_ObjectCategories.tar", "67b4f42ca05d46448c6bb8ecd2220f6d"),
    )

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform, download)
        self._list(lambda label, number: f"{label + 1:03d}_{number}.jpg")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self._picture(index), self.y[index]
        return self._transformed(image, target)
