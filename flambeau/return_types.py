"""Named tuples that operators with several results return; they print as PyTorch's do."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

__all__ = ["named"]


def _repr(self: Any) -> str:
    inside = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
    return f"torch.return_types.{type(self).__name__}(\n{inside})"


def named(name: str, fields: str) -> type:
    """The result class of an operator: a named tuple of its fields."""
    if name in globals():
        return globals()[name]
    made = type(
        name, (namedtuple(name, fields),), {"__slots__": (), "__repr__": _repr, "__module__": __name__}
    )
    globals()[name] = made
    return made


def __getattr__(name: str) -> Any:
    from . import _C

    found = getattr(_C, "return_types", None)
    if found is not None and hasattr(found, name):
        return getattr(found, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
