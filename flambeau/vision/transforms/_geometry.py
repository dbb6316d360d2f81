"""Transforms that move pixels."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from . import _draws
from . import functional as F
from ._base import Shown
from .functional import InterpolationMode


class Resize(Shown):
    """To (height, width), or the shorter side to one number."""

    shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(
        self,
        size: int | Sequence[int] | None,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))

    def forward(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Shown):
    """The middle."""

    shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _draws.two(size)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class Pad(Shown):
    """A border."""

    shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate padding arg")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        F.padding_sides(padding)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class RandomCrop(Shown):
    """A random part; with `pad_if_needed` a picture that is too small gets a border first."""

    shown = ("size", "padding")

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = _draws.two(size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = (
            padding,
            pad_if_needed,
            fill,
            padding_mode,
        )

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        _, rows, columns = F.get_dimensions(img)
        height, width = output_size
        if rows < height or columns < width:
            raise ValueError(
                f"Required crop size {(height, width)} is larger than input image size {(rows, columns)}"
            )
        if (rows, columns) == (height, width):
            return 0, 0, rows, columns
        top = _draws.integer(0, rows - height + 1)
        return top, _draws.integer(0, columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, rows, columns = F.get_dimensions(img)
        if self.pad_if_needed and columns < self.size[1]:
            img = F.pad(img, [self.size[1] - columns, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and rows < self.size[0]:
            img = F.pad(img, [0, self.size[0] - rows], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class RandomHorizontalFlip(Shown):
    """With probability p, left and right exchanged."""

    shown = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if fb.rand(1) < self.p else img


class RandomVerticalFlip(RandomHorizontalFlip):
    """With probability p, top and bottom exchanged."""

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if fb.rand(1) < self.p else img


class RandomResizedCrop(Shown):
    """A part of random area and shape, resized. (The crop that Inception networks are trained with.)"""

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = _draws.two(size)
        if not isinstance(scale, Sequence):
            raise TypeError("Scale should be a sequence")
        if not isinstance(ratio, Sequence):
            raise TypeError("Ratio should be a sequence")
        self.scale, self.ratio, self.antialias = scale, ratio, antialias
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        _, rows, columns = F.get_dimensions(img)
        return _draws.resized_crop_box(rows, columns, scale, ratio)

    def forward(self, img: Any) -> Any:
        box = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *box, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(value, 4) for value in pair) for pair in (self.scale, self.ratio))
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class FiveCrop(Shown):
    """The four corners and the middle, as a tuple."""

    shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _draws.two(size)

    def forward(self, img: Any) -> tuple:
        return F.five_crop(img, self.size)


class TenCrop(Shown):
    """The five crops and those of the flipped picture, as a tuple."""

    shown = ("size", "vertical_flip")

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__()
        self.size, self.vertical_flip = _draws.two(size), vertical_flip

    def forward(self, img: Any) -> tuple:
        return F.ten_crop(img, self.size, self.vertical_flip)


class RandomRotation(Shown):
    """Turn by a random angle."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _draws.angles(degrees, "degrees")
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))
        self.expand, self.center, self.fill = expand, center, 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        return _draws.uniform(*degrees)

    def forward(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        text = f"{type(self).__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}"
        text += f", expand={self.expand}"
        if self.center is not None:
            text += f", center={self.center}"
        return text + f", fill={self.fill})"


class RandomAffine(Shown):
    """Turn, move, scale and shear at random."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        ranges = _draws.affine_ranges(degrees, translate, scale, shear)
        self.degrees, self.translate, self.scale, self.shear = ranges
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))
        self.fill, self.center = 0 if fill is None else fill, center

    @staticmethod
    def get_params(
        degrees: Any, translate: Any, scale_ranges: Any, shears: Any, img_size: Sequence[int]
    ) -> tuple:
        return _draws.affine_params(degrees, translate, scale_ranges, shears, img_size)

    def forward(self, img: Any) -> Any:
        size = F.get_image_size(img)
        params = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return F.affine(img, *params, interpolation=self.interpolation, fill=self.fill, center=self.center)

    def __repr__(self) -> str:
        text = f"{type(self).__name__}(degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                text += f", {name}={getattr(self, name)}"
        if self.interpolation != InterpolationMode.NEAREST:
            text += f", interpolation={self.interpolation.value}"
        for name, default in (("fill", 0), ("center", None)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + ")"


class RandomPerspective(Shown):
    """With probability p, seen from a random direction."""

    shown = ("p",)

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.p, self.distortion_scale, self.fill = p, distortion_scale, fill
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list, list]:
        return _draws.perspective_points(width, height, distortion_scale)

    def forward(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        if fb.rand(1) < self.p:
            starts, ends = self.get_params(width, height, self.distortion_scale)
            return F.perspective(img, starts, ends, self.interpolation, self.fill)
        return img


class ElasticTransform(Shown):
    """Every pixel moved a little, neighbours alike: `alpha` says how far, `sigma` how smoothly."""

    shown = ("alpha", "sigma", "interpolation", "fill")
    modes_in_full = True

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha, self.sigma = (
            _draws.alpha_and_sigma(alpha, "alpha"),
            _draws.alpha_and_sigma(sigma, "sigma"),
        )
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))
        self.fill = [float(fill)] if isinstance(fill, numbers.Number) else [float(part) for part in fill]

    @staticmethod
    def get_params(alpha: list[float], sigma: list[float], size: list[int]) -> fb.Tensor:
        return _draws.elastic_displacement(alpha, sigma, size)

    def forward(self, tensor: Any) -> Any:
        _, rows, columns = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [rows, columns])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)
