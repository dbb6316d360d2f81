"""PatchCamelyon: patches of tissue, with or without a tumour in the middle. github.com/basveeling/pcam"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from .._pil import pil
from ._listed import CORRUPTED
from .utils import check_integrity, download_file_from_google_drive, extract_archive, verify_str_arg
from .vision import VisionDataset


class PCAM(VisionDataset):
    """Pictures of 96 × 96 pixels with 0 or 1; `split` is 'train', 'test' or 'val'. Needs h5py."""

    _FILES = {  # name, Google Drive's number and MD5 sum of pictures and targets
        "train": (
            ("train_x", "1Ka0XfEMiwgCYPdTI-vv6eUElOBnKFKQ2", "1571f514728f59376b705fc836ff4b63"),
            ("train_y", "1269yhu3pZDP8UYFQs-NYs3FPwuK-nGSG", "35c2d7259d906cfc8143347bb8e05be7"),
        ),
        "test": (
            ("test_x", "1qV65ZqZvWzuIVthK8eVDhIwrbnsJdbg_", "d8c2d60d490dbd479f8199bdfa0cf6ec"),
            ("test_y", "17BHrSrwWKjYsOgTMmoqrIjDy6Fa2o_gP", "60a7035772fbdb7f34eb86d4420cf66a"),
        ),
        "val": (
            ("valid_x", "1hgshYGWK8V-eGRy8LToWJJgDU_rXWVJ3", "d5b63470df7cfa627aeec8b9dc0c066e"),
            ("valid_y", "1bH8ZRbhSVAhScTS0p9-ZzGnX91cHT3uO", "2b85f58b927af9964a4c15b8f7e8f179"),
        ),
    }

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        try:
            import h5py
        except ImportError as error:
            raise RuntimeError(
                "h5py is not found. This dataset needs to have h5py installed: please run pip install h5py"
            ) from error
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._h5py = h5py
        self._split = verify_str_arg(split, "split", ("train", "test", "val"))
        self._base_folder = pathlib.Path(self.root) / "pcam"
        self._pictures, self._targets = (
            self._base_folder / f"camelyonpatch_level_2_split_{part}.h5" for part, _, _ in self._FILES[split]
        )
        if download:
            self._download()
        if not self._check_exists():
            raise RuntimeError(CORRUPTED)
        with h5py.File(self._targets) as file:
            self._length = file["y"].shape[0]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self._h5py.File(self._pictures) as file:
            picture = pil().fromarray(file["x"][index]).convert("RGB")
        with self._h5py.File(self._targets) as file:
            target = int(file["y"][index, 0, 0, 0])
        return self._transformed(picture, target)

    def __len__(self) -> int:
        return self._length

    def _check_exists(self) -> bool:
        return self._pictures.is_file() and self._targets.is_file()

    def _download(self) -> None:
        if self._check_exists():
            return
        for path, (_, number, md5) in zip(
            (self._pictures, self._targets), self._FILES[self._split], strict=True
        ):
            packed = f"{path.name}.gz"
            if not check_integrity(self._base_folder / packed, md5):
                download_file_from_google_drive(number, self._base_folder, packed, md5)
            extract_archive(str(self._base_folder / packed), str(path))
