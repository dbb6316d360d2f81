"""The multivariate normal distribution."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .distribution import Distribution
from .utils import _standard_normal, lazy_property

__all__ = ["MultivariateNormal"]


def _batch_mv(matrix: Tensor, vector: Tensor) -> Tensor:
    """Multiply matrices ``(..., n, m)`` with vectors ``(..., m)``, both broadcast."""
    return fb.matmul(matrix, vector.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(factor: Tensor, x: Tensor) -> Tensor:
    """Return ``x^T (L L^T)^-1 x`` for lower triangular ``L`` of ``(..., n, n)`` and ``x`` of ``(..., n)``.

    The batch of ``L`` may have dimensions of size one that ``x`` has larger, and need not be expanded: rows
    of ``x`` that share a factor are solved as columns of one system.
    """
    n = x.size(-1)
    batch = factor.shape[:-2]
    x = x.expand(fb.broadcast_shapes(x.shape[:-1], batch) + (n,))
    outer = x.dim() - 1 - len(batch)
    # Split each batch dimension of x into the factor's size and the rest.
    split = list(x.shape[:outer])
    for size, own in zip(x.shape[outer:-1], batch, strict=True):
        split += [size // own, own]
    x = x.reshape(split + [n])
    repeated = list(range(outer)) + list(range(outer, len(split), 2))
    owned = list(range(outer + 1, len(split), 2))
    columns = x.permute(*owned, len(split), *repeated)
    shape = columns.shape
    solved = fb.linalg.solve_triangular(factor, columns.reshape(batch + (n, -1)), upper=False)
    distances = solved.pow(2).sum(-2).reshape(shape[: len(owned)] + shape[len(owned) + 1 :])
    # Back to the order of x: outer dimensions, then each pair of the rest and the factor's.
    order = [len(owned) + i for i in range(outer)]
    for i in range(len(owned)):
        order += [len(owned) + outer + i, i]
    return distances.permute(order).reshape(x.shape[:0] + fb.Size(_joined(split, outer)))


def _joined(split: list[int], outer: int) -> list[int]:
    pairs = split[outer:]
    return split[:outer] + [a * b for a, b in zip(pairs[::2], pairs[1::2], strict=True)]


def _precision_to_scale_tril(precision: Tensor) -> Tensor:
    """Return the Cholesky factor of the inverse, by a factorization read from the last corner."""
    reverse = fb.linalg.cholesky(fb.flip(precision, (-2, -1)))
    inverse_factor = fb.transpose(fb.flip(reverse, (-2, -1)), -2, -1)
    identity = fb.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return fb.linalg.solve_triangular(inverse_factor, identity, upper=False)


def _half_log_det(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """Normal vectors of mean ``loc``.

    Parameters
    ----------
    loc : Tensor
        ``(..., n)``.
    covariance_matrix, precision_matrix, scale_tril : Tensor
        ``(..., n, n)``: one of the covariance, its inverse, and its Cholesky factor.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _batched = {"loc": 1, "covariance_matrix": 2, "precision_matrix": 2, "scale_tril": 2}

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix,
            "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            shown = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{shown} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = fb.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        self.loc = loc.expand(batch_shape + (-1,))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = fb.linalg.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(matrix)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        super()._finish_expand(new, batch_shape)

    def _expand_matrix(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Cholesky factor of the covariance."""
        return self._expand_matrix(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Covariance."""
        factor = self._unbroadcasted_scale_tril
        return self._expand_matrix(fb.matmul(factor, factor.mT))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Inverse of the covariance."""
        return self._expand_matrix(fb.cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = fb.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        eps = _standard_normal(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        half_log_det = _half_log_det(self._unbroadcasted_scale_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - half_log_det

    def entropy(self) -> Tensor:
        half_log_det = _half_log_det(self._unbroadcasted_scale_tril)
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half_log_det
        return entropy if not self._batch_shape else entropy.expand(self._batch_shape)
