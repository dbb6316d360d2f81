"""Transforms of pictures, to be composed; random ones draw from the default generator as torchvision's do."""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import functional as F
from .functional import InterpolationMode, _two

_ONE_OR_TWO = "Please provide only two dimensions (h, w) for size."


def _uniform(low: float, high: float) -> float:
    return float(fb.empty(1).uniform_(float(low), float(high)).item())


def _integer(end: int) -> int:
    """A random integer from 0 to end - 1."""
    return int(fb.randint(0, end, size=(1,)).item())


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n".join(
            [type(self).__name__ + "(", *(f"    {transform}" for transform in self.transforms), ")"]
        )


class ToTensor:
    """A Pillow image or an array [H, W, C] of bytes becomes a float tensor [C, H, W] with values from 0 to
    1.
    """

    def __call__(self, pic: Any) -> fb.Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor(ToTensor):
    """A Pillow image becomes a tensor [C, H, W] of the same numbers."""

    def __call__(self, pic: Any) -> fb.Tensor:
        return F.pil_to_tensor(pic)


class ToPILImage:
    """A tensor [C, H, W] or an array [H, W, C] becomes a Pillow image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class ConvertImageDtype(nn.Module):
    """Another element type, scaled so that white stays white."""

    def __init__(self, dtype: fb.dtype) -> None:
        super().__init__()
        if not isinstance(dtype, fb.dtype):
            raise TypeError(f"Argument dtype should be of type torch.dtype, got {dtype}")
        self.dtype = dtype

    def forward(self, image: fb.Tensor) -> fb.Tensor:
        return F.convert_image_dtype(image, self.dtype)


class Lambda:
    """Any function."""

    def __init__(self, lambd: Callable) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Transform(nn.Module):
    """A transform whose repr shows some of its attributes, as ``name=value``."""

    shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        parts = []
        for name in self.shown:
            value = getattr(self, name)
            parts.append(f"{name}={value.value if isinstance(value, InterpolationMode) else value}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Normalize(_Transform):
    """(value - mean) / std, channel by channel."""

    shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)


class Resize(_Transform):
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


class CenterCrop(_Transform):
    """The middle."""

    shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _two(size, _ONE_OR_TWO)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class Pad(_Transform):
    """A border."""

    shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate padding arg")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        F._sides(padding)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class RandomTransforms:
    """Base of transforms that choose among others."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __repr__(self) -> str:
        return "\n".join(
            [type(self).__name__ + "(", *(f"    {transform}" for transform in self.transforms), ")"]
        )


class RandomApply(_Transform):
    """All of the transforms, or with probability 1 - p none."""

    def __init__(self, transforms: Sequence[Callable], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        if self.p < fb.rand(1):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}(", f"    p={self.p}", *(f"    {t}" for t in self.transforms), ")"]
        return "\n".join(lines)


class RandomOrder(RandomTransforms):
    """All of the transforms in random order."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(RandomTransforms):
    """One of the transforms, `p` saying how likely each is."""

    def __init__(self, transforms: Sequence[Callable], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class RandomCrop(_Transform):
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
        self.size = _two(size, _ONE_OR_TWO)
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
        top = _integer(rows - height + 1)
        return top, _integer(columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, rows, columns = F.get_dimensions(img)
        if self.pad_if_needed and columns < self.size[1]:
            img = F.pad(img, [self.size[1] - columns, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and rows < self.size[0]:
            img = F.pad(img, [0, self.size[0] - rows], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class RandomHorizontalFlip(_Transform):
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


class RandomResizedCrop(_Transform):
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
        self.size = _two(size, _ONE_OR_TWO)
        if not isinstance(scale, Sequence):
            raise TypeError("Scale should be a sequence")
        if not isinstance(ratio, Sequence):
            raise TypeError("Ratio should be a sequence")
        self.scale, self.ratio, self.antialias = scale, ratio, antialias
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        _, rows, columns = F.get_dimensions(img)
        log_ratio = fb.log(fb.tensor(ratio))
        for _ in range(10):
            area = rows * columns * _uniform(*scale)
            aspect = fb.exp(fb.empty(1).uniform_(log_ratio[0].item(), log_ratio[1].item())).item()
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= columns and 0 < height <= rows:
                top = _integer(rows - height + 1)
                return top, _integer(columns - width + 1), height, width
        shape = columns / rows
        if shape < min(ratio):
            width, height = columns, round(columns / min(ratio))
        elif shape > max(ratio):
            width, height = round(rows * max(ratio)), rows
        else:
            width, height = columns, rows
        return (rows - height) // 2, (columns - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        box = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *box, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(value, 4) for value in pair) for pair in (self.scale, self.ratio))
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class FiveCrop(_Transform):
    """The four corners and the middle, as a tuple."""

    shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = _two(size, _ONE_OR_TWO)

    def forward(self, img: Any) -> tuple:
        return F.five_crop(img, self.size)


class TenCrop(_Transform):
    """The five crops and those of the flipped picture, as a tuple."""

    shown = ("size", "vertical_flip")

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__()
        self.size, self.vertical_flip = _two(size, _ONE_OR_TWO), vertical_flip

    def forward(self, img: Any) -> tuple:
        return F.ten_crop(img, self.size, self.vertical_flip)


class LinearTransformation(_Transform):
    """(picture as a row - mean) @ matrix, for whitening."""

    def __init__(self, transformation_matrix: fb.Tensor, mean_vector: fb.Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.size()
        if rows != columns:
            raise ValueError(
                f"transformation_matrix should be square. Got {rows} x {columns} rectangular matrix."
            )
        if mean_vector.size(0) != rows:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.size(0)} as any one of the dimensions "
                f"of the "
                f"transformation_matrix [{rows} x {columns}]"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        flat = tensor.reshape(-1, self.mean_vector.size(0)) - self.mean_vector
        return fb.mm(flat, self.transformation_matrix).reshape(tensor.shape)

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"{type(self).__name__}(transformation_matrix={matrix}, mean_vector={mean})"


class ColorJitter(_Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    A number v means factors from max(0, 1 - v) to 1 + v (hue: from -v to v); a pair gives the range itself.
    """

    shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", centre=0, bound=(-0.5, 0.5))

    @staticmethod
    def _range(value: Any, name: str, centre: float = 1, bound: tuple = (0, float("inf"))) -> tuple | None:
        if isinstance(value, numbers.Number):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = centre - float(value), centre + float(value)
            low = max(low, 0.0) if centre else low
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
        return None if low == high == centre else (low, high)

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple:
        order = fb.randperm(4)
        return (
            order,
            *(None if pair is None else _uniform(*pair) for pair in (brightness, contrast, saturation, hue)),
        )

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        change = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = change[i](img, factors[i])
        return img


def _angles(value: Any, name: str, sizes: tuple[int, ...] = (2,)) -> list[float]:
    if isinstance(value, numbers.Number):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [-float(value), float(value)]
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a sequence of length {sizes[0]}.")
    if len(value) not in sizes:
        raise ValueError(f"{name} should be a sequence of length {sizes[0]}.")
    return [float(part) for part in value]


class RandomRotation(_Transform):
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
        self.degrees = _angles(degrees, "degrees")
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))
        self.expand, self.center, self.fill = expand, center, 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        return _uniform(*degrees)

    def forward(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        text = f"{type(self).__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}"
        text += f", expand={self.expand}"
        if self.center is not None:
            text += f", center={self.center}"
        return text + f", fill={self.fill})"


class RandomAffine(_Transform):
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
        self.degrees = _angles(degrees, "degrees")
        if translate is not None and not all(0.0 <= part <= 1.0 for part in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(part > 0 for part in scale):
            raise ValueError("scale values should be positive")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else _angles(shear, "shear", (2, 4))
        self.interpolation = InterpolationMode(F.interpolation_name(interpolation))
        self.fill, self.center = 0 if fill is None else fill, center

    @staticmethod
    def get_params(
        degrees: Any, translate: Any, scale_ranges: Any, shears: Any, img_size: Sequence[int]
    ) -> tuple:
        angle = _uniform(*degrees)
        moved = (0, 0)
        if translate is not None:
            width, height = float(translate[0] * img_size[0]), float(translate[1] * img_size[1])
            x = round(_uniform(-width, width))
            moved = (x, round(_uniform(-height, height)))
        scale = 1.0 if scale_ranges is None else _uniform(*scale_ranges)
        shear = (0.0, 0.0)
        if shears is not None:
            x_shear = _uniform(shears[0], shears[1])
            shear = (x_shear, _uniform(shears[2], shears[3]) if len(shears) == 4 else 0.0)
        return angle, moved, scale, shear

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


class RandomPerspective(_Transform):
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
        across, down = int(distortion_scale * (width // 2)) + 1, int(distortion_scale * (height // 2)) + 1

        def between(low: int, high: int) -> int:
            return int(fb.randint(low, high, size=(1,)).item())

        ends = [
            [between(0, across), between(0, down)],
            [between(width - across, width), between(0, down)],
            [between(width - across, width), between(height - down, height)],
            [between(0, across), between(height - down, height)],
        ]
        starts = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        return starts, ends

    def forward(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        if fb.rand(1) < self.p:
            starts, ends = self.get_params(width, height, self.distortion_scale)
            return F.perspective(img, starts, ends, self.interpolation, self.fill)
        return img


class Grayscale(_Transform):
    """Black and white."""

    shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)


class RandomGrayscale(_Transform):
    """With probability p, black and white with as many channels as before."""

    shown = ("p",)

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, channels) if fb.rand(1) < self.p else img


class RandomErasing(_Transform):
    """With probability p, a random rectangle overwritten. arXiv:1708.04896"""

    shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: fb.Tensor, scale: Sequence[float], ratio: Sequence[float], value: list | None = None
    ) -> tuple:
        channels, rows, columns = img.shape[-3], img.shape[-2], img.shape[-1]
        log_ratio = fb.log(fb.tensor(ratio))
        for _ in range(10):
            area = rows * columns * _uniform(*scale)
            aspect = fb.exp(fb.empty(1).uniform_(log_ratio[0].item(), log_ratio[1].item())).item()
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (height < rows and width < columns):
                continue
            if value is None:
                content = fb.empty([channels, height, width], dtype=fb.float32).normal_()
            else:
                content = fb.tensor(value)[:, None, None]
            top = _integer(rows - height + 1)
            return top, _integer(columns - width + 1), height, width, content
        return 0, 0, rows, columns, img

    def forward(self, img: fb.Tensor) -> fb.Tensor:
        if fb.rand(1) >= self.p:
            return img
        if isinstance(self.value, numbers.Number):
            value = [float(self.value)]
        else:
            value = None if isinstance(self.value, str) else [float(part) for part in self.value]
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)


class GaussianBlur(_Transform):
    """Blur with a random sigma."""

    shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: int | Sequence[int], sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = _two(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(length <= 0 or length % 2 == 0 for length in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = (sigma, sigma) if isinstance(sigma, numbers.Number) else tuple(sigma)
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        return _uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])


class _WithProbability(_Transform):
    """With probability p, a function with fixed arguments."""

    function: Callable = staticmethod(lambda img: img)
    argument: str | None = None

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        if fb.rand(1).item() >= self.p:
            return img
        return (
            self.function(img) if self.argument is None else self.function(img, getattr(self, self.argument))
        )


class RandomInvert(_WithProbability):
    """With probability p, a negative."""

    shown = ("p",)
    function = staticmethod(F.invert)


class RandomPosterize(_WithProbability):
    """With probability p, fewer bits."""

    shown, argument = ("bits", "p"), "bits"
    function = staticmethod(F.posterize)

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits


class RandomSolarize(_WithProbability):
    """With probability p, values from a threshold on inverted."""

    shown, argument = ("threshold", "p"), "threshold"
    function = staticmethod(F.solarize)

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold


class RandomAdjustSharpness(_WithProbability):
    """With probability p, sharper or softer."""

    shown, argument = ("sharpness_factor", "p"), "sharpness_factor"
    function = staticmethod(F.adjust_sharpness)

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor


class RandomAutocontrast(_WithProbability):
    """With probability p, the full range of values."""

    shown = ("p",)
    function = staticmethod(F.autocontrast)


class RandomEqualize(_WithProbability):
    """With probability p, all values equally frequent."""

    shown = ("p",)
    function = staticmethod(F.equalize)
