"""The categorical distribution."""

from __future__ import annotations

from math import nan
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from ._probs_or_logits import ProbsOrLogits

__all__ = ["Categorical"]


class Categorical(ProbsOrLogits):
    """One of the numbers 0 to n - 1.

    Parameters
    ----------
    probs, logits : Tensor
        ``(..., n)``: probabilities, or their logarithms; normalized here.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _is_binary = False
    _batched = {"probs": 1, "logits": 1}

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._check_one(probs, logits)
        for name, param in (("probs", probs), ("logits", logits)):
            if param is not None and param.dim() < 1:
                raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is not None:
            self._keep(probs / probs.sum(-1, keepdim=True), logits)
        else:
            self._keep(None, logits - logits.logsumexp(dim=-1, keepdim=True))
        given = probs if probs is not None else logits
        self._param = self.probs if probs is not None else self.logits
        self._num_events = given.size()[-1]
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new._num_events = self._num_events
        super()._finish_expand(new, batch_shape)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return fb.full(self._extended_shape(), nan, dtype=self.probs.dtype, device=self.probs.device)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Tensor:
        return self.mean

    def sample(self, sample_shape: Any = fb.Size()) -> Tensor:
        sample_shape = fb.Size(sample_shape)
        rows = self.probs.reshape(-1, self._num_events)
        drawn = fb.multinomial(rows, sample_shape.numel(), True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = value.long().unsqueeze(-1)
        value, log_pmf = fb.broadcast_tensors(value, self.logits)
        return log_pmf.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        # A probability of zero has a logit of minus infinity: keep the product finite.
        logits = fb.clamp(self.logits, min=fb.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = fb.arange(self._num_events, dtype=fb.long, device=self._param.device)
        return self._enumerate(values, expand)
