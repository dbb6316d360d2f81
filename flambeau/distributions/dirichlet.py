"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.autograd import Function
from flambeau.autograd.function import once_differentiable

from . import constraints
from .exp_family import ExponentialFamily

__all__ = ["Dirichlet"]


class _Dirichlet(Function):
    @staticmethod
    def forward(concentration: Tensor) -> Tensor:
        return fb._sample_dirichlet(concentration)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, sample: Tensor) -> None:
        ctx.save_for_backward(sample, inputs[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        x, concentration = ctx.saved_tensors
        total = concentration.sum(-1, True).expand_as(concentration)
        grad = fb._dirichlet_grad(x, concentration, total)
        return grad * (grad_output - (x * grad_output).sum(-1, True))


class Dirichlet(ExponentialFamily):
    """Probabilities of n events, with density proportional to the product of ``p ** (concentration - 1)``.

    Parameters
    ----------
    concentration : Tensor
        ``(..., n)``.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _batched = {"concentration": 1}

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return _Dirichlet.apply(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return fb.xlogy(a - 1.0, value).sum(-1) + fb.lgamma(a.sum(-1)) - fb.lgamma(a).sum(-1)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        excess = (self.concentration - 1).clamp(min=0.0)
        mode = excess / excess.sum(-1, True)
        # All below one: the density is highest in a corner.
        in_corner = (self.concentration < 1).all(dim=-1)
        corner = fb.nn.functional.one_hot(mode[in_corner].argmax(dim=-1), excess.shape[-1])
        mode[in_corner] = corner.to(mode)
        return mode

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        a, n = self.concentration, self.concentration.size(-1)
        total = a.sum(-1)
        normalizer = fb.lgamma(a).sum(-1) - fb.lgamma(total)
        return normalizer - (n - total) * fb.digamma(total) - ((a - 1.0) * fb.digamma(a)).sum(-1)

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.lgamma().sum(-1) - fb.lgamma(x.sum(-1))
