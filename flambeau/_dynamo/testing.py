"""``torch._dynamo.testing``: backends that count what they are given, for tests of what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["CompileCounter", "CompileCounterWithBackend", "EagerAndRecordGraphs"]


class CompileCounter:
    """A backend that runs graphs as they are; counts them (`frame_count`) and calls in them (`op_count`)."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Count from nought again."""
        self.frame_count = self.op_count = 0

    def __call__(self, gm: Any, example_inputs: Any) -> Callable:
        self.frame_count += 1
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)
        return gm.forward


class EagerAndRecordGraphs:
    """A backend that runs graphs as they are and keeps them in ``graphs``."""

    def __init__(self) -> None:
        self.graphs: list[Any] = []

    def __call__(self, gm: Any, example_inputs: Any) -> Any:
        self.graphs.append(gm)
        return gm


class CompileCounterWithBackend(CompileCounter):
    """A counter that keeps the graphs and hands them to the backend ``backend``."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        super().__init__()

    def clear(self) -> None:
        """Count from nought again."""
        super().clear()
        self.graphs: list[Any] = []

    def __call__(self, gm: Any, example_inputs: Any) -> Callable:
        super().__call__(gm, example_inputs)
        self.graphs.append(gm)
        if self.backend in ("inductor", "eager"):  # the engine runs the graph that it recorded in any case
            return gm.forward
        from flambeau.compiler import lookup_backend

        return lookup_backend(self.backend)(gm, example_inputs)
