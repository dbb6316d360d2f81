"""ImageNet 2012 (ILSVRC). image-net.org/challenges/LSVRC/2012"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .folder import ImageFolder, default_loader
from .utils import verify_str_arg

META_FILE = "meta.bin"


class ImageNet(ImageFolder):
    """1.3 million pictures in 1,000 classes, unpacked into a folder a class: ``root/train/n01440764/…``.

    ``root/meta.bin``, as torchvision writes it, holds the names of the classes; without it they are called by
    their WordNet numbers. `split` is 'train' or 'val'.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        loader: Callable[[str], Any] = default_loader,
        **kwargs: Any,
    ) -> None:
        root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        folder = os.path.join(root, split)
        if not os.path.isdir(folder):
            archive = f"ILSVRC2012_img_{split}.tar"
            raise RuntimeError(
                f"The archive {archive} is not present in the root directory or is corrupted. You need to "
                f"download it externally and place it in {root}.\n"
                f"flambeau reads the unpacked pictures: {folder} must hold one folder for each class."
            )
        super().__init__(folder, loader=loader, **kwargs)
        self.root = root
        self.wnids, self.wnid_to_idx = self.classes, self.class_to_idx
        names = self._class_names(root)
        self.classes = [names.get(wnid, (wnid,)) for wnid in self.wnids]
        self.class_to_idx = {name: i for i, several in enumerate(self.classes) for name in several}

    @staticmethod
    def _class_names(root: str) -> dict[str, tuple[str, ...]]:
        path = os.path.join(root, META_FILE)
        return fb.load(path, weights_only=True)[0] if os.path.isfile(path) else {}

    @property
    def split_folder(self) -> str:
        """Where the pictures of this part are."""
        return os.path.join(self.root, self.split)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
