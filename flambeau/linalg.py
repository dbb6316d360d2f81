"""Linear algebra: `flambeau.linalg`."""

from __future__ import annotations

from typing import Any

from flambeau import _C

__all__ = """
LinAlgError cholesky cholesky_ex cond cross det diagonal eig eigh eigvals eigvalsh householder_product inv
inv_ex ldl_factor
ldl_factor_ex ldl_solve lstsq lu lu_factor lu_factor_ex lu_solve matmul matrix_exp matrix_norm matrix_power
matrix_rank multi_dot norm
pinv qr slogdet solve solve_ex solve_triangular svd svdvals tensorinv tensorsolve vander vecdot vector_norm
""".split()

LinAlgError = _C._LinAlgError


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from .ops import registry

    op = registry.resolve("linalg_" + name)
    if op is None:
        raise NotImplementedError(f"flambeau.linalg.{name} is not there yet")
    globals()[name] = op
    return op


def __dir__() -> list[str]:
    return __all__
