"""LSUN: a million photographs of each of ten kinds of rooms and buildings. yf.io/p/lsun, arXiv:1506.03365"""

from __future__ import annotations

import bisect
import io
import itertools
import os
from collections.abc import Callable
from typing import Any

from .._pil import pil
from .utils import verify_str_arg
from .vision import VisionDataset

_CATEGORIES = (
    "bedroom bridge church_outdoor classroom conference_room dining_room kitchen living_room restaurant tower"
).split()
_SPLITS = ("train", "val", "test")


class LSUNClass(VisionDataset):
    """The pictures of one data base (a folder that lmdb reads). Needs the package lmdb."""

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        try:
            import lmdb
        except ImportError as error:
            raise ImportError("LSUN's files are read by the package lmdb: pip install lmdb") from error
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.env = lmdb.open(
            os.fspath(root), max_readers=1, readonly=True, lock=False, readahead=False, meminit=False
        )
        with self.env.begin(write=False) as reader:
            self.keys = list(reader.cursor().iternext(keys=True, values=False))
        self.length = len(self.keys)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self.env.begin(write=False) as reader:
            content = reader.get(self.keys[index])
        return self._transformed(pil().open(io.BytesIO(content)).convert("RGB"), None)

    def __len__(self) -> int:
        return self.length


class LSUN(VisionDataset):
    """Pictures with the number of their class.

    `classes` is 'train', 'val' or 'test', or a list of classes with a part each: ``["bedroom_train"]``;
    `root` holds a folder ``bedroom_train_lmdb`` for each.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        classes: str | list[str] = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes = self._verify_classes(classes)
        self.dbs = [LSUNClass(os.path.join(self.root, f"{name}_lmdb"), transform) for name in self.classes]
        self.indices = list(itertools.accumulate(map(len, self.dbs)))
        self.length = self.indices[-1] if self.indices else 0

    def _verify_classes(self, classes: str | list[str]) -> list[str]:
        if isinstance(classes, str):
            verify_str_arg(classes, "classes", _SPLITS)
            return [classes] if classes == "test" else [f"{name}_{classes}" for name in _CATEGORIES]
        for name in classes:
            category, _, part = name.rpartition("_")
            verify_str_arg(category, "LSUN class", _CATEGORIES)
            verify_str_arg(part, "LSUN split", _SPLITS)
        return list(classes)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = bisect.bisect_right(self.indices, index)
        before = self.indices[target - 1] if target else 0
        picture, _ = self.dbs[target][index - before]
        return picture, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return self.length

    def extra_repr(self) -> str:
        return f"Classes: {self.classes}"
