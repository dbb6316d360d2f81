"""Operators in terms of others, by operator: those that `export` has. They are fewer than PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flambeau._ops import OpOverload
from flambeau.export.decomp_utils import CustomDecompTable
from flambeau.export.decomp_utils import default_decompositions as core_aten_decompositions

__all__ = ["core_aten_decompositions", "get_decompositions"]


def get_decompositions(aten_ops: Iterable[Any], type: str = "post_autograd") -> dict[Any, Callable]:
    """The functions for some operators, or all overloads of some; those that there are none for are left
    out."""
    if type not in ("post_autograd", "pre_autograd", "meta"):
        raise AssertionError(f"unknown type of decompositions: {type!r}")
    table: CustomDecompTable = core_aten_decompositions()
    wanted: list[Any] = []
    for op in aten_ops:
        wanted += [op] if isinstance(op, OpOverload) else [getattr(op, name) for name in op.overloads()]
    return {op: table[op] for op in wanted if op in table} if type == "post_autograd" else {}
