"""What distributions given by probabilities or by logits share."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor

from .distribution import Distribution
from .utils import lazy_property, logits_to_probs, probs_to_logits


class ProbsOrLogits(Distribution):
    """Keeps the parameter that was given, and makes the other when it is asked for."""

    _is_binary = True

    @staticmethod
    def _check_one(probs: Any, logits: Any) -> None:
        """Refuse both and none, before either is looked at."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")

    def _keep(self, probs: Any, logits: Any) -> None:
        """Set the given one as an attribute."""
        self._check_one(probs, logits)
        if probs is not None:
            self.probs = self._param = probs
        else:
            self.logits = self._param = logits

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new._param = new.probs if "probs" in new.__dict__ else new.logits
        super()._finish_expand(new, batch_shape)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        """Log odds, or logarithms of the probabilities."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def param_shape(self) -> fb.Size:
        """Shape of the parameter."""
        return self._param.size()
