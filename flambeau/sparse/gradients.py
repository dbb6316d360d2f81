"""Sparse gradients, for the core: it makes them of chosen rows, and adds them up."""

from __future__ import annotations

from typing import Any

from .tensor import coo, is_sparse


def make(indices: Any, values: Any, size: Any) -> Any:
    """Return the COO tensor of rows (n, …) at coordinates (dimensions, n)."""
    return coo(indices, values, size)


def add(a: Any, b: Any) -> Any:
    """Return the sum of two gradients, dense if one of them is."""
    return b + a if is_sparse(a) and not is_sparse(b) else a + b
