"""WIDER FACE: photographs of events with all faces marked. shuoyang1213.me/WIDERFACE"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .folder import pil_loader
from .utils import (
    check_integrity,
    download_and_extract_archive,
    download_file_from_google_drive,
    extract_archive,
    verify_str_arg,
)
from .vision import VisionDataset

_FIELDS = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


class WIDERFace(VisionDataset):
    """Pictures with dictionaries of ``bbox`` [faces, 4] (x, y, width, height) and six properties of faces.

    `split` is 'train', 'val' or 'test', whose targets are None.
    """

    BASE_FOLDER = "widerface"
    FILE_LIST = (
        ("15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M", "3fedf70df600953d25982bcd13d91ba2", "WIDER_train.zip"),
        ("1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q", "dfa7d7e790efa35df3788964cf0bbaea", "WIDER_val.zip"),
        ("1HIfDbVEWKmsYKJZm4lchTBDLW5N7dY5T", "e5d8f4248ed24c334bbd12f49c29dd40", "WIDER_test.zip"),
    )
    ANNOTATIONS_FILE = (
        "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
        "0e3767bcf0e326556d407bf5bff5d27c",
        "wider_face_split.zip",
    )

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(
            os.path.join(root, self.BASE_FOLDER), transform=transform, target_transform=target_transform
        )
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        name = "wider_face_test_filelist.txt" if split == "test" else f"wider_face_{split}_bbx_gt.txt"
        annotations = os.path.join(self.root, "wider_face_split", name)
        pictures = os.path.join(self.root, f"WIDER_{split}", "images")
        if download:
            self.download()
        if not (os.path.isfile(annotations) and os.path.isdir(pictures)):
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download and prepare it"
            )
        with open(annotations) as file:
            lines = [line.strip() for line in file if line.strip()]
        self.img_info: list[dict[str, Any]] = []
        if split == "test":
            self.img_info = [{"img_path": os.path.join(pictures, line)} for line in lines]
            return
        try:
            self._read(iter(lines), pictures)
        except (ValueError, StopIteration) as error:
            raise RuntimeError(
                f"{annotations} is damaged after {len(self.img_info)} pictures: {error}"
            ) from error

    def _read(self, lines: Any, pictures: str) -> None:
        """A picture is its name, the number of faces, and ten numbers for each (one line of 0 for none)."""
        for name in lines:
            count = int(next(lines))
            rows = [[int(word) for word in next(lines).split()] for _ in range(max(count, 1))]
            numbers = fb.tensor(rows)
            if numbers.shape[1] != 10:
                raise ValueError(f"{name} has lines of {numbers.shape[1]} numbers, not 10")
            target = {"bbox": numbers[:, :4].clone()}
            # the file's order of the properties is blur, expression, illumination, invalid, occlusion, pose
            target.update({field: numbers[:, 4 + i].clone() for i, field in enumerate(_FIELDS)})
            self.img_info.append({"img_path": os.path.join(pictures, name), "annotations": target})

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        info = self.img_info[index]
        return self._transformed(pil_loader(info["img_path"]), info.get("annotations"))

    def __len__(self) -> int:
        return len(self.img_info)

    def download(self) -> None:
        """Fetch and unpack pictures and annotations of all splits."""
        for number, md5, name in self.FILE_LIST:
            path = os.path.join(self.root, name)
            if not check_integrity(path, md5):
                download_file_from_google_drive(number, self.root, name, md5)
            if not os.path.isdir(path.removesuffix(".zip")):
                extract_archive(path)
        url, md5, _ = self.ANNOTATIONS_FILE
        download_and_extract_archive(url, self.root, md5=md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
