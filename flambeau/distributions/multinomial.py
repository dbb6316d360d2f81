"""The multinomial distribution."""

from __future__ import annotations

from math import inf
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each of n events happens in ``total_count`` trials.

    Parameters
    ----------
    total_count : int
        The same for the whole batch.
    probs, logits : Tensor
        ``(..., n)``: probabilities, or their logarithms.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    total_count: int

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Multinomial:
        new = self._get_checked_instance(Multinomial, _instance)
        batch_shape = fb.Size(batch_shape)
        new.total_count = self.total_count
        new._categorical = self._categorical.expand(batch_shape)
        new._binomial = self._binomial.expand(batch_shape + self._event_shape)
        self._finish_expand(new, batch_shape)
        return new

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """Probabilities."""
        return self._categorical.probs

    @property
    def param_shape(self) -> fb.Size:
        """Shape of the parameter."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = fb.Size()) -> Tensor:
        sample_shape = fb.Size(sample_shape)
        trials = self._categorical.sample(fb.Size((self.total_count,)) + sample_shape)
        trials = trials.permute(*range(1, trials.dim()), 0)
        counts = self._categorical._param.new_zeros(self._extended_shape(sample_shape))
        counts.scatter_add_(-1, trials, fb.ones_like(trials, dtype=counts.dtype))
        return counts.type_as(self.probs)

    def entropy(self) -> Tensor:
        n = fb.tensor(self.total_count)
        support = self._binomial.enumerate_support(expand=False)[1:]
        weighted = fb.exp(self._binomial.log_prob(support)) * fb.lgamma(support + 1)
        return n * self._categorical.entropy() - fb.lgamma(n + 1) + weighted.sum([0, -1])

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.clone(memory_format=fb.contiguous_format)
        arrangements = fb.lgamma(value.sum(-1) + 1) - fb.lgamma(value + 1).sum(-1)
        logits[(value == 0) & (logits == -inf)] = 0
        return arrangements + (logits * value).sum(-1)
