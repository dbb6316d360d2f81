"""A module as a graph of operators: `export` records it, `save` and `load` keep it in a file."""

from __future__ import annotations

import importlib
from typing import Any

# name -> submodule
_HOMES = {
    "CustomDecompTable": "decomp_utils",
    "Dim": "dynamic_shapes",
    "ExportGraphSignature": "graph_signature",
    "ExportedProgram": "exported_program",
    "ModuleCallEntry": "exported_program",
    "ModuleCallSignature": "exported_program",
    "default_decompositions": "decomp_utils",
    "dims": "dynamic_shapes",
    "export": "_trace",
    "load": "_file",
    "register_dataclass": "_trace",
    "save": "_file",
}
_PARTS = ("decomp_utils", "dynamic_shapes", "exported_program", "graph_signature")

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name in _PARTS:
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, *_PARTS]
