"""Why a graph ended."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

__all__ = ["GraphCompileReason"]


@dataclass
class GraphCompileReason:
    """Why a graph ended, and the lines of the program where it did."""

    reason: str
    user_stack: list[traceback.FrameSummary]
    graph_break: bool = True
