"""Augmentation by learned or random operations, on pictures and videos."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

from .. import _augment_ops as ops
from .. import _on_tensor
from .._augment_ops import AutoAugmentPolicy
from ..functional import InterpolationMode
from . import functional as F
from ._transform import Filled, Transform
from ._utils import check_type, fill_for, sequence_text

_PICTURES = (F.is_pure_tensor, tv_tensors.Image, tv_tensors.Video, is_pil)
_UNSUPPORTED = (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)


class _Augmentation(Filled, Transform):
    """Base: finds the one picture or video of a sample."""

    def __init__(self, *, interpolation: InterpolationMode | str | int = "nearest", fill: Any = None) -> None:
        super().__init__()
        self.interpolation = interpolation
        self._set_fill(fill)

    def forward(self, *inputs: Any) -> Any:
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        needs = self._needs_transform_list(flat)
        found = []
        for place, (inpt, wanted) in enumerate(zip(flat, needs, strict=True)):
            if wanted and check_type(inpt, _PICTURES):
                found.append(place)
            elif isinstance(inpt, _UNSUPPORTED):
                raise TypeError(
                    f"Inputs of type {type(inpt).__name__} are not supported by {type(self).__name__}()"
                )
        if not found:
            raise TypeError("Found no image in the sample.")
        if len(found) > 1:
            kinds = sequence_text([type(flat[place]) for place in found], separate_last="and ")
            raise TypeError(
                "Auto augment transformations are only properly defined for a single image or video, "
                f"but found {kinds}."
            )
        flat[found[0]] = self.augment(flat[found[0]])
        return tree_unflatten(flat, spec)

    def augment(self, image: Any) -> Any:
        """The picture, augmented."""
        raise NotImplementedError

    def _apply(self, image: Any, name: str, magnitude: float) -> Any:
        white = _on_tensor.max_value(image.dtype) if isinstance(image, fb.Tensor) else 255
        return ops.apply_operation(
            F,
            image,
            name,
            magnitude,
            self.interpolation,
            fill_for(self._fill, image),
            None if white == 255 else float(white),
        )

    @staticmethod
    def _pick(space: ops.Space) -> str:
        return list(space)[int(fb.randint(len(space), ()))]

    @staticmethod
    def _strength(
        space: ops.Space,
        image: Any,
        name: str,
        bins: int,
        strength: int | None = None,
        below: int | None = None,
    ) -> float:
        """The strength of an operation: the given one, or a random one of the first `below`."""
        strengths, signed = space[name]
        values = strengths(bins, *F.get_size(image))
        if values is None:
            return 0.0
        magnitude = float(values[int(fb.randint(below or bins, ())) if strength is None else strength])
        return -magnitude if signed and fb.rand(()) <= 0.5 else magnitude


class AutoAugment(_Augmentation):
    """A random one of 25 learned pairs of operations. arXiv:1805.09501"""

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode | str | int = "nearest",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        self.policy = policy
        self._policies = ops.policies_for(policy)

    def augment(self, image: Any) -> Any:
        for name, probability, strength in self._policies[int(fb.randint(len(self._policies), ()))]:
            if not fb.rand(()) <= probability:
                continue
            magnitude = self._strength(ops.AUTO_AUGMENT, image, name, 10, strength)
            image = self._apply(image, name, magnitude)
        return image


class RandAugment(_Augmentation):
    """`num_ops` random operations of one strength, of `num_magnitude_bins`. arXiv:1909.13719"""

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | str | int = "nearest",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def augment(self, image: Any) -> Any:
        for _ in range(self.num_ops):
            name = self._pick(ops.RAND_AUGMENT)
            bins = self.num_magnitude_bins
            image = self._apply(
                image, name, self._strength(ops.RAND_AUGMENT, image, name, bins, self.magnitude)
            )
        return image


class TrivialAugmentWide(_Augmentation):
    """One random operation of random strength. arXiv:2103.10158"""

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | str | int = "nearest",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        self.num_magnitude_bins = num_magnitude_bins

    def augment(self, image: Any) -> Any:
        name = self._pick(ops.TRIVIAL_AUGMENT)
        magnitude = self._strength(ops.TRIVIAL_AUGMENT, image, name, self.num_magnitude_bins)
        return self._apply(image, name, magnitude)


class AugMix(_Augmentation):
    """The picture mixed with chains of random operations on it. arXiv:1912.02781"""

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode | str | int = "bilinear",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity, self.mixture_width, self.chain_depth = severity, mixture_width, chain_depth
        self.alpha, self.all_ops = alpha, all_ops

    def _random(self, space: ops.Space, image: Any) -> tuple[str, float]:
        name = self._pick(space)
        return name, self._strength(space, image, name, 10, below=self.severity)

    def augment(self, image: Any) -> Any:
        plain = F.pil_to_tensor(image) if is_pil(image) else image.as_subclass(fb.Tensor)
        space = ops.AUGMIX if self.all_ops else ops.AUGMIX_PART
        width, depth = self.mixture_width, self.chain_depth
        mix = ops.augmix(plain, space, width, depth, self.alpha, self._random, self._apply)
        if is_pil(image):
            return F.to_pil_image(mix)
        return tv_tensors.wrap(mix, like=image) if isinstance(image, tv_tensors.TVTensor) else mix
