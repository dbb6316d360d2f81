"""Functions that PyTorch 1.9 removed: they still have their names, and say what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["eig", "lstsq", "matrix_rank", "solve", "symeig"]


def _gone(reason: str, instead: str) -> NoReturn:
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed."
        f"{reason and ' ' + reason}\n{instead}"
    )


def eig(self: Any, eigenvectors: bool = False, *, e: Any = None, v: Any = None) -> NoReturn:
    """Removed: use `linalg.eig`."""
    _gone(
        "`torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real "
        "tensors mimicking complex tensors.",
        "L, V = torch.linalg.eig(A), or torch.linalg.eigvals(A) for the eigenvalues alone",
    )


def lstsq(input: Any, A: Any, *, out: Any = None) -> NoReturn:
    """Removed: use `linalg.lstsq`."""
    _gone(
        "`torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`.",
        "X = torch.linalg.lstsq(A, B).solution; its arguments are the other way round",
    )


def matrix_rank(input: Any, tol: Any = None, symmetric: bool = False, *, out: Any = None) -> NoReturn:
    """Removed: use `linalg.matrix_rank`."""
    _gone("", "Use torch.linalg.matrix_rank(A, tol=..., hermitian=...)")


def solve(input: Any, A: Any, *, out: Any = None) -> NoReturn:
    """Removed: use `linalg.solve`."""
    _gone(
        "`torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` has its "
        "arguments reversed and does not return the LU factorization.",
        "X = torch.linalg.solve(A, B); torch.linalg.lu_factor(A) gives the factors",
    )


def symeig(input: Any, eigenvectors: bool = False, upper: bool = True, *, out: Any = None) -> NoReturn:
    """Removed: use `linalg.eigh`."""
    _gone(
        "The default behavior has changed from using the upper triangular portion of the matrix by default "
        "to using the lower triangular portion.",
        "L, V = torch.linalg.eigh(A, UPLO='U' if upper else 'L')",
    )
