"""``torch.ops.quantized``: the operators by schema; the files that define them are loaded at itfirst use."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["find", "names", "operator"]

_FUNCTIONS: dict[str, dict[str, tuple[str, Callable]]] = {}
_FILES = ("arithmetic", "layers", "embeddings")
_CLASS = "__torch__.torch.classes.quantized."


def operator(*schemas: str) -> Callable[[Callable], Callable]:
    """Decorator that enters a function under the names of its schemas, ``quantized::`` left out.

    ``Packed`` types are short for the classes of packed weights in PyTorch's schemas.
    """

    def enter(f: Callable) -> Callable:
        for schema in schemas:
            name, _, overload = schema[: schema.index("(")].partition(".")
            text = schema
            for short in ("Linear", "Conv2d", "Conv3d", "Embedding"):
                text = text.replace(f"{short}Packed ", f"{_CLASS}{short}PackedParamsBase ")
                text = text.replace(f"-> {short}Packed", f"-> {_CLASS}{short}PackedParamsBase")
            _FUNCTIONS.setdefault(name, {})[overload] = ("quantized::" + text, f)
        return f

    return enter


def _load() -> None:
    for name in _FILES:
        importlib.import_module("." + name, __package__)


def names() -> list[str]:
    """The names of all operators."""
    _load()
    return list(_FUNCTIONS)


def find(name: str) -> dict[str, tuple[str, Callable]] | None:
    """The overloads of an operator with their schemas and functions; None where there is none."""
    _load()
    return _FUNCTIONS.get(name)


def function(name: str) -> Any:
    """The function of an operator without overloads."""
    found = find(name)
    assert found is not None, name
    return next(iter(found.values()))[1]
