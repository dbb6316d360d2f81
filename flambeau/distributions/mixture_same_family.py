"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .categorical import Categorical
from .constraints import MixtureSameFamilyConstraint
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """One of the components, drawn anew for each value.

    Parameters
    ----------
    mixture_distribution : Categorical
        Chooses the component; batch shape ``(...)``.
    component_distribution : Distribution
        Batch shape ``(..., components)``.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        mixture_batch = mixture_distribution.batch_shape
        component_batch = component_distribution.batch_shape[:-1]
        for size1, size2 in zip(reversed(mixture_batch), reversed(component_batch), strict=False):
            if size1 != 1 and size2 != 1 and size1 != size2:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_batch}) is not compatible with "
                    f"`component_distribution.batch_shape`({component_batch})"
                )
        mixtures = mixture_distribution.logits.shape[-1]
        components = component_distribution.batch_shape[-1]
        if mixtures is not None and components is not None and mixtures != components:
            raise ValueError(
                f"`mixture_distribution component` ({mixtures}) does not equal `component_distribution."
                f"batch_shape[-1]` ({components})"
            )
        self._num_component = mixtures
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(component_batch, event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MixtureSameFamily:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = fb.Size(batch_shape)
        new._component_distribution = self._component_distribution.expand(
            batch_shape + (self._num_component,)
        )
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component = self._num_component
        new._event_ndims = self._event_ndims
        self._finish_expand(new, batch_shape)
        return new

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        return MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """What chooses the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    @property
    def _component_dim(self) -> int:
        return -1 - self._event_ndims

    def _weights(self) -> Tensor:
        return self._pad_mixture_dimensions(self.mixture_distribution.probs)

    @property
    def mean(self) -> Tensor:
        return fb.sum(self._weights() * self.component_distribution.mean, dim=self._component_dim)

    @property
    def variance(self) -> Tensor:
        # Law of total variance.
        weights, dim = self._weights(), self._component_dim
        within = fb.sum(weights * self.component_distribution.variance, dim=dim)
        deviation = self.component_distribution.mean - self._pad(self.mean)
        return within + fb.sum(weights * deviation.pow(2.0), dim=dim)

    def cdf(self, x: Tensor) -> Tensor:
        values = self.component_distribution.cdf(self._pad(x))
        return fb.sum(values * self.mixture_distribution.probs, dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        log_components = self.component_distribution.log_prob(self._pad(x))
        log_weights = fb.log_softmax(self.mixture_distribution.logits, dim=-1)
        return fb.logsumexp(log_components + log_weights, dim=-1)

    def sample(self, sample_shape: Any = fb.Size()) -> Tensor:
        with fb.no_grad():
            lead = len(sample_shape) + len(self.batch_shape)
            event_shape = self.event_shape
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(chosen.shape + fb.Size([1] * (len(event_shape) + 1)))
            index = index.repeat(fb.Size([1] * len(chosen.shape)) + fb.Size([1]) + event_shape)
            return fb.gather(drawn, lead, index).squeeze(lead)

    def _pad(self, x: Tensor) -> Tensor:
        return x.unsqueeze(self._component_dim)

    def _pad_mixture_dimensions(self, x: Tensor) -> Tensor:
        missing = len(self.batch_shape) - len(self.mixture_distribution.batch_shape)
        shape = x.shape
        return x.reshape(shape[:-1] + fb.Size(missing * [1]) + shape[-1:] + fb.Size(self._event_ndims * [1]))

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
