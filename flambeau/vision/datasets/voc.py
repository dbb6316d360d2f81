"""PASCAL Visual Object Classes. host.robots.ox.ac.uk/pascal/VOC"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from .._pil import pil
from ._listed import CORRUPTED
from .folder import pil_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset

_HOST = "http://host.robots.ox.ac.uk/pascal/VOC/"
DATASET_YEAR_DICT = {
    year: {"url": _HOST + path, "filename": path.split("/")[1], "md5": md5, "base_dir": os.path.join(*base)}
    for year, path, md5, base in (
        (
            "2012",
            "voc2012/VOCtrainval_11-May-2012.tar",
            "6cd6e144f989b92b3379bac3b3de84fd",
            ("VOCdevkit", "VOC2012"),
        ),
        (
            "2011",
            "voc2011/VOCtrainval_25-May-2011.tar",
            "6c3384ef61512963050cb5d687e5bf1e",
            ("TrainVal", "VOCdevkit", "VOC2011"),
        ),
        (
            "2010",
            "voc2010/VOCtrainval_03-May-2010.tar",
            "da459979d0c395079b5c75ee67908abb",
            ("VOCdevkit", "VOC2010"),
        ),
        (
            "2009",
            "voc2009/VOCtrainval_11-May-2009.tar",
            "a3e00b113cfcfebf17e343f59da3caa1",
            ("VOCdevkit", "VOC2009"),
        ),
        (
            "2008",
            "voc2008/VOCtrainval_11-May-2012.tar",
            "2629fa636546599198acfcfbfcf1904a",
            ("VOCdevkit", "VOC2008"),
        ),
        (
            "2007",
            "voc2007/VOCtrainval_06-Nov-2007.tar",
            "c52e279531787c972589f7e41ab4ae64",
            ("VOCdevkit", "VOC2007"),
        ),
        (
            "2007-test",
            "voc2007/VOCtest_06-Nov-2007.tar",
            "b6e924de25625d8de591ea690078ad9f",
            ("VOCdevkit", "VOC2007"),
        ),
    )
}


class _VOCBase(VisionDataset):
    _SPLITS_DIR: str
    _TARGET_DIR: str
    _TARGET_FILE_EXT: str

    def __init__(
        self,
        root: str | os.PathLike,
        year: str = "2012",
        image_set: str = "train",
        download: bool = False,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        transforms: Callable | None = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(y) for y in range(2007, 2013)])
        sets = ["train", "trainval", "val"] + (["test"] if year == "2007" else [])
        self.image_set = verify_str_arg(image_set, "image_set", sets)
        source = DATASET_YEAR_DICT["2007-test" if year == "2007" and image_set == "test" else year]
        self.url, self.filename, self.md5 = source["url"], source["filename"], source["md5"]
        base = os.path.join(self.root, source["base_dir"])
        if download:
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        if not os.path.isdir(base):
            raise RuntimeError(f"{CORRUPTED}\nThere is no folder {base}.")
        with open(os.path.join(base, "ImageSets", self._SPLITS_DIR, image_set.rstrip("\n") + ".txt")) as file:
            names = [line.strip() for line in file if line.strip()]
        self.images = [os.path.join(base, "JPEGImages", name + ".jpg") for name in names]
        self.targets = [os.path.join(base, self._TARGET_DIR, name + self._TARGET_FILE_EXT) for name in names]

    def __len__(self) -> int:
        return len(self.images)

    def _target(self, path: str) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil_loader(self.images[index]), self._target(self.targets[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)


class VOCSegmentation(_VOCBase):
    """Pictures with pictures of the same size whose values are classes: 0 background, 255 border.

    `image_set` is 'train', 'val' or 'trainval', in 2007 also 'test'.
    """

    _SPLITS_DIR, _TARGET_DIR, _TARGET_FILE_EXT = "Segmentation", "SegmentationClass", ".png"

    @property
    def masks(self) -> list[str]:
        """The files of the masks."""
        return self.targets

    def _target(self, path: str) -> Any:
        return pil().open(path)


class VOCDetection(_VOCBase):
    """Pictures with annotations: dictionaries of what the XML files say, the objects as a list.

    `image_set` is 'train', 'val' or 'trainval', in 2007 also 'test'.
    """

    _SPLITS_DIR, _TARGET_DIR, _TARGET_FILE_EXT = "Main", "Annotations", ".xml"

    @property
    def annotations(self) -> list[str]:
        """The files of the annotations."""
        return self.targets

    def _target(self, path: str) -> dict[str, Any]:
        try:
            return self.parse_voc_xml(ElementTree.parse(path).getroot())
        except ElementTree.ParseError as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    @staticmethod
    def parse_voc_xml(node: ElementTree.Element) -> dict[str, Any]:
        """An XML element as a dictionary: what occurs once is a value, what occurs again a list."""
        children = list(node)
        if not children:
            return {node.tag: node.text.strip()} if node.text else {}
        found = defaultdict(list)
        for child in children:
            for name, value in VOCDetection.parse_voc_xml(child).items():
                found[name].append(value)
        if node.tag == "annotation":  # a list even of one object
            found["object"] = [found["object"]]
        return {node.tag: {name: v[0] if len(v) == 1 else v for name, v in found.items()}}
