"""Helpers of the distributions: broadcast parameters, probabilities and logits, triangles as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from numbers import Number
from typing import Any

import flambeau as fb
from flambeau import Tensor

__all__ = [
    "broadcast_all",
    "logits_to_probs",
    "clamp_probs",
    "probs_to_logits",
    "lazy_property",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Turn numbers into tensors like the others', and expand all to their common shape.

    Parameters
    ----------
    *values : Tensor or number
    """
    tensors = [v for v in values if isinstance(v, Tensor) or hasattr(v, "__torch_function__")]
    if not all(any(v is t for t in tensors) or isinstance(v, Number) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    if len(tensors) < len(values):
        like = {"dtype": fb.get_default_dtype()}
        for t in tensors:
            if isinstance(t, Tensor):
                like = {"dtype": t.dtype, "device": t.device}
                break
        values = tuple(fb.tensor(v, **like) if isinstance(v, Number) else v for v in values)
    return fb.broadcast_tensors(*values)


def _standard_normal(shape: Sequence[int], dtype: Any, device: Any) -> Tensor:
    return fb.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """Sum over the last ``dim`` dimensions."""
    if dim == 0:
        return value
    return value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Return probabilities for log odds, or for logarithms of unnormalized probabilities."""
    return fb.sigmoid(logits) if is_binary else fb.nn.functional.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Keep probabilities inside the open interval (0, 1)."""
    eps = fb.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Return log odds, or logarithms, of probabilities."""
    inside = clamp_probs(probs)
    return fb.log(inside) - fb.log1p(-inside) if is_binary else fb.log(inside)


class lazy_property:
    """A property computed once, when first asked for, and then kept as an attribute."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        update_wrapper(self, wrapped)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with fb.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """Return the entries on and below a diagonal, row by row.

    Parameters
    ----------
    mat : Tensor
        ``(..., n, n)``.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = fb.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Return the matrices whose entries on and below a diagonal are given row by row.

    Parameters
    ----------
    vec : Tensor
        ``(..., n (n + 1) / 2)`` for the main diagonal.
    """
    entries = vec.shape[-1]
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * entries + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if abs(round(n) - n) > fb.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {entries} which cannot be expressed as the lower triangular part "
            "of a square D x D matrix."
        )
    n = round(n)
    rows, columns = fb.tril_indices(n, n, diag, device=vec.device)
    matrix = vec.new_zeros(vec.shape[:-1] + fb.Size((n, n)))
    matrix[..., rows, columns] = vec
    return matrix
