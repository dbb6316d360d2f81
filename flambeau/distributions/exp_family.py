"""Exponential families."""

from __future__ import annotations

import flambeau as fb
from flambeau import Tensor

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    r"""Distributions of density ``h(x) exp(<t(x), theta> - F(theta))``.

    Entropy and divergences follow from the log normalizer ``F`` by differentiation (Nielsen and Nock, 2010).
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        """Mean of ``log h``."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """Return the entropy, in nats."""
        params = [p.detach().requires_grad_() for p in self._natural_params]
        with fb.enable_grad():
            normalizer = self._log_normalizer(*params)
            gradients = fb.autograd.grad(normalizer.sum(), params, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for p, g in zip(params, gradients, strict=True):
            result = result - (p * g).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
