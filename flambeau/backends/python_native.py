"""Kernels that PyTorch has in languages inside Python (Triton, CuTe): which may take the place of others.

There are none here. The switches are kept, and say of every operator what was set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "all_dsls", "available_dsls", "cutedsl", "disable_dispatch_keys", "disable_operations",
    "enable_dispatch_keys", "enable_operations", "get_dsl_operations", "is_dsl_disabled",
    "is_operation_disabled", "operations_disabled", "triton",
]  # fmt: skip

all_dsls = ["cutedsl", "triton"]
available_dsls: list[str] = []
_operations: set[str] = set()
_keys: set[str] = set()


class DSLController:
    """The switch of one language.

    Parameters
    ----------
    dsl_name : its name.
    """

    def __init__(self, dsl_name: str) -> None:
        self.name = dsl_name
        self.enabled = True

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Context manager: without its kernels."""
        before, self.enabled = self.enabled, False
        try:
            yield
        finally:
            self.enabled = before


triton, cutedsl = DSLController("triton"), DSLController("cutedsl")


def get_dsl_operations(dsl_name: str) -> list[str]:
    """The operators that have a kernel in a language: none.

    Parameters
    ----------
    dsl_name : ``"triton"`` or ``"cutedsl"``.
    """
    return []


def disable_operations(*op_symbols: str) -> None:
    """Do without such kernels for these operators.

    Parameters
    ----------
    *op_symbols : their names.
    """
    _operations.update(op_symbols)


def enable_operations(*op_symbols: str) -> None:
    """Allow them again.

    Parameters
    ----------
    *op_symbols : names of operators.
    """
    _operations.difference_update(op_symbols)


def disable_dispatch_keys(*dispatch_keys: str) -> None:
    """Do without such kernels on these devices.

    Parameters
    ----------
    *dispatch_keys : such as ``"CUDA"``.
    """
    _keys.update(dispatch_keys)


def enable_dispatch_keys(*dispatch_keys: str) -> None:
    """Allow them again.

    Parameters
    ----------
    *dispatch_keys : such as ``"CUDA"``.
    """
    _keys.difference_update(dispatch_keys)


@contextmanager
def operations_disabled(*op_symbols: str) -> Iterator[None]:
    """Context manager: without such kernels for these operators.

    Parameters
    ----------
    *op_symbols : their names.
    """
    before = set(_operations)
    disable_operations(*op_symbols)
    try:
        yield
    finally:
        _operations.clear()
        _operations.update(before)


def is_operation_disabled(op_symbol: str) -> bool:
    """Whether such kernels of an operator are switched off.

    Parameters
    ----------
    op_symbol : its name.
    """
    return op_symbol in _operations


def is_dsl_disabled(dsl_name: str) -> bool:
    """Whether a language is switched off.

    Parameters
    ----------
    dsl_name : its name.
    """
    return not {"triton": triton, "cutedsl": cutedsl}[dsl_name].enabled
