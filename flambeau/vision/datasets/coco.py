"""Microsoft COCO: pictures with objects or captions. cocodataset.org"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._pil import pil
from .folder import pil_loader
from .vision import VisionDataset


def _listed(ids: Any) -> list:
    return list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str) else [ids]


class CocoIndex:
    """An annotation file of COCO, looked up by picture; the most used part of what pycocotools' COCO has."""

    def __init__(self, annotation_file: str | os.PathLike) -> None:
        with open(annotation_file, encoding="utf-8") as file:
            self.dataset = json.load(file)
        if not isinstance(self.dataset, dict) or "images" not in self.dataset:
            raise ValueError(f"{annotation_file} is no annotation file of COCO: it lists no images")
        self.imgs = {image["id"]: image for image in self.dataset["images"]}
        self.anns = {note["id"]: note for note in self.dataset.get("annotations", [])}
        self.cats = {kind["id"]: kind for kind in self.dataset.get("categories", [])}
        self.imgToAnns: dict[int, list[dict]] = defaultdict(list)
        self.catToImgs: dict[int, list[int]] = defaultdict(list)
        for note in self.dataset.get("annotations", []):
            self.imgToAnns[note["image_id"]].append(note)
            if "category_id" in note:
                self.catToImgs[note["category_id"]].append(note["image_id"])

    def getAnnIds(self, imgIds: Any = (), catIds: Any = (), iscrowd: bool | None = None) -> list[int]:
        """The numbers of the annotations of these pictures and classes; no filter where none is given."""
        pictures, kinds = _listed(imgIds), set(_listed(catIds))
        notes = [n for i in pictures for n in self.imgToAnns[i]] if pictures else self.anns.values()
        return [
            note["id"]
            for note in notes
            if (not kinds or note["category_id"] in kinds) and (iscrowd is None or note["iscrowd"] == iscrowd)
        ]

    def getImgIds(self, imgIds: Any = (), catIds: Any = ()) -> list[int]:
        """The numbers of the pictures with objects of all these classes."""
        found = set(_listed(imgIds) or self.imgs)
        for kind in _listed(catIds):
            found &= set(self.catToImgs[kind])
        return list(found)

    def getCatIds(self, catNms: Any = ()) -> list[int]:
        """The numbers of the classes with these names."""
        names = set(_listed(catNms))
        return [number for number, kind in self.cats.items() if not names or kind["name"] in names]

    def loadAnns(self, ids: Any = ()) -> list[dict]:
        """The annotations with these numbers."""
        return [self.anns[i] for i in _listed(ids)]

    def loadImgs(self, ids: Any = ()) -> list[dict]:
        """The entries of the pictures with these numbers."""
        return [self.imgs[i] for i in _listed(ids)]

    def loadCats(self, ids: Any = ()) -> list[dict]:
        """The entries of the classes with these numbers."""
        return [self.cats[i] for i in _listed(ids)]

    def annToMask(self, ann: dict) -> np.ndarray:
        """The mask [H, W] of an object, of bytes."""
        image = self.imgs[ann["image_id"]]
        return segmentation_mask(ann["segmentation"], image["height"], image["width"])


def segmentation_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """A mask [H, W] from polygons, or from run lengths (a list, or COCO's packed string)."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        counts = counts if isinstance(counts, list) else _unpacked(counts)
        high, wide = segmentation["size"]
        values = np.arange(len(counts)) % 2
        flat = np.repeat(values, counts).astype(np.uint8)
        if flat.size != high * wide:
            raise ValueError(f"run lengths for {flat.size} pixels of a mask of {high} × {wide}")
        return flat.reshape(wide, high).T
    picture = pil().new("L", (width, height))
    draw = pil("ImageDraw").Draw(picture)
    for polygon in segmentation:
        if len(polygon) >= 6:
            draw.polygon(polygon, fill=1, outline=1)
    return np.array(picture)


def _unpacked(text: str | bytes) -> list[int]:
    """COCO's packed run lengths: five bits a character from '0' on, as steps from the last but one."""
    data = text.encode() if isinstance(text, str) else text
    counts: list[int] = []
    at = 0
    while at < len(data):
        value = shift = 0
        while True:
            part = data[at] - 48
            value |= (part & 31) << shift
            shift += 5
            at += 1
            if not part & 32 or at == len(data):
                break
        if part & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    if min(counts, default=0) < 0:
        raise ValueError("packed run lengths are damaged: one of them is negative")
    return counts


class CocoDetection(VisionDataset):
    """Pictures with lists of annotations.

    Parameters
    ----------
    root : the folder with the pictures.
    annFile : the annotation file (JSON).
    """

    def __init__(
        self,
        root: str | os.PathLike,
        annFile: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        transforms: Callable | None = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.coco = CocoIndex(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id: int) -> Any:
        return pil_loader(os.path.join(self.root, self.coco.loadImgs(id)[0]["file_name"]))

    def _load_target(self, id: int) -> list[Any]:
        return self.coco.loadAnns(self.coco.getAnnIds(id))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        id = self.ids[index]
        image, target = self._load_image(id), self._load_target(id)
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Pictures with lists of captions."""

    def _load_target(self, id: int) -> list[str]:
        return [note["caption"] for note in super()._load_target(id)]
