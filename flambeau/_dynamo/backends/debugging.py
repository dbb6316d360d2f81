"""What `explain` tells."""

from __future__ import annotations

import dataclasses
import linecache
import time
import traceback
from collections.abc import Callable
from typing import Any

from flambeau.compiler._capture import capture_for_backend

from ..output_graph import GraphCompileReason

__all__ = ["ExplainOutput"]


@dataclasses.dataclass
class ExplainOutput:
    """What was recorded of a call, and why not all of it."""

    graphs: list[Any]
    graph_count: int
    graph_break_count: int
    break_reasons: list[GraphCompileReason]
    op_count: int
    ops_per_graph: list[list[Any]] | None = None
    out_guards: list[Any] | None = None
    compile_times: str | None = None

    def __str__(self) -> str:
        lines = [
            f"Graph Count: {self.graph_count}",
            f"Graph Break Count: {self.graph_break_count}",
            f"Op Count: {self.op_count}",
            "Break Reasons:",
        ]
        for number, reason in enumerate(self.break_reasons, 1):
            lines += [f"  Break Reason {number}:", f"    Reason: {reason.reason}", "    User Stack:"]
            lines += [f"      {frame}" for frame in reason.user_stack]
        if self.ops_per_graph is not None:
            lines.append("Ops per Graph:")
            for number, ops in enumerate(self.ops_per_graph, 1):
                lines += [f"  Ops {number}:", *(f"    {op}" for op in ops)]
        if self.out_guards is not None:
            lines.append("Out Guards:")
            for number, guard in enumerate(self.out_guards, 1):
                lines += [f"  Guard {number}:", f"    {guard}"]
        if self.compile_times is not None:
            lines.append(f"Compile Times: {self.compile_times}")
        return "\n".join(lines) + "\n"


def explained(function: Callable, args: tuple, kwargs: dict) -> ExplainOutput:
    """Record a call. A call is one graph here or none: it then runs eagerly as a whole."""
    graphs: list[Any] = []

    def backend(module: Any, example_inputs: list[Any]) -> Any:
        graphs.append(module)
        return module.forward

    began = time.perf_counter()
    *_, problem = capture_for_backend(function, args, kwargs, backend)
    took = time.perf_counter() - began
    reasons = []
    if problem is not None:
        stack = []
        if problem.place is not None:
            name, line, inside = problem.place
            code = linecache.getline(name, line).strip()
            stack = [traceback.FrameSummary(name, line, inside, line=code)]
        text = problem.explain() if problem.kind else f"this call cannot be recorded: {problem}"
        reasons.append(GraphCompileReason(text.split("\n\nfrom user code:")[0], stack))
    ops = [
        [n.target for n in g.graph.nodes if n.op in ("call_function", "call_method", "call_module")]
        for g in graphs
    ]
    return ExplainOutput(
        graphs, len(graphs), len(reasons), reasons, sum(map(len, ops)), ops, [],
        f"TorchDynamo compilation metrics:\nFunction, Runtimes (s)\ncapture, {took:.4f}",
    )  # fmt: skip
