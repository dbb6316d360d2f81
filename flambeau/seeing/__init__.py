"""Looking at a network: a table of its layers, a picture of its graph, an examination of one training step.

The package shows them as ``flambeau.summary``, ``flambeau.graph`` and ``flambeau.doctor``.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "summary": "_summary",
    "Layer": "_summary",
    "ModelSummary": "_summary",
    "graph": "_graph",
    "Graph": "_graph",
    "doctor": "_doctor",
    "Checkup": "_findings",
    "Finding": "_findings",
}
__all__ = ["Checkup", "Finding", "Graph", "Layer", "ModelSummary", "doctor", "graph", "summary"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
