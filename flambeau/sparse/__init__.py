"""Functions of sparse tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from . import rules
from .gradcheck import as_sparse_gradcheck
from .tensor import coo, is_sparse, replace

__all__ = [
    "addmm", "check_sparse_tensor_invariants", "mm", "sampled_addmm", "sum", "softmax", "log_softmax",
    "spdiags", "spsolve", "as_sparse_gradcheck", "SparseSemiStructuredTensor",
    "SparseSemiStructuredTensorCUTLASS", "SparseSemiStructuredTensorCUSPARSELT", "to_sparse_semi_structured",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in __all__ or name == "semi_structured":
        module = import_module(".semi_structured", __name__)
        return module if name == "semi_structured" else getattr(module, name)
    if name.endswith("Tensor"):
        found = import_module(".old_types", __name__).CLASSES.get(name)
        if found is not None:
            return found
    raise AttributeError(f"module 'torch.sparse' has no attribute '{name}'")


def _parsed_as(*overloads: str) -> Callable[[Callable], Callable]:
    """Decorator that checks arguments against the schemas of the operator behind a function."""

    @functools.lru_cache(None)
    def check(has_out: bool) -> Callable[..., None]:
        return _C._ArgumentCheck(overloads, False, has_out)

    def decorate(body: Callable) -> Callable:
        @functools.wraps(body)
        def function(*args: Any, **kwargs: Any) -> Any:
            with _C.DisableTorchFunctionSubclass():
                check("out" in kwargs)(*args, **kwargs)
            return body(*args, **kwargs)

        return function

    return decorate


_REDUCE = {"sum": "sum", "mean": "mean", "amax": "amax", "amin": "amin"}


@_parsed_as(
    "_sparse_mm(Tensor sparse, Tensor dense) -> Tensor",
    "_sparse_mm(Tensor sparse, Tensor dense, str reduce) -> Tensor",
)
def mm(sparse: Any, dense: Any, reduce: str = "sum") -> Any:
    """Product of a sparse matrix with a sparse or dense one.

    `reduce` (``"sum"``, ``"mean"``, ``"amax"``, ``"amin"``) combines the terms of the stored values of a row;
    CSR and dense only.
    """
    if reduce == "sum":
        return rules.matrix_product(sparse, dense)
    if reduce not in _REDUCE:
        raise RuntimeError(
            f"torch.sparse.mm: reduce argument must be one of 'sum', 'mean', 'amax', 'amin', got {reduce}"
        )
    (rows, cols), values = sparse._elements()
    terms = values.unsqueeze(-1) * dense.index_select(0, cols)
    result = fb.zeros((sparse.shape[0], dense.shape[1]), dtype=terms.dtype)
    return result.scatter_reduce(
        0, rows.unsqueeze(-1).expand(terms.shape), terms, _REDUCE[reduce], include_self=False
    )


@_parsed_as(
    "_sparse_addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor"
)
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Any:
    """``beta * input + alpha * mat1 @ mat2`` with a sparse `mat1`."""
    return fb.addmm(input, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """Sum of the stored values, or over dimensions (sparse as long as a dimension of coordinates is left)."""
    return rules.sum_over(input, dim, dtype)


@_parsed_as(
    "_sparse_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
    "_sparse_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
)
def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """Softmax over stored values."""
    return rules.softmax(input, dim, False, dtype)


@_parsed_as(
    "_sparse_log_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
    "_sparse_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
)
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """Logarithm of `softmax`."""
    return rules.softmax(input, dim, True, dtype)


@_parsed_as(
    "sparse_sampled_addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor"
)
def sampled_addmm(
    input: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0, out: Any = None
) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` at the places that the CSR tensor `input` stores."""
    from .gradients import SampledAddmm

    if not is_sparse(input):
        raise NotImplementedError(
            "Could not run 'aten::sparse_sampled_addmm' with an input that is not of layout torch.sparse_csr"
        )
    if input.kind != "csr":
        layout = "Sparse" if input.kind == "coo" else "Sparse" + input.kind.capitalize()
        raise RuntimeError(f"sampled_addmm: Expected result to have sparse csr layout, but got {layout}")
    if mat1.shape[-1] != mat2.shape[-2]:
        raise RuntimeError(
            "sampled_addmm: mat1 and mat2 shapes cannot be multiplied "
            f"({mat1.shape[0]}x{mat1.shape[1]} and {mat2.shape[0]}x{mat2.shape[1]})"
        )
    places = tuple(input._coordinates())
    result = input.like(SampledAddmm.apply(input, mat1, mat2, places, (beta, alpha)))
    return result if out is None else replace(out, result)


@_parsed_as("_spdiags(Tensor diagonals, Tensor offsets, int[] shape, Layout? layout=None) -> Tensor")
def spdiags(diagonals: Any, offsets: Any, shape: Sequence[int], layout: Any = None) -> Any:
    """A matrix with the rows of `diagonals` on the diagonals `offsets`."""
    rows, cols, values = [], [], []
    for d, k in zip(fb.atleast_2d(diagonals), fb.atleast_1d(offsets).tolist()):
        c = fb.arange(min(d.shape[0], shape[1]))
        r = c - k
        inside = ((r >= 0) & (r < shape[0])).nonzero().flatten()
        rows.append(r[inside])
        cols.append(c[inside])
        values.append(d.index_select(0, c[inside]))
    made = coo(fb.stack([fb.cat(rows), fb.cat(cols)]), fb.cat(values), shape)
    return made if layout is None else made.to_sparse(layout=layout)


def spsolve(input: Any, other: Any, *, left: bool = True) -> Any:
    """Not there: there is no sparse solver below."""
    raise NotImplementedError("flambeau.sparse.spsolve is not there yet; solve with input.to_dense()")


class check_sparse_tensor_invariants:
    """Switch that makes constructors check indices: at once, as a context manager, or for a function."""

    _enabled = False

    def __init__(self, enable: bool = True) -> None:
        self.state = enable

    @classmethod
    def is_enabled(cls) -> bool:
        """Whether indices are checked."""
        return cls._enabled

    @classmethod
    def enable(cls) -> None:
        """Check from now on."""
        cls._enabled = True

    @classmethod
    def disable(cls) -> None:
        """Do not check."""
        cls._enabled = False

    def __enter__(self) -> check_sparse_tensor_invariants:
        self.before = check_sparse_tensor_invariants._enabled
        check_sparse_tensor_invariants._enabled = self.state
        return self

    def __exit__(self, *exc: object) -> None:
        check_sparse_tensor_invariants._enabled = self.before

    def __call__(self, func: Any) -> Any:
        import functools

        @functools.wraps(func)
        def checked(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self.state):
                return func(*args, **kwargs)

        return checked
