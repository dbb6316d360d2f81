"""Augmentation by learned or random operations, on Pillow images and uint8 tensors."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from . import _augment_ops as ops
from . import functional as F
from ._augment_ops import AutoAugmentPolicy
from ._base import Shown
from .functional import InterpolationMode

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


def _draw(count: int) -> int:
    return int(fb.randint(count, (1,)).item())


class _Augmentation(Shown):
    """Base: interpolation and fill, one operation at a random or given strength."""

    modes_in_full = True

    def __init__(
        self, interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: list[float] | None = None
    ) -> None:
        super().__init__()
        self.interpolation, self.fill = interpolation, fill

    def _fill(self, img: Any) -> Any:
        if isinstance(img, fb.Tensor) and isinstance(self.fill, (int, float)):
            return [float(self.fill)] * F.get_dimensions(img)[0]
        return self.fill

    def _apply(self, img: Any, name: str, magnitude: float) -> Any:
        return ops.apply_operation(F, img, name, magnitude, self.interpolation, self._fill(img))


class AutoAugment(_Augmentation):
    """A random one of 25 learned pairs of operations. arXiv:1805.09501"""

    shown = ("policy", "fill")

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: list[float] | None = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.policy = policy
        self.policies = ops.policies_for(policy)

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, fb.Tensor, fb.Tensor]:
        """Draw one of `transform_num` policies, two probabilities and two signs."""
        return _draw(transform_num), fb.rand((2,)), fb.randint(2, (2,))

    def forward(self, img: Any) -> Any:
        chosen, probabilities, signs = self.get_params(len(self.policies))
        _, height, width = F.get_dimensions(img)
        for i, (name, probability, strength) in enumerate(self.policies[chosen]):
            if probabilities[i] <= probability:
                strengths, signed = ops.AUTO_AUGMENT[name]
                magnitude = 0.0 if strength is None else float(strengths(10, height, width)[strength].item())
                if signed and signs[i] == 0:
                    magnitude *= -1.0
                img = self._apply(img, name, magnitude)
        return img


class _RandomOperations(_Augmentation):
    """Base of those that take operations from a space with equal probability."""

    def _random(
        self, space: ops.Space, img: Any, bins: int, strength: int | None = None, below: int | None = None
    ) -> tuple[str, float]:
        """An operation, and its strength: the given one, or a random one of the first `below`."""
        _, height, width = F.get_dimensions(img)
        name = list(space)[_draw(len(space))]
        strengths, signed = space[name]
        values = strengths(bins, height, width)
        magnitude = 0.0
        if values is not None:
            magnitude = float(values[_draw(below or bins) if strength is None else strength].item())
        if signed and fb.randint(2, (1,)):
            magnitude *= -1.0
        return name, magnitude


class RandAugment(_RandomOperations):
    """`num_ops` random operations of one strength, of `num_magnitude_bins`. arXiv:1909.13719"""

    shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: list[float] | None = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def forward(self, img: Any) -> Any:
        for _ in range(self.num_ops):
            bins = self.num_magnitude_bins
            img = self._apply(img, *self._random(ops.RAND_AUGMENT, img, bins, self.magnitude))
        return img


class TrivialAugmentWide(_RandomOperations):
    """One random operation of random strength. arXiv:2103.10158"""

    shown = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: list[float] | None = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        return self._apply(img, *self._random(ops.TRIVIAL_AUGMENT, img, self.num_magnitude_bins))


class AugMix(_RandomOperations):
    """The picture mixed with chains of random operations on it. arXiv:1912.02781"""

    shown = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill")

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: list[float] | None = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity, self.mixture_width, self.chain_depth = severity, mixture_width, chain_depth
        self.alpha, self.all_ops = alpha, all_ops

    def forward(self, orig_img: Any) -> Any:
        mix = ops.augmix(
            orig_img if isinstance(orig_img, fb.Tensor) else F.pil_to_tensor(orig_img),
            ops.AUGMIX if self.all_ops else ops.AUGMIX_PART,
            self.mixture_width,
            self.chain_depth,
            self.alpha,
            lambda space, img: self._random(space, img, 10, below=self.severity),
            self._apply,
        )
        return mix if isinstance(orig_img, fb.Tensor) else F.to_pil_image(mix)
