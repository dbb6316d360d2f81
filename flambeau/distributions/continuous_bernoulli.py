"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.functional import binary_cross_entropy_with_logits

from . import constraints
from ._probs_or_logits import ProbsOrLogits
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """Density proportional to ``probs**x (1 - probs)**(1 - x)`` on [0, 1] (Loaiza-Ganem, Cunningham, 2019).

    Parameters
    ----------
    probs, logits : Tensor or number
    lims : (float, float)
        Between these ``probs``, around one half, Taylor series are used.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    _mean_carrier_measure = 0
    has_rsample = True
    _batched = {"probs": 0, "logits": 0}

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._check_one(probs, logits)
        self._keep(*(None if p is None else broadcast_all(p)[0] for p in (probs, logits)))
        if probs is not None:
            if validate_args is not None and not fb._is_all_true(
                self.arg_constraints["probs"].check(self.probs)
            ):
                raise ValueError("The parameter probs has invalid values")
            self.probs = self._param = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.size(), validate_args=validate_args)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new._lims = self._lims
        super()._finish_expand(new, batch_shape)

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """The probabilities, moved out of the region where the closed forms lose their digits."""
        return fb.where(self._outside_unstable_region(), self.probs, self._lims[0] * fb.ones_like(self.probs))

    def _cont_bern_log_norm(self) -> Tensor:
        p = self._cut_probs()
        below = fb.where(p <= 0.5, p, fb.zeros_like(p))
        above = fb.where(p >= 0.5, p, fb.ones_like(p))
        log_norm = fb.log(fb.abs(fb.log1p(-p) - fb.log(p))) - fb.where(
            p <= 0.5, fb.log1p(-2.0 * below), fb.log(2.0 * above - 1.0)
        )
        square = fb.pow(self.probs - 0.5, 2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square
        return fb.where(self._outside_unstable_region(), log_norm, taylor)

    @property
    def mean(self) -> Tensor:
        p = self._cut_probs()
        means = p / (2.0 * p - 1.0) + 1.0 / (fb.log1p(-p) - fb.log(p))
        x = self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * fb.pow(x, 2)) * x
        return fb.where(self._outside_unstable_region(), means, taylor)

    @property
    def stddev(self) -> Tensor:
        return fb.sqrt(self.variance)

    @property
    def variance(self) -> Tensor:
        p = self._cut_probs()
        variances = p * (p - 1.0) / fb.pow(1.0 - 2.0 * p, 2) + 1.0 / fb.pow(fb.log1p(-p) - fb.log(p), 2)
        square = fb.pow(self.probs - 0.5, 2)
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square
        return fb.where(self._outside_unstable_region(), variances, taylor)

    def sample(self, sample_shape: Any = fb.Size()) -> Tensor:
        with fb.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = fb.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(fb.rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        cross_entropy = binary_cross_entropy_with_logits(logits, value, reduction="none")
        return -cross_entropy + self._cont_bern_log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        p = self._cut_probs()
        cdfs = (fb.pow(p, value) * fb.pow(1.0 - p, 1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = fb.where(self._outside_unstable_region(), cdfs, value)
        return fb.where(
            fb.le(value, 0.0),
            fb.zeros_like(value),
            fb.where(fb.ge(value, 1.0), fb.ones_like(value), inside),
        )

    def icdf(self, value: Tensor) -> Tensor:
        p = self._cut_probs()
        quantiles = (fb.log1p(-p + value * (2.0 * p - 1.0)) - fb.log1p(-p)) / (fb.log(p) - fb.log1p(-p))
        return fb.where(self._outside_unstable_region(), quantiles, value)

    def entropy(self) -> Tensor:
        log_probs0 = fb.log1p(-self.probs)
        log_probs1 = fb.log(self.probs)
        return self.mean * (log_probs0 - log_probs1) - self._cont_bern_log_norm() - log_probs0

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        outside = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = fb.where(outside, x, (self._lims[0] - 0.5) * fb.ones_like(x))
        log_norm = fb.log(fb.abs(fb.special.expm1(cut))) - fb.log(fb.abs(cut))
        taylor = 0.5 * x + fb.pow(x, 2) / 24.0 - fb.pow(x, 4) / 2880.0
        return fb.where(outside, log_norm, taylor)
