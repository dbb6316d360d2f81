"""A module as a graph of operators: `export` records it, `save` and `load` keep it in a file."""

from __future__ import annotations

from flambeau._lookup import lazy

# name -> submodule
_HOMES = {
    "AdditionalInputs": "dynamic_shapes",
    "Constraint": "dynamic_shapes",
    "CustomDecompTable": "decomp_utils",
    "Dim": "dynamic_shapes",
    "ExportBackwardSignature": "graph_signature",
    "ExportGraphSignature": "graph_signature",
    "ExportedProgram": "decomp_utils",
    "FlatArgsAdapter": "unflatten",
    "ModuleCallEntry": "exported_program",
    "ModuleCallSignature": "exported_program",
    "ShapesCollection": "dynamic_shapes",
    "UnflattenedModule": "unflatten",
    "default_decompositions": "decomp_utils",
    "dims": "dynamic_shapes",
    "draft_export": "_draft_export",
    "export": "_trace",
    "load": "_file",
    "register_dataclass": "_trace",
    "save": "_file",
}
_PARTS = ("custom_ops", "decomp_utils", "dynamic_shapes", "exported_program", "graph_signature", "unflatten")

__all__ = [*_HOMES, "unflatten"]
__getattr__ = lazy(__name__, _HOMES, _PARTS)


def __dir__() -> list[str]:
    return [*__all__, *_PARTS]
