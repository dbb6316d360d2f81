"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from math import nan
from numbers import Number
from typing import Any

import flambeau as fb
from flambeau import Tensor

from . import constraints
from .exp_family import ExponentialFamily
from .gamma import Gamma
from .multivariate_normal import _half_log_det, _precision_to_scale_tril
from .utils import lazy_property

__all__ = ["Wishart"]


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    assert x.gt((p - 1) / 2).all(), "Wrong domain for multivariate digamma function."
    halves = fb.arange(p, dtype=x.dtype, device=x.device).div(2)
    return fb.digamma(x.unsqueeze(-1) - halves.expand(x.shape + (-1,))).sum(-1)


def _clamp_above_eps(x: Tensor) -> Tensor:
    return x.clamp(min=fb.finfo(x.dtype).eps)


class Wishart(ExponentialFamily):
    """Sum of ``df`` outer products of normal vectors of mean zero.

    Parameters
    ----------
    df : Tensor or float
        Degrees of freedom, more than ``n - 1``.
    covariance_matrix, precision_matrix, scale_tril : Tensor
        ``(..., n, n)``: one of the covariance of the vectors, its inverse, and its Cholesky factor.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _batched = {"df": 0, "scale_tril": 2, "covariance_matrix": 2, "precision_matrix": 2}

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """What the parameters may be."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {
            "scale_tril": scale_tril,
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
        }
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch dimensions"
            )
        if isinstance(df, Number):
            batch_shape = fb.Size(matrix.shape[:-2])
            self.df = fb.tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            batch_shape = fb.broadcast_shapes(matrix.shape[:-2], df.shape)
            self.df = df.expand(batch_shape)
        event_shape = matrix.shape[-2:]
        if self.df.le(event_shape[-1] - 1).any():
            raise ValueError(
                f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}."
            )
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        if self.df.lt(event_shape[-1]).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < "
                "df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._batch_dims = [-(x + 1) for x in range(len(self._batch_shape))]
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = fb.linalg.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(matrix)
        self._dist_chi2 = self._chi2(self.df, batch_shape)

    def _chi2(self, df: Tensor, batch_shape: fb.Size) -> Gamma:
        """Squares of the diagonal of Bartlett's factor, as gamma variables."""
        n = self._event_shape[-1]
        row = fb.arange(n, dtype=df.dtype, device=df.device).expand(batch_shape + (-1,))
        concentration = (df.expand(batch_shape).unsqueeze(-1) - row) / 2
        return Gamma(concentration, 0.5, validate_args=False)

    def _finish_expand(self, new: Any, batch_shape: fb.Size) -> None:
        super()._finish_expand(new, batch_shape)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril.expand(batch_shape + self._event_shape)
        new._batch_dims = [-(x + 1) for x in range(len(batch_shape))]
        new._dist_chi2 = new._chi2(new.df, batch_shape)

    def _expand_matrix(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """Cholesky factor of the covariance."""
        return self._expand_matrix(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the vectors."""
        factor = self._unbroadcasted_scale_tril
        return self._expand_matrix(factor @ factor.transpose(-2, -1))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Inverse of the covariance."""
        return self._expand_matrix(fb.cholesky_inverse(self._unbroadcasted_scale_tril))

    def _df_of_matrix(self) -> Tensor:
        return self.df.view(self._batch_shape + (1, 1))

    @property
    def mean(self) -> Tensor:
        return self._df_of_matrix() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = fb.where(factor <= 0, nan, factor)
        return factor.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self._df_of_matrix() * (v.pow(2) + fb.einsum("...i,...j->...ij", diagonal, diagonal))

    def _bartlett_sampling(self, sample_shape: Any = fb.Size()) -> Tensor:
        p = self._event_shape[-1]
        noise = _clamp_above_eps(self._dist_chi2.rsample(sample_shape).sqrt()).diag_embed(dim1=-2, dim2=-1)
        rows, columns = fb.tril_indices(p, p, offset=-1)
        shape = fb.Size(sample_shape) + self._batch_shape + (p * (p - 1) // 2,)
        noise[..., rows, columns] = fb.randn(shape, dtype=noise.dtype, device=noise.device)
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.transpose(-2, -1)

    def rsample(self, sample_shape: Any = fb.Size(), max_try_correction: int | None = None) -> Tensor:
        """Draw matrices.

        Parameters
        ----------
        max_try_correction : int, optional
            How often singular matrices are drawn again (10).
        """
        sample = self._bartlett_sampling(fb.Size(sample_shape))
        # PyTorch takes the valid matrices of the first draw for singular ones, and draws them again: so that
        # seeded samples are equal, this is done here as well. From then on the singular ones are drawn again.
        again = self._any_in_batch(self.support.check(sample))
        for _ in range(10 if max_try_correction is None else max_try_correction):
            if not again.any():
                return sample
            drawn = self._bartlett_sampling(again[again].shape)
            sample[again] = drawn
            again = again.clone()
            again[again.clone()] = self._any_in_batch(~self.support.check(drawn))
        if again.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
        return sample

    def _any_in_batch(self, flags: Tensor) -> Tensor:
        return flags.amax(self._batch_dims) if self._batch_shape else flags

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        factor = self._unbroadcasted_scale_tril
        trace = fb.cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return (
            -nu * (p * math.log(2) / 2 + _half_log_det(factor))
            - fb.mvlgamma(nu / 2, p=p)
            + (nu - p - 1) / 2 * fb.linalg.slogdet(value).logabsdet
            - trace / 2
        )

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        return (
            (p + 1) * (p * math.log(2) / 2 + _half_log_det(self._unbroadcasted_scale_tril))
            + fb.mvlgamma(nu / 2, p=p)
            - (nu - p - 1) / 2 * _mvdigamma(nu / 2, p=p)
            + nu * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        p = self._event_shape[-1]
        return -self.precision_matrix / 2, (self.df - p - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        p = self._event_shape[-1]
        log_det = fb.linalg.slogdet(-2 * x).logabsdet
        return (y + (p + 1) / 2) * (-log_det + math.log(2) * p) + fb.mvlgamma(y + (p + 1) / 2, p=p)
