"""Labeled Faces in the Wild: photographs of known people. vis-www.cs.umass.edu/lfw"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ._listed import CORRUPTED
from .folder import default_loader
from .utils import verify_str_arg
from .vision import VisionDataset

_FOLDERS = {"original": "lfw", "funneled": "lfw_funneled", "deepfunneled": "lfw-deepfunneled"}
_ENDINGS = {"10fold": "", "train": "DevTrain", "test": "DevTest"}


class _LFW(VisionDataset):
    """Base: the folder of pictures and the text file that lists people or pairs."""

    base_folder = "lfw-py"
    _LIST: str

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "10fold",
        image_set: str = "funneled",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(
            os.path.join(root, self.base_folder), transform=transform, target_transform=target_transform
        )
        self.image_set = verify_str_arg(image_set.lower(), "image_set", tuple(_FOLDERS))
        self.split = verify_str_arg(split.lower(), "split", tuple(_ENDINGS))
        self.loader = loader
        self.labels_file = f"{self._LIST}{_ENDINGS[self.split]}.txt"
        self.images_dir = os.path.join(self.root, _FOLDERS[self.image_set])
        if download:
            raise ValueError(
                "LFW dataset is no longer available for download. "
                "Please download the dataset manually and place it in the specified directory"
            )
        path = os.path.join(self.root, self.labels_file)
        if not (os.path.isdir(self.images_dir) and os.path.isfile(path)):
            raise RuntimeError(f"{CORRUPTED}\nThere must be {self.images_dir} and {path}.")
        self.data: list[Any] = []
        with open(path) as file:
            lines = [line.strip().split("\t") for line in file if line.strip()]
        try:
            self._read(lines)
        except (ValueError, IndexError, KeyError) as error:
            raise RuntimeError(f"{path} is damaged: {error}") from error

    def _read(self, lines: list[list[str]]) -> None:
        raise NotImplementedError

    def _path(self, person: str, number: str | int) -> str:
        return os.path.join(self.images_dir, person, f"{person}_{int(number):04d}.jpg")

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Alignment: {self.image_set}\nSplit: {self.split}"


class LFWPeople(_LFW):
    """Pictures with the number of the person; `split` is '10fold', 'train' or 'test'.

    `image_set` is 'original', 'funneled' or 'deepfunneled': as found, or aligned in one of two ways.
    """

    _LIST = "people"

    def _read(self, lines: list[list[str]]) -> None:
        with open(os.path.join(self.root, "lfw-names.txt")) as file:
            names = [line.split()[0] for line in file if line.strip()]
        self.class_to_idx = {name: i for i, name in enumerate(names)}
        rows = iter(lines)
        folds = int(next(rows)[0]) if self.split == "10fold" else 1
        self.targets = []
        for _ in range(folds):
            for _ in range(int(next(rows)[0])):
                person, count = next(rows)
                for number in range(1, int(count) + 1):
                    self.data.append(self._path(person, number))
                    self.targets.append(self.class_to_idx[person])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.loader(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}\nClasses (identities): {len(self.class_to_idx)}"


class LFWPairs(_LFW):
    """Pairs of pictures with 1 for the same person and 0 for two; arguments as those of `LFWPeople`."""

    _LIST = "pairs"

    def _read(self, lines: list[list[str]]) -> None:
        first, *rows = lines
        folds, self.pair_names = (int(first[0]) if self.split == "10fold" else 1), []
        if len(rows) != 2 * folds * int(first[-1]):
            raise ValueError(f"{2 * folds * int(first[-1])} pairs are announced and {len(rows)} are there")
        self.targets = []
        for row in rows:
            same = len(row) == 3
            people = (row[0], row[0]) if same else (row[0], row[2])
            self.pair_names.append(people)
            self.data.append((self._path(people[0], row[1]), self._path(people[1], row[-1])))
            self.targets.append(int(same))

    def __getitem__(self, index: int) -> tuple[Any, Any, int]:
        first, second = (self.loader(path) for path in self.data[index])
        target = self.targets[index]
        if self.transform is not None:
            first, second = self.transform(first), self.transform(second)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return first, second, target
