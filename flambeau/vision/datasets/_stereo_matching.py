"""Data sets of stereo pictures: how far each pixel of the left one lies from its place in the right one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from .._pil import pil
from ._flow_files import read_pfm
from .folder import pil_loader
from .utils import verify_str_arg
from .vision import VisionDataset

__all__ = [
    "CREStereo",
    "CarlaStereo",
    "ETH3DStereo",
    "FallingThingsStereo",
    "InStereo2k",
    "Kitti2012Stereo",
    "Kitti2015Stereo",
    "SceneFlowStereo",
    "SintelStereo",
]

Pairs = list[tuple[str, str | None]]


def _grey(path: str) -> np.ndarray:
    with pil().open(path) as picture:
        return np.asarray(picture).astype(np.float32)


class StereoMatchingDataset(VisionDataset):
    """Base: left and right picture, disparity [1, H, W] of the left one (or None), and maybe its mask [H, W].

    `transforms` take and give pairs: pictures, disparities and masks of the left and the right.
    """

    _has_built_in_disparity_mask = False

    def __init__(self, root: str | os.PathLike, transforms: Callable | None = None) -> None:
        super().__init__(root)
        self.transforms = transforms
        self._images: list[tuple[str, str]] = []
        self._disparities: Pairs = []

    def _found(self, left: str | Path, right: str | Path | None) -> Pairs:
        """Files that match two patterns, in pairs."""
        lefts = sorted(glob(str(left)))
        if not lefts:
            raise FileNotFoundError(f"Could not find any files matching the patterns: {left}")
        if right is None:
            return [(path, None) for path in lefts]
        rights = sorted(glob(str(right)))
        if len(lefts) != len(rights):
            raise ValueError(
                f"Found {len(lefts)} left files but {len(rights)} right files using:\n left pattern: {left}\n"
                f"right pattern: {right}\n"
            )
        return list(zip(lefts, rights, strict=True))

    def _add(self, images: Pairs, disparities: Pairs | None = None) -> None:
        self._images += images
        self._disparities += [(None, None)] * len(images) if disparities is None else disparities

    def _read_disparity(self, path: str) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The disparity [1, H, W] in a file and where it is known [H, W], if the file says so."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        images = tuple(pil_loader(path) for path in self._images[index])
        read = [
            (None, None) if path is None else self._read_disparity(path) for path in self._disparities[index]
        ]
        disparities, masks = zip(*read, strict=True)
        if self.transforms is not None:
            images, disparities, masks = self.transforms(images, disparities, masks)
        if self._has_built_in_disparity_mask or masks[0] is not None:
            return (*images, disparities[0], masks[0])
        return (*images, disparities[0])

    def __len__(self) -> int:
        return len(self._images)


class CarlaStereo(StereoMatchingDataset):
    """Streets of the simulator CARLA in high resolution. github.com/gengshan-y/high-res-stereo"""

    def __init__(self, root: str | os.PathLike, transforms: Callable | None = None) -> None:
        super().__init__(root, transforms)
        scenes = Path(self.root) / "carla-highres" / "trainingF" / "*"
        self._add(
            self._found(scenes / "im0.png", scenes / "im1.png"),
            self._found(scenes / "disp0GT.pfm", scenes / "disp1GT.pfm"),
        )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        return np.abs(read_pfm(path, 1)), None


class _KittiStereo(StereoMatchingDataset):
    """Base: disparities in PNG files, 256 to a pixel, 0 where unknown."""

    _has_built_in_disparity_mask = True
    _FOLDER: str
    _CAMERAS: tuple[str, str]
    _DISPARITIES: tuple[str, str | None]

    def __init__(
        self, root: str | os.PathLike, split: str = "train", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root) / self._FOLDER / f"{split}ing"
        left, right = self._DISPARITIES
        self._add(
            self._found(*(folder / camera / "*_10.png" for camera in self._CAMERAS)),
            self._found(folder / left / "*.png", right and folder / right / "*.png")
            if split == "train"
            else None,
        )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        return _grey(path)[None] / 256, None


class Kitti2012Stereo(_KittiStereo):
    """Streets seen from a car, of 2012; `split` is 'train' or 'test'. cvlibs.net/datasets/kitti"""

    _FOLDER = "Kitti2012"
    _CAMERAS = ("colored_0", "colored_1")
    _DISPARITIES = ("disp_noc", None)


class Kitti2015Stereo(_KittiStereo):
    """Streets seen from a car, of 2015; `split` is 'train' or 'test'. cvlibs.net/datasets/kitti"""

    _FOLDER = "Kitti2015"
    _CAMERAS = ("image_2", "image_3")
    _DISPARITIES = ("disp_occ_0", "disp_occ_1")


class CREStereo(StereoMatchingDataset):
    """Rendered scenes of four kinds. github.com/megvii-research/CREStereo"""

    _has_built_in_disparity_mask = True

    def __init__(self, root: str | os.PathLike, transforms: Callable | None = None) -> None:
        super().__init__(root, transforms)
        for kind in ("shapenet", "reflective", "tree", "hole"):
            folder = Path(self.root) / "CREStereo" / kind
            self._add(
                self._found(folder / "*_left.jpg", folder / "*_right.jpg"),
                self._found(folder / "*_left.disp.png", folder / "*_right.disp.png"),
            )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        return _grey(path)[None] / 32, None


class FallingThingsStereo(StereoMatchingDataset):
    """Falling household things; `variant` is 'single', 'mixed' or 'both'. arXiv:1804.06534"""

    def __init__(
        self, root: str | os.PathLike, variant: str = "single", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(variant, "variant", ("single", "mixed", "both"))
        for name, depth in (("single", "*/*"), ("mixed", "*")):
            if variant in (name, "both"):
                scenes = Path(self.root) / "FallingThings" / name / depth
                self._add(
                    self._found(scenes / "*.left.jpg", scenes / "*.right.jpg"),
                    self._found(scenes / "*.left.depth.png", scenes / "*.right.depth.png"),
                )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        """The files hold depths; the cameras are 6 units apart, of which 100 are a unit of depth."""
        depth = _grey(path)
        with open(os.path.join(os.path.dirname(path), "_camera_settings.json")) as file:
            focal = json.load(file)["camera_settings"][0]["intrinsic_settings"]["fx"]
        return (6 * 100 * focal / depth)[None], None


class SceneFlowStereo(StereoMatchingDataset):
    """Rendered scenes. lmb.informatik.uni-freiburg.de

    `variant` is 'FlyingThings3D', 'Driving' or 'Monkaa'; `pass_name` is 'clean', 'final' or 'both'.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        variant: str = "FlyingThings3D",
        pass_name: str = "clean",
        transforms: Callable | None = None,
    ) -> None:
        super().__init__(root, transforms)
        inside = {"Monkaa": ("*",), "FlyingThings3D": ("*", "*", "*"), "Driving": ("*", "*", "*")}
        verify_str_arg(variant, "variant", tuple(inside))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        folder = Path(self.root) / "SceneFlow" / variant
        for name in ("clean", "final") if pass_name == "both" else (pass_name,):
            images = folder.joinpath(f"frames_{name}pass", *inside[variant])
            maps = folder.joinpath("disparity", *inside[variant])
            self._add(
                self._found(images / "left/*.png", images / "right/*.png"),
                self._found(maps / "left/*.pfm", maps / "right/*.pfm"),
            )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        return np.abs(read_pfm(path, 1)), None


class SintelStereo(StereoMatchingDataset):
    """Scenes of an animated film; `pass_name` is 'clean', 'final' or 'both'. sintel.is.tue.mpg.de"""

    _has_built_in_disparity_mask = True

    def __init__(
        self, root: str | os.PathLike, pass_name: str = "final", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(pass_name, "pass_name", ("final", "clean", "both"))
        folder = Path(self.root) / "Sintel" / "training"
        for name in ("final", "clean") if pass_name == "both" else (pass_name,):
            self._add(
                self._found(folder / f"{name}_left/*/*.png", folder / f"{name}_right/*/*.png"),
                self._found(folder / "disparities/*/*.png", None),
            )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Three bytes a disparity; not known where the two other pictures mark it as hidden or outside."""
        red, green, blue = np.moveaxis(_grey(path), -1, 0)
        scene, name = Path(path).parts[-2:]
        folder = Path(path).parents[2]
        hidden, outside = (_grey(str(folder / kind / scene / name)) for kind in ("occlusions", "outofframe"))
        return (red * 4 + green / 2**6 + blue / 2**14)[None], (hidden == 0) & (outside == 0)


class InStereo2k(StereoMatchingDataset):
    """Rooms, measured with light; `split` is 'train' or 'test'. github.com/YuhuaXu/StereoDataset"""

    def __init__(
        self, root: str | os.PathLike, split: str = "train", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        scenes = Path(self.root) / "InStereo2k" / verify_str_arg(split, "split", ("train", "test")) / "*"
        self._add(
            self._found(scenes / "left.png", scenes / "right.png"),
            self._found(scenes / "left_disp.png", scenes / "right_disp.png"),
        )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, None]:
        return _grey(path)[None] / 1024, None


class ETH3DStereo(StereoMatchingDataset):
    """Rooms and gardens in grey; `split` is 'train' or 'test'. eth3d.net"""

    _has_built_in_disparity_mask = True

    def __init__(
        self, root: str | os.PathLike, split: str = "train", transforms: Callable | None = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root) / "ETH3D"
        scenes = folder / f"two_view_{split}ing" / "*"
        truth = folder / "two_view_training_gt" / "*" / "disp0GT.pfm"
        self._add(
            self._found(scenes / "im0.png", scenes / "im1.png"),
            self._found(truth, None) if split == "train" else None,
        )

    def _read_disparity(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        mask = _grey(os.path.join(os.path.dirname(path), "mask0nocc.png"))
        return np.abs(read_pfm(path, 1)), mask.astype(bool)
