"""The LKJ distribution of correlation matrices."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices (Lewandowski, Kurowicka and Joe, 2009).

    The density of the matrix is proportional to its determinant to the power ``concentration - 1``; samples
    are drawn by the onion method.

    Parameters
    ----------
    dim : int
        Rows of the matrix.
    concentration : Tensor or float
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _batched = {"concentration": 0}

    def __init__(
        self, dim: int, concentration: Tensor | float = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        shape = self.concentration.size()
        marginal = self.concentration + 0.5 * (self.dim - 2)
        like = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        offset = fb.cat([fb.zeros((1,), **like), fb.arange(self.dim - 1, **like)])
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)
        super().__init__(shape, fb.Size((dim, dim)), validate_args)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new.dim = self.dim
        new._beta = self._beta.expand(batch_shape + (self.dim,))
        super()._finish_expand(new, batch_shape)

    def sample(self, sample_shape: Any = fb.Size()) -> Tensor:
        with fb.no_grad():
            squared = self._beta.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            normal = fb.randn(shape, dtype=squared.dtype, device=squared.device).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :].fill_(0.0)  # the first row has no entry before the diagonal
            factor = fb.sqrt(squared) * direction
            rest = fb.clamp(1 - fb.sum(factor**2, dim=-1), min=fb.finfo(factor.dtype).tiny)
            return factor + fb.diag_embed(rest.sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = fb.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        unnormalized = fb.sum(order * diagonal.log(), dim=-1)
        less = self.dim - 1
        alpha = self.concentration + 0.5 * less
        denominator = fb.lgamma(alpha) * less
        numerator = fb.mvlgamma(alpha - 0.5, less)
        constant = 0.5 * less * math.log(math.pi)
        return unnormalized - (constant + numerator - denominator)
