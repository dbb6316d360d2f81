"""The operations, strengths and policies of AutoAugment and what followed it; both generations of transforms
use them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import flambeau as fb


class AutoAugmentPolicy(Enum):
    """The data set for which AutoAugment's policies were learned."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


Strengths = Callable[[int, int, int], fb.Tensor | None]
Space = dict[str, tuple[Strengths, bool]]


def _none(bins: int, height: int, width: int) -> None:
    return None


def _even(last: float, first: float = 0.0) -> Strengths:
    return lambda bins, height, width: fb.linspace(first, last, bins)


def _of_width(share: float) -> Strengths:
    return lambda bins, height, width: fb.linspace(0.0, share * width, bins)


def _of_height(share: float) -> Strengths:
    return lambda bins, height, width: fb.linspace(0.0, share * height, bins)


def _bits(most: int, lost: int) -> Strengths:
    return lambda bins, height, width: most - (fb.arange(bins) / ((bins - 1) / lost)).round().int()


def _colours(strength: float) -> Space:
    return {name: (_even(strength), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")}


_PLAIN: Space = {"AutoContrast": (_none, False), "Equalize": (_none, False)}
_SOLARIZE: Space = {"Solarize": (_even(0.0, 255.0), False)}
_MOVES: Space = {
    "ShearX": (_even(0.3), True),
    "ShearY": (_even(0.3), True),
    "TranslateX": (_of_width(150.0 / 331.0), True),
    "TranslateY": (_of_height(150.0 / 331.0), True),
    "Rotate": (_even(30.0), True),
}
# For each operation its strengths, from weak to strong, and whether they may be negated.
AUTO_AUGMENT: Space = {
    **_MOVES,
    **_colours(0.9),
    "Posterize": (_bits(8, 4), False),
    **_SOLARIZE,
    **_PLAIN,
    "Invert": (_none, False),
}
RAND_AUGMENT: Space = {
    "Identity": (_none, False),
    **_MOVES,
    **_colours(0.9),
    "Posterize": (_bits(8, 4), False),
    **_SOLARIZE,
    **_PLAIN,
}
TRIVIAL_AUGMENT: Space = {
    "Identity": (_none, False),
    "ShearX": (_even(0.99), True),
    "ShearY": (_even(0.99), True),
    "TranslateX": (_even(32.0), True),
    "TranslateY": (_even(32.0), True),
    "Rotate": (_even(135.0), True),
    **_colours(0.99),
    "Posterize": (_bits(8, 6), False),
    **_SOLARIZE,
    **_PLAIN,
}
AUGMIX_PART: Space = {
    "ShearX": (_even(0.3), True),
    "ShearY": (_even(0.3), True),
    "TranslateX": (_of_width(1.0 / 3.0), True),
    "TranslateY": (_of_height(1.0 / 3.0), True),
    "Rotate": (_even(30.0), True),
    "Posterize": (_bits(4, 4), False),
    **_SOLARIZE,
    **_PLAIN,
}
AUGMIX: Space = {**AUGMIX_PART, **_colours(0.9)}

# The learned policies of arXiv:1805.09501, appendix: pairs of (operation, probability, strength).
_Step = tuple[str, float, int | None]
POLICIES: dict[AutoAugmentPolicy, list[tuple[_Step, _Step]]] = {
    AutoAugmentPolicy.IMAGENET: [
        (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
        (("Solarize", 0.6, 5), ("AutoContrast", 0.6, None)),
        (("Equalize", 0.8, None), ("Equalize", 0.6, None)),
        (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
        (("Equalize", 0.4, None), ("Solarize", 0.2, 4)),
        (("Equalize", 0.4, None), ("Rotate", 0.8, 8)),
        (("Solarize", 0.6, 3), ("Equalize", 0.6, None)),
        (("Posterize", 0.8, 5), ("Equalize", 1.0, None)),
        (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
        (("Equalize", 0.6, None), ("Posterize", 0.4, 6)),
        (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
        (("Rotate", 0.4, 9), ("Equalize", 0.6, None)),
        (("Equalize", 0.0, None), ("Equalize", 0.8, None)),
        (("Invert", 0.6, None), ("Equalize", 1.0, None)),
        (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
        (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
        (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
        (("Sharpness", 0.4, 7), ("Invert", 0.6, None)),
        (("ShearX", 0.6, 5), ("Equalize", 1.0, None)),
        (("Color", 0.4, 0), ("Equalize", 0.6, None)),
        (("Equalize", 0.4, None), ("Solarize", 0.2, 4)),
        (("Solarize", 0.6, 5), ("AutoContrast", 0.6, None)),
        (("Invert", 0.6, None), ("Equalize", 1.0, None)),
        (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
        (("Equalize", 0.8, None), ("Equalize", 0.6, None)),
    ],
    AutoAugmentPolicy.CIFAR10: [
        (("Invert", 0.1, None), ("Contrast", 0.2, 6)),
        (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
        (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
        (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
        (("AutoContrast", 0.5, None), ("Equalize", 0.9, None)),
        (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
        (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
        (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
        (("Equalize", 0.6, None), ("Equalize", 0.5, None)),
        (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
        (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
        (("Equalize", 0.3, None), ("AutoContrast", 0.4, None)),
        (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
        (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
        (("Solarize", 0.5, 2), ("Invert", 0.0, None)),
        (("Equalize", 0.2, None), ("AutoContrast", 0.6, None)),
        (("Equalize", 0.2, None), ("Equalize", 0.6, None)),
        (("Color", 0.9, 9), ("Equalize", 0.6, None)),
        (("AutoContrast", 0.8, None), ("Solarize", 0.2, 8)),
        (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
        (("Solarize", 0.4, 5), ("AutoContrast", 0.9, None)),
        (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
        (("AutoContrast", 0.9, None), ("Solarize", 0.8, 3)),
        (("Equalize", 0.8, None), ("Invert", 0.1, None)),
        (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)),
    ],
    AutoAugmentPolicy.SVHN: [
        (("ShearX", 0.9, 4), ("Invert", 0.2, None)),
        (("ShearY", 0.9, 8), ("Invert", 0.7, None)),
        (("Equalize", 0.6, None), ("Solarize", 0.6, 6)),
        (("Invert", 0.9, None), ("Equalize", 0.6, None)),
        (("Equalize", 0.6, None), ("Rotate", 0.9, 3)),
        (("ShearX", 0.9, 4), ("AutoContrast", 0.8, None)),
        (("ShearY", 0.9, 8), ("Invert", 0.4, None)),
        (("ShearY", 0.9, 5), ("Solarize", 0.2, 6)),
        (("Invert", 0.9, None), ("AutoContrast", 0.8, None)),
        (("Equalize", 0.6, None), ("Rotate", 0.9, 3)),
        (("ShearX", 0.9, 4), ("Solarize", 0.3, 3)),
        (("ShearY", 0.8, 8), ("Invert", 0.7, None)),
        (("Equalize", 0.9, None), ("TranslateY", 0.6, 6)),
        (("Invert", 0.9, None), ("Equalize", 0.6, None)),
        (("Contrast", 0.3, 3), ("Rotate", 0.8, 4)),
        (("Invert", 0.8, None), ("TranslateY", 0.0, 2)),
        (("ShearY", 0.7, 6), ("Solarize", 0.4, 8)),
        (("Invert", 0.6, None), ("Rotate", 0.8, 4)),
        (("ShearY", 0.3, 7), ("TranslateX", 0.9, 3)),
        (("ShearX", 0.1, 6), ("Invert", 0.6, None)),
        (("Solarize", 0.7, 2), ("TranslateY", 0.6, 7)),
        (("ShearY", 0.8, 4), ("Invert", 0.8, None)),
        (("ShearX", 0.7, 9), ("TranslateY", 0.8, 3)),
        (("ShearY", 0.8, 5), ("AutoContrast", 0.7, None)),
        (("ShearX", 0.7, 2), ("Invert", 0.1, None)),
    ],
}


def policies_for(policy: AutoAugmentPolicy) -> list[tuple[_Step, _Step]]:
    if policy not in POLICIES:
        raise ValueError(f"The provided policy {policy} is not recognized.")
    return POLICIES[policy]


def apply_operation(
    F: Any, img: Any, name: str, magnitude: float, interpolation: Any, fill: Any, white: float | None = None
) -> Any:
    """One operation, by the functions of module `F` (either generation's); `white` is the brightest value,
    where that is not 255.
    """
    moved = {"scale": 1.0, "interpolation": interpolation, "fill": fill}
    if name == "ShearX":
        shear = [math.degrees(math.atan(magnitude)), 0.0]
        return F.affine(img, angle=0.0, translate=[0, 0], shear=shear, center=[0, 0], **moved)
    if name == "ShearY":
        shear = [0.0, math.degrees(math.atan(magnitude))]
        return F.affine(img, angle=0.0, translate=[0, 0], shear=shear, center=[0, 0], **moved)
    if name == "TranslateX":
        return F.affine(img, angle=0.0, translate=[int(magnitude), 0], shear=[0.0, 0.0], **moved)
    if name == "TranslateY":
        return F.affine(img, angle=0.0, translate=[0, int(magnitude)], shear=[0.0, 0.0], **moved)
    if name == "Rotate":
        return F.rotate(img, magnitude, interpolation=interpolation, fill=fill)
    if name == "Brightness":
        return F.adjust_brightness(img, 1.0 + magnitude)
    if name == "Color":
        return F.adjust_saturation(img, 1.0 + magnitude)
    if name == "Contrast":
        return F.adjust_contrast(img, 1.0 + magnitude)
    if name == "Sharpness":
        return F.adjust_sharpness(img, 1.0 + magnitude)
    if name == "Posterize":
        return F.posterize(img, int(magnitude))
    if name == "Solarize":
        return F.solarize(img, magnitude if white is None else magnitude / 255.0 * white)
    if name == "AutoContrast":
        return F.autocontrast(img)
    if name == "Equalize":
        return F.equalize(img)
    if name == "Invert":
        return F.invert(img)
    if name == "Identity":
        return img
    raise ValueError(f"The provided operator {name} is not recognized.")


def augmix(
    img: fb.Tensor,
    space: Space,
    width: int,
    depth: int,
    alpha: float,
    random_operation: Callable[[Space, fb.Tensor], tuple[str, float]],
    apply: Callable[[fb.Tensor, str, float], fb.Tensor],
) -> fb.Tensor:
    """A picture [..., C, H, W] mixed with `width` chains of operations on it, of `depth` or (-1) random."""
    batch = img.reshape([1] * max(4 - img.ndim, 0) + list(img.shape))
    ones = [batch.size(0)] + [1] * (batch.ndim - 1)

    def dirichlet(count: int) -> fb.Tensor:
        return fb._sample_dirichlet(fb.tensor([alpha] * count).expand(batch.size(0), -1))

    share = dirichlet(2)
    weights = dirichlet(width) * share[:, 1].reshape(batch.size(0), -1)
    mix = share[:, 0].reshape(ones) * batch
    for i in range(width):
        changed = batch
        for _ in range(depth if depth > 0 else int(fb.randint(1, 4, (1,)).item())):
            changed = apply(changed, *random_operation(space, changed))
        mix.add_(weights[:, i].reshape(ones) * changed)
    return mix.reshape(img.shape).to(img.dtype)
