"""Sparse gradients, for the core: it makes them of chosen rows, and adds them up."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ..autograd import Function
from .tensor import compressed, coo, is_sparse


def make(indices: Any, values: Any, size: Any) -> Any:
    """Return the COO tensor of rows (n, …) at coordinates (dimensions, n)."""
    return coo(indices, values, size)


def add(a: Any, b: Any) -> Any:
    """Return the sum of two gradients, dense if one of them is."""
    return b + a if is_sparse(a) and not is_sparse(b) else a + b


def blank(what: str, size: Any, dtype: Any, layout: Any, device: Any) -> Any:
    """Return a tensor of a sparse layout that stores nothing."""
    kind = str(layout).rpartition("_")[2]
    if kind == "coo":
        index = fb.zeros((len(size), 0), dtype=fb.int64, device=device)
        return coo(index, fb.zeros(0, dtype=dtype, device=device), size, True)
    if len(size) < 2:
        raise RuntimeError(
            f"torch.{what}: Only batched sparse compressed (non-block) tensors are supported, but got size"
            f" {list(size)}"
        )
    if kind not in ("csr", "csc"):
        raise RuntimeError(
            f"{what}_sparse_compressed expected sparse compressed (non-block) tensor layout but got"
            f" Sparse{kind.capitalize()}"
        )
    batch = size[:-2]
    starts = fb.zeros(*batch, size[-1 if kind == "csc" else -2] + 1, dtype=fb.int64, device=device)
    none = fb.zeros(*batch, 0, dtype=fb.int64, device=device)
    return compressed(kind, starts, none, fb.zeros(*batch, 0, dtype=dtype, device=device), size)


class SampledAddmm(Function):
    """The stored values of ``beta * input + alpha * (mat1 @ mat2)``.

    The cotangent is that of the stored values, or of the whole matrix as a COO tensor of all its elements.
    The gradient of `input` is the cotangent as it came: PyTorch does not restrict it to stored places.
    """

    @staticmethod
    def forward(input: Any, mat1: Any, mat2: Any, places: Any, factors: Any) -> Any:
        beta, alpha = factors
        rows, cols = places
        terms = (mat1.index_select(0, rows) * mat2.index_select(1, cols).t()).sum(-1)
        return input._values() * beta + terms * alpha

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        _, mat1, mat2, ctx.places, ctx.factors = inputs
        ctx.save_for_backward(mat1, mat2)

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple:
        mat1, mat2 = ctx.saved_tensors
        rows, cols = ctx.places
        beta, alpha = ctx.factors
        full = is_sparse(g)
        to_input = g.like(g._values() * _conjugate(beta)) if full else g * _conjugate(beta)
        stored = (g.to_dense()[rows, cols] if full else g) * _conjugate(alpha)
        cotangent = fb.zeros(mat1.shape[0], mat2.shape[1], dtype=mat1.dtype, device=mat1.device)
        cotangent = cotangent.index_put((rows, cols), stored)
        return to_input, cotangent @ mat2.mH, mat1.mH @ cotangent, None, None


def _conjugate(number: complex) -> complex:
    return number.conjugate() if isinstance(number, complex) else number


def node_of_whole(out: Any) -> Any:
    """The node behind a sparse tensor if it takes the cotangent of the whole matrix, or None."""
    node = out.grad_fn
    while node is not None and node.name() == "AliasBackward0":
        node = node.next_functions[0][0]
    return node if isinstance(node, SampledAddmm._backward_cls) else None


def whole(cotangent: Any) -> Any:
    """A strided cotangent as a COO tensor that stores all of it."""
    places = fb.ones(cotangent.shape, dtype=fb.bool).nonzero().t()
    return coo(places, cotangent.reshape(-1), cotangent.shape, True)
