"""Transforms made of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._transform import Transform


def _one_after_another(transforms: Any, inputs: tuple) -> Any:
    unpack = len(inputs) > 1
    for transform in transforms:
        outputs = transform(*inputs)
        inputs = outputs if unpack else (outputs,)
    return inputs if unpack else inputs[0]


class _Several(Transform):
    def __init__(self, transforms: Sequence[Callable]) -> None:
        super().__init__()
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence of callables")
        self.transforms = transforms


class Compose(_Several):
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        super().__init__(transforms)
        if not transforms:
            raise ValueError("Pass at least one transform")

    def forward(self, *inputs: Any) -> Any:
        return _one_after_another(self.transforms, inputs)

    def extra_repr(self) -> str:
        return "\n".join(f"    {transform}" for transform in self.transforms)


class RandomApply(Transform):
    """All of the transforms, or with probability 1 - p none."""

    def __init__(self, transforms: Sequence[Callable] | nn.ModuleList, p: float = 0.5) -> None:
        super().__init__()
        if not isinstance(transforms, (Sequence, nn.ModuleList)):
            raise TypeError("Argument transforms should be a sequence of callables or a `nn.ModuleList`")
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.transforms, self.p = transforms, p

    def forward(self, *inputs: Any) -> Any:
        if fb.rand(1) >= self.p:
            return inputs if len(inputs) > 1 else inputs[0]
        return _one_after_another(self.transforms, inputs)

    def extra_repr(self) -> str:
        return "\n".join(f"    {transform}" for transform in self.transforms)


class RandomChoice(_Several):
    """One of the transforms, `p` saying how likely each is."""

    def __init__(self, transforms: Sequence[Callable], p: list[float] | None = None) -> None:
        super().__init__(transforms)
        p = [1] * len(transforms) if p is None else p
        if len(p) != len(transforms):
            raise ValueError(
                f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}"
            )
        total = sum(p)
        self.p = [part / total for part in p]

    def forward(self, *inputs: Any) -> Any:
        return self.transforms[int(fb.multinomial(fb.tensor(self.p), 1))](*inputs)


class RandomOrder(_Several):
    """All of the transforms in random order."""

    def forward(self, *inputs: Any) -> Any:
        order = fb.randperm(len(self.transforms)).tolist()
        return _one_after_another([self.transforms[i] for i in order], inputs)
