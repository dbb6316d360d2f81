"""The types of symbolic numbers. Shapes are plain integers here: programs ask `isinstance`."""

from __future__ import annotations

from typing import Any


class _Symbolic:
    def __init__(self, node: Any) -> None:
        raise NotImplementedError(
            f"flambeau has no symbolic shapes: torch.{type(self).__name__} cannot be constructed"
        )


class SymInt(_Symbolic):
    """An integer that a tracer does not know yet."""


class SymFloat(_Symbolic):
    """A float that a tracer does not know yet."""


class SymBool(_Symbolic):
    """A truth value that a tracer does not know yet."""
