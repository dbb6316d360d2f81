"""Student's t-distribution."""

from __future__ import annotations

import math
from math import inf, nan
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import _standard_normal, broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal variable over the root of an independent chi-squared one with ``df`` degrees of freedom.

    Parameters
    ----------
    df, loc, scale : Tensor or float
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True
    _batched = {"df": 0, "loc": 0, "scale": 0}

    def __init__(
        self,
        df: Tensor | float,
        loc: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new._chi2 = self._chi2.expand(batch_shape)
        super()._finish_expand(new, batch_shape)

    @property
    def mean(self) -> Tensor:
        mean = self.loc.clone(memory_format=fb.contiguous_format)
        mean[self.df <= 1] = nan
        return mean

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        df, variance = self.df, self.df.clone(memory_format=fb.contiguous_format)
        finite = df > 2
        variance[finite] = self.scale[finite].pow(2) * df[finite] / (df[finite] - 2)
        variance[(df <= 2) & (df > 1)] = inf
        variance[df <= 1] = nan
        return variance

    def rsample(self, sample_shape: Any = fb.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        normal = _standard_normal(shape, dtype=self.df.dtype, device=self.df.device)
        chi2 = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (normal * fb.rsqrt(chi2 / self.df))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        normalizer = (
            self.scale.log()
            + 0.5 * self.df.log()
            + 0.5 * math.log(math.pi)
            + fb.lgamma(0.5 * self.df)
            - fb.lgamma(0.5 * (self.df + 1.0))
        )
        return -0.5 * (self.df + 1.0) * fb.log1p(y**2.0 / self.df) - normalizer

    def entropy(self) -> Tensor:
        log_beta = fb.lgamma(0.5 * self.df) + math.lgamma(0.5) - fb.lgamma(0.5 * (self.df + 1))
        spread = 0.5 * (self.df + 1) * (fb.digamma(0.5 * (self.df + 1)) - fb.digamma(0.5 * self.df))
        return self.scale.log() + spread + 0.5 * self.df.log() + log_beta
