"""Transforms that change colours."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from . import _draws
from . import functional as F
from ._base import Shown


class ColorJitter(Shown):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    A number v means factors from max(0, 1 - v) to 1 + v (hue: from -v to v); a pair gives the range itself.
    """

    shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = _draws.factors(brightness, "brightness")
        self.contrast = _draws.factors(contrast, "contrast")
        self.saturation = _draws.factors(saturation, "saturation")
        self.hue = _draws.factors(hue, "hue", centre=0, bound=(-0.5, 0.5))

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple:
        order = fb.randperm(4)
        return (
            order,
            *(
                None if pair is None else _draws.uniform(*pair)
                for pair in (brightness, contrast, saturation, hue)
            ),
        )

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        change = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = change[i](img, factors[i])
        return img


class Grayscale(Shown):
    """Black and white."""

    shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)


class RandomGrayscale(Shown):
    """With probability p, black and white with as many channels as before."""

    shown = ("p",)

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, channels) if fb.rand(1) < self.p else img


class RandomErasing(Shown):
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
        _draws.erasing_arguments(p, scale, ratio, value)
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: fb.Tensor, scale: Sequence[float], ratio: Sequence[float], value: list | None = None
    ) -> tuple:
        channels, rows, columns = img.shape[-3:]
        box = _draws.erasing_box(channels, rows, columns, scale, ratio, value)
        return (0, 0, rows, columns, img) if box is None else box

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


class GaussianBlur(Shown):
    """Blur with a random sigma."""

    shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: int | Sequence[int], sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size, self.sigma = _draws.blur_arguments(kernel_size, sigma)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        return _draws.uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])


class _WithProbability(Shown):
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

    shown, argument, between = ("bits", "p"), "bits", ","
    function = staticmethod(F.posterize)

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits


class RandomSolarize(_WithProbability):
    """With probability p, values from a threshold on inverted."""

    shown, argument, between = ("threshold", "p"), "threshold", ","
    function = staticmethod(F.solarize)

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold


class RandomAdjustSharpness(_WithProbability):
    """With probability p, sharper or softer."""

    shown, argument, between = ("sharpness_factor", "p"), "sharpness_factor", ","
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
