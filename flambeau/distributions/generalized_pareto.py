"""The generalized Pareto distribution."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Excess over a high threshold.

    Parameters
    ----------
    loc, scale, concentration : Tensor or float
        Threshold, scale, and weight of the tail: bounded if negative, exponential if zero.
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    _batched = {"loc": 0, "scale": 0, "concentration": 0}

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Any = fb.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(fb.rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    def _exponential(self) -> Tensor:
        """Where the tail is that of the exponential distribution."""
        return fb.isclose(self.concentration, fb.zeros_like(self.concentration))

    def _safe_concentration(self) -> Tensor:
        return fb.where(self._exponential(), fb.ones_like(self.concentration), self.concentration)

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        k = self._safe_concentration()
        tail = fb.where(self._exponential(), -z, -(1 + 1 / k) * fb.log1p(k * z))
        return -self.scale.log() + fb.where(z >= 0, tail, fb.full_like(tail, -inf))

    def log_survival_function(self, value: Tensor) -> Tensor:
        """Return the logarithm of the probability of more than ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        k = self._safe_concentration()
        return fb.where(self._exponential(), -z, -fb.log1p(k * z) / k)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return the logarithm of :meth:`cdf`."""
        return fb.log1p(-fb.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return fb.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        k = self._safe_concentration()
        log_rest = fb.log1p(-value)
        z = fb.where(self._exponential(), -log_rest, fb.expm1(-k * log_rest) / k)
        return self.loc + self.scale * z

    @property
    def mean(self) -> Tensor:
        k = self.concentration
        return fb.where(k < 1, self.loc + self.scale / (1 - fb.where(k < 1, k, 0.5)), nan)

    @property
    def variance(self) -> Tensor:
        k = self.concentration
        safe = fb.where(k < 0.5, k, 0.25)
        value = self.scale**2 / ((1 - safe) ** 2 * (1 - 2 * safe))
        return fb.where(k < 0.5, value, nan)

    def entropy(self) -> Tensor:
        return fb.log(self.scale) + self.concentration + 1

    @property
    def mode(self) -> Tensor:
        return self.loc

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        lower = self.loc
        upper = fb.where(self.concentration < 0, lower - self.scale / self.concentration, inf)
        return constraints.interval(lower, upper)
