"""Data sets whose samples know what they hold, for the second generation of transforms."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import flambeau as fb

from .. import tv_tensors
from ..ops import box_convert
from ..transforms.functional import pil_to_tensor
from ._listed import ListedImages
from .caltech import Caltech101, Caltech256
from .celeba import CelebA
from .cifar import CIFAR10
from .cityscapes import Cityscapes
from .coco import CocoCaptions, CocoDetection
from .fakedata import FakeData
from .folder import DatasetFolder
from .kitti import Kitti
from .mnist import MNIST
from .omniglot import Omniglot
from .oxford_iiit_pet import OxfordIIITPet
from .semeion import SEMEION
from .stl10 import STL10
from .svhn import SVHN
from .usps import USPS
from .vision import VisionDataset
from .voc import VOCDetection, VOCSegmentation

VOC_CATEGORIES = (
    "__background__ aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()

Wrapper = Callable[[int, tuple[Any, Any]], tuple[Any, Any]]


def _keys(wanted: Any, available: set[str], default: set[str]) -> set[str]:
    if wanted is None:
        return default
    if wanted == "all":
        return available
    unknown = sorted(set(wanted) - available)
    if unknown:
        raise ValueError(f"Target keys {unknown} are not available: choose of {sorted(available)}")
    return set(wanted)


def _plain(dataset: Any, target_keys: Any) -> Wrapper:
    if target_keys is not None:
        raise ValueError(f"{type(dataset).__name__} has no target keys to choose")
    return lambda index, sample: sample


def _segmentation(dataset: Any, target_keys: Any) -> Wrapper:
    return lambda index, sample: (sample[0], tv_tensors.Mask(sample[1]))


def _celeba(dataset: CelebA, target_keys: Any) -> Wrapper:
    if any(kind in ("attr", "landmarks") for kind in dataset.target_type) and target_keys is not None:
        raise ValueError("CelebA has no target keys to choose: use its argument target_type")

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, target = sample
        kinds = dataset.target_type
        parts = list(target) if len(kinds) > 1 else [target]
        size = (image.height, image.width)
        named = {
            kind: tv_tensors.BoundingBoxes(part, format="XYWH", canvas_size=size) if kind == "bbox" else part
            for kind, part in zip(kinds, parts, strict=True)
        }
        return image, named if len(kinds) > 1 else named[kinds[0]]

    return wrapped


KITTI_CATEGORIES = ("Car Van Truck Pedestrian Person_sitting Cyclist Tram Misc DontCare").split()


def _kitti(dataset: Kitti, target_keys: Any) -> Wrapper:
    fields = {"type", "truncated", "occluded", "alpha", "bbox", "dimensions", "location", "rotation_y"}
    keys = _keys(target_keys, fields | {"boxes", "labels"}, {"boxes", "labels"})

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, objects = sample
        if objects is None:
            return image, None
        out: dict[str, Any] = {key: [thing[key] for thing in objects] for key in fields & keys}
        if "boxes" in keys:
            rows = fb.tensor([thing["bbox"] for thing in objects]).reshape(-1, 4)
            size = (image.height, image.width)
            out["boxes"] = tv_tensors.BoundingBoxes(rows, format="XYXY", canvas_size=size)
        if "labels" in keys:
            numbers = [KITTI_CATEGORIES.index(thing["type"]) for thing in objects]
            out["labels"] = fb.tensor(numbers, dtype=fb.int64)
        return image, out

    return wrapped


def _cityscapes(dataset: Cityscapes, target_keys: Any) -> Wrapper:
    if any(kind in ("polygon", "color") for kind in dataset.target_type):
        raise ValueError("`Cityscapes` can only be wrapped with target types 'instance' and 'semantic'")

    def instances(target: Any) -> dict[str, Any]:
        """Masks and classes: a value from 1000 on is a class times 1000 and a number."""
        plain = pil_to_tensor(target)[0].to(fb.int64)
        numbers = [n for n in fb.unique(plain).tolist() if n >= 1000]
        masks = [plain == n for n in numbers]
        stacked = fb.stack(masks) if masks else fb.zeros(0, *plain.shape, dtype=fb.bool)
        return {
            "masks": tv_tensors.Mask(stacked),
            "labels": fb.tensor([n // 1000 for n in numbers], dtype=fb.int64),
        }

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, target = sample
        kinds = dataset.target_type
        parts = list(target) if len(kinds) > 1 else [target]
        done = [
            instances(part) if kind == "instance" else tv_tensors.Mask(pil_to_tensor(part))
            for kind, part in zip(kinds, parts, strict=True)
        ]
        return image, done[0] if len(done) == 1 else done

    return wrapped


def _pet(dataset: OxfordIIITPet, target_keys: Any) -> Wrapper:
    kinds = dataset._target_types

    def as_kind(kind: str, target: Any) -> Any:
        return tv_tensors.Mask(target) if kind == "segmentation" else target

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, target = sample
        if len(kinds) == 1:
            return image, as_kind(kinds[0], target)
        return image, tuple(as_kind(kind, part) for kind, part in zip(kinds, target or (), strict=True))

    return wrapped


def _voc(dataset: VOCDetection, target_keys: Any) -> Wrapper:
    keys = _keys(target_keys, {"annotation", "boxes", "labels"}, {"boxes", "labels"})

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, annotation = sample
        objects = annotation["annotation"]["object"]
        out = {"annotation": annotation["annotation"]} if "annotation" in keys else {}
        if "boxes" in keys:
            sides = ("xmin", "ymin", "xmax", "ymax")
            rows = [[int(float(thing["bndbox"][side])) for side in sides] for thing in objects]
            size = (image.height, image.width)
            out["boxes"] = tv_tensors.BoundingBoxes(
                fb.tensor(rows, dtype=fb.int64).reshape(-1, 4), format="XYXY", canvas_size=size
            )
        if "labels" in keys:
            out["labels"] = fb.tensor(
                [VOC_CATEGORIES.index(thing["name"]) for thing in objects], dtype=fb.int64
            )
        return image, out

    return wrapped


def _coco(dataset: CocoDetection, target_keys: Any) -> Wrapper:
    known = {"segmentation", "area", "iscrowd", "image_id", "bbox", "category_id"}
    keys = _keys(target_keys, {*known, "boxes", "masks", "labels"}, {"image_id", "boxes", "labels"})

    def wrapped(index: int, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        image, notes = sample
        size = (image.height, image.width)
        number = dataset.ids[index]
        if not notes:
            return image, {"image_id": number} if "image_id" in keys else {}
        out: dict[str, Any] = {"image_id": number} if "image_id" in keys else {}
        for key in known - {"image_id"}:
            if key in keys:
                out[key] = [note[key] for note in notes]
        if "boxes" in keys:
            rows = fb.tensor([[float(v) for v in note["bbox"]] for note in notes]).reshape(-1, 4)
            out["boxes"] = tv_tensors.BoundingBoxes(
                box_convert(rows, "xywh", "xyxy"), format="XYXY", canvas_size=size
            )
        if "masks" in keys:
            masks = [fb.from_numpy(dataset.coco.annToMask(note).copy()) for note in notes]
            out["masks"] = tv_tensors.Mask(fb.stack(masks))
        if "labels" in keys:
            out["labels"] = fb.tensor([note["category_id"] for note in notes], dtype=fb.int64)
        return image, out

    return wrapped


_WRAPPERS: dict[type, Callable[[Any, Any], Wrapper]] = {
    VOCSegmentation: _segmentation,
    VOCDetection: _voc,
    CocoCaptions: _plain,
    CocoDetection: _coco,
    CelebA: _celeba,
    Cityscapes: _cityscapes,
    Kitti: _kitti,
    OxfordIIITPet: _pet,
    **dict.fromkeys(
        (MNIST, CIFAR10, SVHN, STL10, USPS, SEMEION, FakeData, DatasetFolder, ListedImages, Omniglot), _plain
    ),
    **dict.fromkeys((Caltech101, Caltech256), _plain),
}


class WrappedDataset(VisionDataset):
    """A data set whose samples are turned into tv_tensors before its own transforms see them."""

    def __init__(self, dataset: VisionDataset, wrapper: Wrapper, target_keys: Any) -> None:
        self._dataset, self._wrapper, self._target_keys = dataset, wrapper, target_keys
        self.transform, self.target_transform = dataset.transform, dataset.target_transform
        self.transforms = dataset.transforms
        dataset.transform = dataset.target_transform = dataset.transforms = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_dataset" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, index: int) -> Any:
        sample = self._wrapper(index, self._dataset[index])
        return sample if self.transforms is None else self.transforms(*sample)

    def __len__(self) -> int:
        return len(self._dataset)

    def extra_repr(self) -> str:
        return self._dataset.extra_repr()

    def __reduce__(self) -> tuple:  # its class is made for it, and is not found by name
        return _wrapped_again, (
            self._dataset,
            self._target_keys,
            (self.transform, self.target_transform, self.transforms),
        )


def _wrapped_again(dataset: VisionDataset, target_keys: Any, transforms: tuple) -> Any:
    wrapped = wrap_dataset_for_transforms_v2(dataset, target_keys)
    wrapped.transform, wrapped.target_transform, wrapped.transforms = transforms
    return wrapped


def wrap_dataset_for_transforms_v2(
    dataset: VisionDataset, target_keys: Collection[str] | str | None = None
) -> Any:
    """The data set with masks and boxes as tv_tensors, for the transforms of `flambeau.vision.transforms.v2`.

    `target_keys` chooses, for detection data sets, what the target dictionary has; 'all' for everything.
    """
    if not isinstance(dataset, VisionDataset):
        raise TypeError(
            "This wrapper is meant for subclasses of `torchvision.datasets.VisionDataset`, but got a "
            f"'{type(dataset).__name__}' instead.\n"
            "For an own data set, make the tv_tensors in its __getitem__."
        )
    if not (target_keys is None or target_keys == "all" or isinstance(target_keys, Collection)):
        raise ValueError(
            f"`target_keys` can be None, 'all', or a collection of strings, but got {target_keys}"
        )
    for kind in type(dataset).__mro__:
        if kind in _WRAPPERS:
            base = type(dataset)
            wrapped = type(f"Wrapped{base.__name__}", (WrappedDataset, base), {})
            return wrapped(dataset, _WRAPPERS[kind](dataset, target_keys), target_keys)
    raise TypeError(
        f"No wrapper exists for dataset class {type(dataset).__name__}.\n"
        "Make the tv_tensors in its transforms argument, or in a subclass."
    )
