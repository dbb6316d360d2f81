"""Operators on sparse tensors that few programs use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from .tensor import is_sparse, replace

__all__ = ["RULES"]


def _part(name: str) -> Callable:
    def copied(input: Any) -> Any:
        return getattr(input, name)().clone()

    return copied


def hspmm(mat1: Any, mat2: Any) -> Any:
    """Product of a sparse and a dense matrix, whose rows that are not zero are stored whole."""
    rows = mat1.coalesce().indices()[0].unique()
    return fb.sparse_coo_tensor(rows[None], fb.mm(mat1, mat2)[rows], (mat1.shape[0], mat2.shape[1]))


def sspaddmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` of sparse `input` and `mat1`, as a sparse matrix."""
    if not is_sparse(input):
        raise RuntimeError("sspaddmm: Argument #1: Expected a sparse tensor, but got a strided one")
    for place, mat in ((2, mat1), (3, mat2)):
        if mat.dim() != 2:
            raise RuntimeError(f"sspaddmm: Argument #{place}: matrices expected, got {mat.dim()}D tensor")
    rows, columns = mat1._indices()[0].unique(), fb.arange(mat2.shape[1])
    product = fb.stack([rows.repeat_interleave(len(columns)), columns.repeat(len(rows))])
    terms = fb.mm(mat1, mat2)[rows].flatten() * alpha
    index = fb.cat([input._indices(), product], 1)
    return fb.sparse_coo_tensor(index, fb.cat([input._values() * beta, terms]), input.shape)


def native_norm(input: Any, p: Any = 2) -> Any:
    """Norm of the values that a sparse tensor stores."""
    return input.coalesce()._values().norm(p)


def _resized(input: Any, size: Sequence[int], sparse_dim: int, dense_dim: int, keep: bool) -> Any:
    size, old = tuple(size), tuple(input.shape)
    if len(size) != sparse_dim + dense_dim:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({sparse_dim}) + dense_dim ({dense_dim}), but got"
            f" {len(size)}"
        )
    if input.requires_grad:
        raise RuntimeError("flambeau cannot resize a sparse tensor that requires gradients")
    if keep and input._nnz():
        for kind, count, have in (
            ("sparse", sparse_dim, input.sparse_dim()),
            ("dense", dense_dim, input.dense_dim()),
        ):
            if count != have:
                raise RuntimeError(
                    f"changing the number of {kind} dimensions (from {have} to {count}) on a non-empty sparse"
                    " tensor is not supported."
                )
        if any(new < now for new, now in zip(size[:sparse_dim], old)):
            raise RuntimeError(
                f"shrinking the size of sparse dimensions (from {list(old[:sparse_dim])} to "
                f"{list(size[:sparse_dim])}) on a non-empty sparse tensor is not supported."
            )
        if size[sparse_dim:] != old[sparse_dim:]:
            raise NotImplementedError("flambeau cannot change the dense dimensions of stored values yet")
        input.__dict__["_size"] = size
        return input
    empty = fb.sparse_coo_tensor(
        fb.empty(sparse_dim, 0, dtype=fb.int64), fb.empty((0, *size[sparse_dim:]), dtype=input.dtype), size
    )
    return replace(input, empty)


def sparse_resize_(input: Any, size: Sequence[int], sparse_dim: int, dense_dim: int) -> Any:
    """Change the shape of a sparse tensor in place; sparse dimensions with values may only grow."""
    return _resized(input, size, sparse_dim, dense_dim, True)


def sparse_resize_and_clear_(input: Any, size: Sequence[int], sparse_dim: int, dense_dim: int) -> Any:
    """Change the shape of a sparse tensor in place and drop its values."""
    return _resized(input, size, sparse_dim, dense_dim, False)


def resize_as_sparse_(input: Any, the_template: Any) -> Any:
    """Change the shape of a sparse tensor to that of another one."""
    if tuple(input.shape) == tuple(the_template.shape):
        return input
    return _resized(input, the_template.shape, the_template.sparse_dim(), the_template.dense_dim(), True)


_parts = "indices values crow_indices col_indices ccol_indices row_indices".split()
RULES: dict[str, Callable] = {
    **{f"{name}_copy": _part(name) for name in _parts},
    "hspmm": hspmm,
    "hsmm": hspmm,
    "sspaddmm": sspaddmm,
    "native_norm": native_norm,
    "sparse_resize_": sparse_resize_,
    "sparse_resize_and_clear_": sparse_resize_and_clear_,
    "resize_as_sparse_": resize_as_sparse_,
}
