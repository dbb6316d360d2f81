"""Data sets of optical flow: where each pixel of a picture is in the next one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from ._flow_files import read_flo, read_kitti_flow, read_pfm
from .folder import default_loader
from .utils import verify_str_arg
from .vision import VisionDataset

__all__ = ["HD1K", "FlyingChairs", "FlyingThings3D", "KittiFlow", "Sintel"]

_MISSING = "Please make sure the directory structure is correct."


class FlowDataset(VisionDataset):
    """Base: pairs of pictures with a flow [2, H, W], None in test parts.

    Where the files say at which pixels the flow is known, a mask [H, W] follows. `transforms` take and give
    both pictures, the flow and the mask (or None).
    """

    _has_builtin_flow_mask = False

    def __init__(
        self,
        root: str | os.PathLike,
        transforms: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root)
        self.transforms = transforms
        self._image_list: list[list[str]] = []
        self._flow_list: list[str] = []
        self._loader = loader

    def _add(self, images: list[str], flows: list[str] | None = None) -> None:
        """Neighbours in a row of pictures, with the flow from each to the next."""
        self._image_list += [list(pair) for pair in itertools.pairwise(images)]
        if flows is not None:
            self._flow_list += flows[: len(images) - 1]

    def _read_flow(self, path: str) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        first, second = (self._loader(path) for path in self._image_list[index])
        flow = mask = None
        if self._flow_list:
            flow = self._read_flow(self._flow_list[index])
            if self._has_builtin_flow_mask:
                flow, mask = flow
        if self.transforms is not None:
            first, second, flow, mask = self.transforms(first, second, flow, mask)
        if self._has_builtin_flow_mask or mask is not None:
            return first, second, flow, mask
        return first, second, flow

    def __len__(self) -> int:
        return len(self._image_list)


class Sintel(FlowDataset):
    """Scenes of an animated film. sintel.is.tue.mpg.de

    `split` is 'train' or 'test', `pass_name` 'clean', 'final' or 'both'.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        pass_name: str = "clean",
        transforms: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        folder = Path(self.root) / "Sintel"
        part = folder / ("training" if split == "train" else "test")
        for name in ("clean", "final") if pass_name == "both" else (pass_name,):
            for scene in sorted(os.listdir(part / name)):
                flows = sorted(glob(str(folder / "training/flow" / scene / "*.flo")))
                images = sorted(glob(str(part / name / scene / "*.png")))
                self._add(images, flows if split == "train" else None)

    def _read_flow(self, path: str) -> np.ndarray:
        return read_flo(path)


class KittiFlow(FlowDataset):
    """Streets seen from a car, of 2015; `split` is 'train' or 'test'. cvlibs.net/datasets/kitti"""

    _has_builtin_flow_mask = True

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transforms: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root) / "KittiFlow" / f"{split}ing"
        first, second = (sorted(glob(str(folder / "image_2" / f"*_{n}.png"))) for n in (10, 11))
        if not first or len(first) != len(second):
            raise FileNotFoundError(f"Could not find the Kitti flow images. {_MISSING}")
        self._image_list = [list(pair) for pair in zip(first, second, strict=True)]
        if split == "train":
            self._flow_list = sorted(glob(str(folder / "flow_occ" / "*_10.png")))

    def _read_flow(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        return read_kitti_flow(path)


class FlyingChairs(FlowDataset):
    """Chairs that fly before photographs; `split` is 'train' or 'val'. lmb.informatik.uni-freiburg.de"""

    def __init__(
        self, root: str | os.PathLike, split: str = "train", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "val"))
        folder = Path(self.root) / "FlyingChairs"
        images, flows = (sorted(glob(str(folder / "data" / f"*.{end}"))) for end in ("ppm", "flo"))
        list_file = folder / "FlyingChairs_train_val.txt"
        if not list_file.is_file():
            raise FileNotFoundError(
                "The FlyingChairs_train_val.txt file was not found - please download it from the dataset "
                f"page (see docstring).\n{list_file}"
            )
        parts = [int(word) for word in list_file.read_text().split()]
        if len(images) != 2 * len(flows) or len(parts) < len(flows):
            raise FileNotFoundError(
                f"{len(flows)} flows need two pictures each and a line each in {list_file}"
            )
        for i, flow in enumerate(flows):
            if parts[i] == (1 if split == "train" else 2):
                self._flow_list.append(flow)
                self._image_list.append([images[2 * i], images[2 * i + 1]])

    def _read_flow(self, path: str) -> np.ndarray:
        return read_flo(path)


class FlyingThings3D(FlowDataset):
    """Things that fly, rendered. lmb.informatik.uni-freiburg.de

    Parameters
    ----------
    split : 'train' or 'test'.
    pass_name : 'clean', 'final' or 'both'.
    camera : 'left', 'right' or 'both'.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        pass_name: str = "clean",
        camera: str = "left",
        transforms: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        part = verify_str_arg(split, "split", ("train", "test")).upper()
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        verify_str_arg(camera, "camera", ("left", "right", "both"))
        folder = Path(self.root) / "FlyingThings3D"
        passes = ("clean", "final") if pass_name == "both" else (pass_name,)
        cameras = ("left", "right") if camera == "both" else (camera,)
        for name, side, way in itertools.product(passes, cameras, ("into_future", "into_past")):
            for scene in sorted(glob(str(folder / f"frames_{name}pass" / part / "*/*"))):
                images = sorted(glob(os.path.join(scene, side, "*.png")))
                place = os.path.join(folder, "optical_flow", part, *scene.split(os.sep)[-2:], way, side)
                flows = sorted(glob(os.path.join(place, "*.pfm")))
                if way == "into_past":  # the flow of a picture leads to the one before
                    images, flows = images[::-1], flows[::-1]
                self._add(images, flows)
        if not self._image_list:
            raise FileNotFoundError(f"Could not find the FlyingThings3D flow images. {_MISSING}")

    def _read_flow(self, path: str) -> np.ndarray:
        return read_pfm(path)


class HD1K(FlowDataset):
    """Streets in high resolution; `split` is 'train' or 'test'. hci-benchmark.iwr.uni-heidelberg.de"""

    _has_builtin_flow_mask = True

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        transforms: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root) / "hd1k"
        if split == "train":
            for number in range(36):  # sequences
                name = f"{number:06d}_*.png"
                flows = sorted(glob(str(folder / "hd1k_flow_gt/flow_occ" / name)))
                self._add(sorted(glob(str(folder / "hd1k_input/image_2" / name)))[: len(flows)], flows)
        else:
            first, second = (sorted(glob(str(folder / f"hd1k_challenge/image_2/*{n}.png"))) for n in (10, 11))
            self._image_list = [list(pair) for pair in zip(first, second, strict=True)]
        if not self._image_list:
            raise FileNotFoundError(f"Could not find the HD1K images. {_MISSING}")

    def _read_flow(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        return read_kitti_flow(path)
