"""Layers that drop elements or channels at random while training."""

from flambeau import Tensor
from flambeau._own_methods import own_methods
from flambeau.nn import functional as F
from flambeau.nn.modules.module import Module

__all__ = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


@own_methods("forward")
class _DropoutNd(Module):
    """Probability and inplace switch of all dropout layers.

    Parameters
    ----------
    p : float
        Probability of an element (or channel) to be dropped.
    inplace : bool
        Write the result into the input.
    """

    __constants__ = ["p", "inplace"]
    p: float
    inplace: bool

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop while training, otherwise give `input` back."""
        return self._drop(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Probability and inplace."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zeroes elements and scales the others by ``1 / (1 - p)``."""

    _drop = staticmethod(F.dropout)


class Dropout1d(_DropoutNd):
    """Zeroes channels of an input of shape (N, C, L) or (C, L)."""

    _drop = staticmethod(F.dropout1d)


class Dropout2d(_DropoutNd):
    """Zeroes channels of an input of shape (N, C, H, W)."""

    _drop = staticmethod(F.dropout2d)


class Dropout3d(_DropoutNd):
    """Zeroes channels of an input of shape (N, C, D, H, W)."""

    _drop = staticmethod(F.dropout3d)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance of SELU activations."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop while training, otherwise give `input` back."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Alpha dropout of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop while training, otherwise give `input` back."""
        return F.feature_alpha_dropout(input, self.p, self.training)
