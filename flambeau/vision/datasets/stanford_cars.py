"""Stanford Cars: 196 models of cars. Krause et al., 3DRR 2013"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from ._matlab import scipy_matlab
from .folder import default_loader
from .utils import verify_str_arg
from .vision import VisionDataset


class StanfordCars(VisionDataset):
    """Photographs of cars with the number of the model; `split` is 'train' or 'test'. Needs SciPy.

    ``root/stanford_cars`` holds ``cars_train`` and ``devkit``, or ``cars_test`` and
    ``cars_test_annos_withlabels.mat``. They are no longer offered at their published place.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = pathlib.Path(self.root) / "stanford_cars"
        self.loader = loader
        devkit = self._base_folder / "devkit"
        if split == "train":
            annotations, self._images_base_path = (
                devkit / "cars_train_annos.mat",
                self._base_folder / "cars_train",
            )
        else:
            annotations = self._base_folder / "cars_test_annos_withlabels.mat"
            self._images_base_path = self._base_folder / "cars_test"
        if download:
            raise ValueError(
                "The original URL is broken so the StanfordCars dataset is not available for automatic "
                "download anymore. You can try to download it manually following "
                "https://github.com/pytorch/vision/issues/7545, and set download=False to avoid this error."
            )
        if not (devkit.is_dir() and annotations.is_file() and self._images_base_path.is_dir()):
            raise RuntimeError(
                "Dataset not found. Try to manually download following the instructions in "
                "https://github.com/pytorch/vision/issues/7545."
            )
        self._samples = [
            (str(self._images_base_path / row["fname"]), int(row["class"]) - 1)
            for row in scipy_matlab(annotations)["annotations"]
        ]
        self.classes = scipy_matlab(devkit / "cars_meta.mat")["class_names"].tolist()
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self._samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self._samples)
