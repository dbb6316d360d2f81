"""How pictures and films are prepared for networks with published weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from . import functional as F
from .functional import InterpolationMode

__all__ = [
    "ImageClassification",
    "ObjectDetection",
    "OpticalFlow",
    "SemanticSegmentation",
    "VideoClassification",
]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _as_tensor(img: Any) -> fb.Tensor:
    return img if isinstance(img, fb.Tensor) else F.pil_to_tensor(img)


class _Preset(nn.Module):
    """Shows its options line by line."""

    _shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        options = "".join(f"\n    {name}={getattr(self, name)}" for name in self._shown)
        return f"{self.__class__.__name__}({options}\n)" if options else f"{self.__class__.__name__}()"


class ObjectDetection(_Preset):
    """A picture as a tensor of floats in [0, 1]."""

    def forward(self, img: Any) -> fb.Tensor:
        return F.convert_image_dtype(_as_tensor(img), fb.float)


class ImageClassification(_Preset):
    """Resize, take the middle, scale to [0, 1], normalize. For a picture or a batch [..., C, H, W]."""

    _shown = ("crop_size", "resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Any) -> fb.Tensor:
        img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = _as_tensor(F.center_crop(img, self.crop_size))
        return F.normalize(F.convert_image_dtype(img, fb.float), mean=self.mean, std=self.std)


class VideoClassification(_Preset):
    """Frames [..., T, C, H, W] resized, cut, scaled and normalized, as [..., C, T, H, W]."""

    _shown = ("crop_size", "resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        crop_size: tuple[int, int],
        resize_size: tuple[int] | tuple[int, int],
        mean: tuple[float, ...] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, ...] = (0.22803, 0.22145, 0.216989),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        super().__init__()
        self.crop_size, self.resize_size = list(crop_size), list(resize_size)
        self.mean, self.std, self.interpolation = list(mean), list(std), interpolation

    def forward(self, vid: fb.Tensor) -> fb.Tensor:
        frames = vid.reshape(-1, *vid.shape[-3:])
        frames = F.resize(frames, self.resize_size, interpolation=self.interpolation, antialias=False)
        frames = F.convert_image_dtype(F.center_crop(frames, self.crop_size), fb.float)
        frames = F.normalize(frames, mean=self.mean, std=self.std)
        return frames.reshape(*vid.shape[:-2], *frames.shape[-2:]).transpose(-4, -3)


class SemanticSegmentation(_Preset):
    """Resize, scale to [0, 1], normalize."""

    _shown = ("resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Any) -> fb.Tensor:
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        return F.normalize(F.convert_image_dtype(_as_tensor(img), fb.float), mean=self.mean, std=self.std)


class OpticalFlow(_Preset):
    """Two pictures or batches scaled to [-1, 1]."""

    def forward(self, img1: Any, img2: Any) -> tuple[fb.Tensor, fb.Tensor]:
        pair = (F.convert_image_dtype(_as_tensor(img), fb.float) for img in (img1, img2))
        first, second = (F.normalize(img, mean=[0.5] * 3, std=[0.5] * 3).contiguous() for img in pair)
        return first, second
