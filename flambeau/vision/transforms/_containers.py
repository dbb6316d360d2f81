"""Transforms made of others, and between kinds of pictures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import functional as F
from ._base import Shown


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


class RandomApply(Shown):
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


class Normalize(Shown):
    """(value - mean) / std, channel by channel."""

    shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)


class LinearTransformation(Shown):
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
                f"of the transformation_matrix [{rows} x {columns}]"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        length = self.mean_vector.size(0)
        if tensor.shape[-3:].numel() != length:
            sides = " x ".join(map(str, tensor.shape[-3:]))
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape.[{sides}] != {length}"
            )
        flat = tensor.reshape(-1, length) - self.mean_vector
        return fb.mm(flat, self.transformation_matrix).reshape(tensor.shape)

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"{type(self).__name__}(transformation_matrix={matrix}, mean_vector={mean})"
