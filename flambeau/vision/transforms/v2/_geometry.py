"""Transforms that move pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil
from flambeau.vision.ops import box_iou

from .. import _draws
from .. import _geometry as v1
from ..functional import InterpolationMode, padding_sides, perspective_coefficients
from . import functional as F
from ._transform import Filled, RandomApplyTransform, Transform
from ._utils import get_bounding_boxes, has_all, has_any, query_size


class RandomHorizontalFlip(RandomApplyTransform):
    """With probability p, left and right exchanged."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.horizontal_flip, inpt)


class RandomVerticalFlip(RandomApplyTransform):
    """With probability p, top and bottom exchanged."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.vertical_flip, inpt)


class Resize(Transform):
    """To (height, width), or the shorter side to one number, or (None) the longer side to `max_size`."""

    def __init__(
        self,
        size: int | Sequence[int] | None,
        interpolation: InterpolationMode | str | int = "bilinear",
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if isinstance(size, int):
            size = [size]
        elif isinstance(size, Sequence) and len(size) in (1, 2):
            size = list(size)
        elif size is None:
            if not isinstance(max_size, int):
                raise ValueError(
                    f"max_size must be an integer when size is None, but got {max_size} instead."
                )
        else:
            raise ValueError(
                f"size can be an integer, a sequence of one or two integers, or None, but got {size} instead."
            )
        self.size = size
        self.interpolation = interpolation
        self.max_size, self.antialias = max_size, antialias

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.resize,
            inpt,
            self.size,
            interpolation=self.interpolation,
            max_size=self.max_size,
            antialias=self.antialias,
        )


class CenterCrop(Transform):
    """The middle."""

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _draws.two(size)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.center_crop, inpt, output_size=self.size)


class RandomResizedCrop(Transform):
    """A part of random area and shape, resized."""

    get_params = staticmethod(v1.RandomResizedCrop.get_params)

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | str | int = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = _draws.two(size)
        if not isinstance(scale, Sequence) or len(scale) != 2:
            raise TypeError("Scale should be a sequence of two floats.")
        if not isinstance(ratio, Sequence) or len(ratio) != 2:
            raise TypeError("Ratio should be a sequence of two floats.")
        self.scale, self.ratio = scale, ratio
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        box = _draws.resized_crop_box(*query_size(flat_inputs), self.scale, self.ratio)
        return dict(zip(("top", "left", "height", "width"), box, strict=True))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        part = self._call_kernel(F.crop, inpt, **params)
        return self._call_kernel(
            F.resize, part, self.size, interpolation=self.interpolation, antialias=self.antialias
        )


class FiveCrop(Transform):
    """The four corners and the middle of each picture, as a tuple."""

    _transformed_types = (F.is_pure_tensor, tv_tensors.Image, tv_tensors.Video, is_pil)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _draws.two(size)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if has_any(flat_inputs, tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints):
            raise TypeError(f"BoundingBoxes'es and Mask's are not supported by {type(self).__name__}()")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.five_crop, inpt, self.size)


class TenCrop(FiveCrop):
    """The five crops and those of the flipped picture, as a tuple."""

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.ten_crop, inpt, self.size, vertical_flip=self.vertical_flip)


_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


class Pad(Filled, Transform):
    """A border."""

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if padding_mode not in _PADDING_MODES:
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        padding_sides(padding)  # raises an error for anything that says nothing about sides
        self.padding = padding if isinstance(padding, int) else list(padding)
        self._set_fill(fill)
        self.padding_mode = padding_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.pad, inpt, padding=self.padding, fill=self._fill_for(inpt), padding_mode=self.padding_mode
        )


class RandomZoomOut(Filled, RandomApplyTransform):
    """With probability p, a border of random width: the picture becomes a part of a larger one."""

    def __init__(self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5) -> None:
        super().__init__(p=p)
        self._set_fill(fill)
        if not isinstance(side_range, Sequence) or len(side_range) != 2:
            raise TypeError("side_range should be a sequence of length 2.")
        self.side_range = side_range
        if side_range[0] < 1.0 or side_range[0] > side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        factor = self.side_range[0] + fb.rand(1) * (self.side_range[1] - self.side_range[0])
        wide, high = int(width * factor), int(height * factor)
        place = fb.rand(2)
        left, top = int((wide - width) * place[0]), int((high - height) * place[1])
        return {"padding": [left, top, wide - (left + width), high - (top + height)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.pad, inpt, **params, fill=self._fill_for(inpt))


class RandomRotation(Filled, Transform):
    """Turn by a random angle."""

    get_params = staticmethod(v1.RandomRotation.get_params)

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | str | int = "nearest",
        expand: bool = False,
        center: list[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _draws.angles(degrees, "degrees")
        self.interpolation = interpolation
        self.expand = expand
        self._set_fill(fill)
        self.center = center

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"angle": _draws.uniform(*self.degrees)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.rotate,
            inpt,
            **params,
            interpolation=self.interpolation,
            expand=self.expand,
            center=None if self.expand else self.center,
            fill=self._fill_for(inpt),
        )


class RandomAffine(Filled, Transform):
    """Turn, move, scale and shear at random."""

    get_params = staticmethod(v1.RandomAffine.get_params)

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | str | int = "nearest",
        fill: Any = 0,
        center: list[float] | None = None,
    ) -> None:
        super().__init__()
        ranges = _draws.affine_ranges(degrees, translate, scale, shear)
        self.degrees, self.translate, self.scale, self.shear = ranges
        self.interpolation = interpolation
        self._set_fill(fill)
        self.center = center

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        drawn = _draws.affine_params(self.degrees, self.translate, self.scale, self.shear, (width, height))
        return dict(zip(("angle", "translate", "scale", "shear"), drawn, strict=True))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.affine,
            inpt,
            **params,
            interpolation=self.interpolation,
            fill=self._fill_for(inpt),
            center=self.center,
        )


class RandomCrop(Filled, Transform):
    """A random part, of the picture with a border if wanted."""

    get_params = staticmethod(v1.RandomCrop.get_params)

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
        self.padding = None if padding is None else list(padding_sides(padding))
        self.pad_if_needed = pad_if_needed
        self._set_fill(fill)
        if padding_mode not in _PADDING_MODES:
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        self.padding_mode = padding_mode

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        high, wide = self.size
        if self.pad_if_needed:
            missing = max(high - (height + top + bottom), 0)
            top, bottom = top + missing, bottom + missing
            missing = max(wide - (width + left + right), 0)
            left, right = left + missing, right + missing
        height, width = height + top + bottom, width + left + right
        if height < high or width < wide:
            raise ValueError(
                f"Required crop size {(high, wide)} is larger than "
                f"{'padded ' if self.padding is not None else ''}input image size {(height, width)}."
            )
        first = int(fb.randint(0, height - high + 1, size=())) if height > high else 0
        across = int(fb.randint(0, width - wide + 1, size=())) if width > wide else 0
        return {
            "padding": [left, top, right, bottom] if any((left, top, right, bottom)) else None,
            "box": (first, across, high, wide) if (height, width) != (high, wide) else None,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["padding"] is not None:
            fill = self._fill_for(inpt)
            inpt = self._call_kernel(
                F.pad, inpt, padding=params["padding"], fill=fill, padding_mode=self.padding_mode
            )
        if params["box"] is not None:
            inpt = self._call_kernel(F.crop, inpt, *params["box"])
        return inpt


class RandomPerspective(Filled, RandomApplyTransform):
    """With probability p, seen from a random direction."""

    get_params = staticmethod(v1.RandomPerspective.get_params)

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode | str | int = "bilinear",
        fill: Any = 0,
    ) -> None:
        super().__init__(p=p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError("Argument distortion_scale value should be between 0 and 1")
        self.distortion_scale = distortion_scale
        self.interpolation = interpolation
        self._set_fill(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        points = _draws.perspective_points(width, height, self.distortion_scale)
        return {"coefficients": perspective_coefficients(*points)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.perspective,
            inpt,
            startpoints=None,
            endpoints=None,
            fill=self._fill_for(inpt),
            interpolation=self.interpolation,
            **params,
        )


class ElasticTransform(Filled, Transform):
    """Every pixel moved a little, neighbours alike: `alpha` says how far, `sigma` how smoothly."""

    get_params = staticmethod(v1.ElasticTransform.get_params)

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode | str | int = "bilinear",
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _draws.alpha_and_sigma(alpha, "alpha")
        self.sigma = _draws.alpha_and_sigma(sigma, "sigma")
        self.interpolation = interpolation
        self._set_fill(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        size = list(query_size(flat_inputs))
        return {"displacement": _draws.elastic_displacement(self.alpha, self.sigma, size)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.elastic, inpt, **params, fill=self._fill_for(inpt), interpolation=self.interpolation
        )


class RandomIoUCrop(Transform):
    """A random part that some boxes overlap well enough. arXiv:1512.02325

    Boxes whose middles it does not hold become empty: put `SanitizeBoundingBoxes` behind it.
    """

    def __init__(
        self,
        min_scale: float = 0.3,
        max_scale: float = 1.0,
        min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0,
        sampler_options: list[float] | None = None,
        trials: int = 40,
    ) -> None:
        super().__init__()
        self.min_scale, self.max_scale = min_scale, max_scale
        self.min_aspect_ratio, self.max_aspect_ratio = min_aspect_ratio, max_aspect_ratio
        self.options = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        pictures = (F.is_pure_tensor, tv_tensors.Image, tv_tensors.Video, is_pil)
        if not (has_all(flat_inputs, tv_tensors.BoundingBoxes) and has_any(flat_inputs, *pictures)):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images "
                "and bounding boxes. Sample can also contain masks."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        boxes = get_bounding_boxes(flat_inputs)
        corners = F.convert_bounding_box_format(
            boxes.as_subclass(fb.Tensor), boxes.format, tv_tensors.BoundingBoxFormat.XYXY
        )
        x, y = 0.5 * (corners[..., 0] + corners[..., 2]), 0.5 * (corners[..., 1] + corners[..., 3])
        while True:
            wanted = self.options[int(fb.randint(low=0, high=len(self.options), size=(1,)))]
            if wanted >= 1.0:  # the whole picture
                return {}
            for _ in range(self.trials):
                size = self.min_scale + (self.max_scale - self.min_scale) * fb.rand(2)
                wide, high = int(width * size[0]), int(height * size[1])
                if high == 0 or not self.min_aspect_ratio <= wide / high <= self.max_aspect_ratio:
                    continue
                place = fb.rand(2)
                left, top = int((width - wide) * place[0]), int((height - high) * place[1])
                right, bottom = left + wide, top + high
                if left == right or top == bottom:
                    continue
                within = (left < x) & (x < right) & (top < y) & (y < bottom)
                if not within.any():
                    continue
                part = fb.tensor([[left, top, right, bottom]], dtype=corners.dtype, device=corners.device)
                if box_iou(corners[within], part).max() < wanted:
                    continue
                return {"box": (top, left, high, wide), "within": within}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params:
            return inpt
        output = self._call_kernel(F.crop, inpt, *params["box"])
        if isinstance(output, tv_tensors.BoundingBoxes):
            plain = output.as_subclass(fb.Tensor).clone()
            plain[~params["within"]] = 0
            output = tv_tensors.wrap(plain, like=output)
        return output


class _RandomSize(Transform):
    """Base of transforms that resize to a random size."""

    interpolation: InterpolationMode | str | int
    antialias: bool | None

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.resize, inpt, size=params["size"], interpolation=self.interpolation, antialias=self.antialias
        )


class ScaleJitter(_RandomSize):
    """To a random multiple of the largest size that fits into `target_size`. arXiv:2012.07177"""

    def __init__(
        self,
        target_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.1, 2.0),
        interpolation: InterpolationMode | str | int = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.target_size, self.scale_range = target_size, scale_range
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        scale = self.scale_range[0] + fb.rand(1) * (self.scale_range[1] - self.scale_range[0])
        factor = min(self.target_size[1] / height, self.target_size[0] / width) * scale
        return {"size": (int(height * factor), int(width * factor))}


class RandomShortestSize(_RandomSize):
    """The shorter side to a random one of `min_size`, the longer one to at most `max_size`."""

    def __init__(
        self,
        min_size: list[int] | tuple[int] | int,
        max_size: int | None = None,
        interpolation: InterpolationMode | str | int = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        factor = self.min_size[int(fb.randint(len(self.min_size), ()))] / min(height, width)
        if self.max_size is not None:
            factor = min(factor, self.max_size / max(height, width))
        return {"size": (int(height * factor), int(width * factor))}


class RandomResize(_RandomSize):
    """The shorter side to a random number from `min_size` to before `max_size`."""

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: InterpolationMode | str | int = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size, self.max_size = min_size, max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"size": [int(fb.randint(self.min_size, self.max_size, ()))]}
