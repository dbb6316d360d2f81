"""The base of all distributions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """Base class of the distributions.

    Parameters
    ----------
    batch_shape, event_shape : Size
        Shape of independent distributions, and of one value.
    validate_args : bool, optional
        Check parameters and values; :meth:`set_default_validate_args` decides unless given.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__
    #: Attributes that follow the batch shape, with the number of event dimensions each has besides.
    _batched: dict[str, int] | None = None

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Turn checks on or off for distributions made from now on."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: fb.Size = fb.Size(),
        event_shape: fb.Size = fb.Size(),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = batch_shape
        self._event_shape = event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    def _check_parameters(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            arg_constraints = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # made from a parameter that is checked itself
            value = getattr(self, name)
            if not fb._is_all_true(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of "
                    f"distribution {self!r} to satisfy the constraint {constraint!r}, but found "
                    "invalid values:\n"
                    f"{value}"
                )

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Distribution:
        """Return the same distribution with its batch expanded to a larger shape.

        Parameters
        ----------
        batch_shape : Size
        """
        owner = next((c for c in type(self).__mro__ if c.__dict__.get("_batched") is not None), None)
        if owner is None:
            raise NotImplementedError
        new = self._get_checked_instance(owner, _instance)
        batch_shape = fb.Size(batch_shape)
        for name, event_dims in owner._batched.items():
            value = self.__dict__.get(name)
            if value is not None:
                setattr(new, name, value.expand(batch_shape + value.shape[value.dim() - event_dims :]))
        self._finish_expand(new, batch_shape)
        return new

    def _finish_expand(self, new: Distribution, batch_shape: fb.Size) -> None:
        """Set what every expanded distribution has; those with further parts override this."""
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    @property
    def batch_shape(self) -> fb.Size:
        """Shape of the independent distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> fb.Size:
        """Shape of one value."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """By name, what each parameter may be."""
        raise NotImplementedError

    @property
    def support(self) -> constraints.Constraint | None:
        """What the values may be."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most likely value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = fb.Size()) -> Tensor:
        """Draw values, without gradients.

        Returns
        -------
        Tensor
            ``sample_shape + batch_shape + event_shape``.
        """
        with fb.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = fb.Size()) -> Tensor:
        """Draw values as a differentiable function of the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """Draw ``n`` values; deprecated, use ``sample((n,))``."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2
        )
        return self.sample(fb.Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the density, or probability, of values."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most ``value``."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of a probability."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values along a new first dimension, expanded over the batch if ``expand``."""
        raise NotImplementedError

    def _enumerate(self, values: Tensor, expand: bool) -> Tensor:
        """Lay the values of a scalar event along the first dimension."""
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1,) + self._batch_shape) if expand else values

    def entropy(self) -> Tensor:
        """Return the entropy, in nats."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """Return the exponential of the entropy."""
        return fb.exp(self.entropy())

    def _extended_shape(self, sample_shape: Sequence[int] = fb.Size()) -> fb.Size:
        return fb.Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        event_start = len(value.size()) - len(self._event_shape)
        if value.size()[event_start:] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.size()} vs {self._event_shape}."
            )
        actual, expected = value.size(), self._batch_shape + self._event_shape
        for i, j in zip(reversed(actual), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {actual} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        assert support is not None
        if not fb._is_all_true(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be "
                f"within the support ({support!r}) of the distribution {self!r}, but found invalid values:\n"
                f"{value}"
            )

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__]
        values = [self.__dict__[name] for name in names]
        shown = (f"{n}: {v if v.numel() == 1 else v.size()}" for n, v in zip(names, values, strict=True))
        return f"{self.__class__.__name__}({', '.join(shown)})"
