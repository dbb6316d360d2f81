"""Looking at a network: a table of its layers, a picture of its graph, an examination of one training step.

The package shows them as ``flambeau.summary``, ``flambeau.graph`` and ``flambeau.doctor``.
"""

from __future__ import annotations

from flambeau._lookup import lazy

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

__getattr__ = lazy(__name__, _HOMES)
