"""CIFAR-10 and CIFAR-100: 60,000 colour pictures of 32 × 32 pixels."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.serialization.files import Bounded
from flambeau.serialization.unpickler import Unpickler

from .._pil import pil
from ..transforms._batch import transform_batch
from .utils import check_integrity, download_and_extract_archive
from .vision import VisionDataset

__all__ = ["CIFAR10", "CIFAR100"]


def _read(path: str) -> dict:
    """A batch file is a pickle; only data is made of it, whatever it says."""
    with open(path, "rb") as file:
        content = file.read()

    def no_storage(_: Any) -> Any:
        raise ValueError(f"{path} is no batch of CIFAR")

    try:
        return Unpickler(Bounded(io.BytesIO(content)), {}, no_storage, encoding="latin1").load()
    except (EOFError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


class CIFAR10(VisionDataset):
    """Ten classes of animals and vehicles; 50,000 pictures to learn from, 10,000 to test.

    Parameters
    ----------
    root : the folder in which the folder ``cifar-10-batches-py`` is.
    train : the training part, or the test part.
    transform, target_transform : applied to each PIL picture and each label.
    download : fetch the files if they are not there.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it\n"
                f"The files of {self.base_folder} are not all in {self.root}, or do not have their MD5 sums."
            )
        self.data: Any = []
        self.targets: list[int] = []
        for name, _ in self.train_list if train else self.test_list:
            batch = _read(self._path(name))
            self.data.append(batch["data"])
            self.targets.extend(batch["labels"] if "labels" in batch else batch["fine_labels"])
        planes = np.vstack(self.data).reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        self.classes: list[str] = _read(self._path(self.meta["filename"]))[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _check_integrity(self) -> bool:
        files = [*self.train_list, *self.test_list, [self.meta["filename"], self.meta["md5"]]]
        return all(check_integrity(self._path(name), md5) for name, md5 in files)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(self.data[index]), self.targets[index]
        return self._transformed(image, target)

    def __getbatch__(self, indices: Any) -> Any:
        if self.target_transform is not None or type(self).__getitem__ is not CIFAR10.__getitem__:
            return NotImplemented
        images = transform_batch(self.transform, fb.from_numpy(self.data), indices)
        if images is NotImplemented:
            return images
        targets = fb.tensor(self.targets)
        return [images, targets[indices].clone()]

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch and unpack the archive."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """A hundred classes, 600 pictures of each."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
