"""Cutting a model into stages where its modules begin or end, or where it says so itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import fx

from .stage import PipelineStage

__all__ = ["Pipe", "PipeInfo", "SplitPoint", "pipe_split", "pipeline"]


class SplitPoint(Enum):
    """Where a model is cut: before a module, or after it."""

    BEGINNING = 1
    END = 2


_tracing = threading.local()


def pipe_split() -> None:
    """A cut, in the forward of a model that `pipeline` takes apart; nothing elsewhere."""
    tracer = getattr(_tracing, "tracer", None)
    if tracer is not None:
        tracer.graph.call_function(pipe_split, ())


class _Tracer(fx.Tracer):
    """Leaves the modules whole where the model is cut."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__()
        self._whole = paths

    def is_leaf_module(self, m: fb.nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._whole or super().is_leaf_module(m, module_qualified_name)

    def trace(self, *args: Any, **kwargs: Any) -> fx.Graph:
        _tracing.tracer = self
        try:
            return super().trace(*args, **kwargs)
        finally:
            _tracing.tracer = None


class PipeInfo(NamedTuple):
    """What is known of a pipeline."""

    graph: fx.Graph
    num_stages: int
    has_loss_and_backward: bool = False


class Pipe(fb.nn.Module):
    """A model in stages.

    Parameters
    ----------
    stages : the modules, in order; each takes the results of the one before.
    graph : the whole model.
    """

    def __init__(self, stages: list[fx.GraphModule], graph: fx.Graph) -> None:
        super().__init__()
        self.split_gm = fb.nn.Module()
        for k, stage in enumerate(stages):
            self.split_gm.add_module(f"submod_{k}", stage)
        self.num_stages = len(stages)
        self._graph = graph

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """All stages, one after the other, in this process."""
        result: Any = self.get_stage_module(0)(*args, **kwargs)
        for k in range(1, self.num_stages):
            result = self.get_stage_module(k)(*(result if isinstance(result, tuple) else (result,)))
        return result

    def get_stage_module(self, stage_idx: int) -> fb.nn.Module:
        """The module of a stage."""
        if not 0 <= stage_idx < self.num_stages:
            raise ValueError(f"Invalid stage index {stage_idx}!")
        return getattr(self.split_gm, f"submod_{stage_idx}")

    def info(self) -> PipeInfo:
        """What is known of the pipeline."""
        return PipeInfo(self._graph, self.num_stages)

    def build_stage(self, stage_index: int, device: Any, group: Any = None) -> PipelineStage:
        """The stage of this process."""
        return PipelineStage(
            self.get_stage_module(stage_index).to(device), stage_index, self.num_stages, device, group=group
        )


def pipeline(
    module: fb.nn.Module,
    mb_args: tuple[Any, ...],
    mb_kwargs: dict[str, Any] | None = None,
    split_spec: dict[str, SplitPoint] | None = None,
    split_policy: Callable[[fx.GraphModule], fx.GraphModule] | None = None,
) -> Pipe:
    """A model in stages.

    It is traced by `fx`, so its forward must not branch on numbers. A value that a later stage needs goes
    through those between.

    Parameters
    ----------
    module : the model. Its parameters stay the ones of the stages.
    mb_args, mb_kwargs : arguments of one microbatch: the stages are run once on them, so that errors come
        here. Buffers and random numbers stay as they are.
    split_spec : paths of modules to `SplitPoint.BEGINNING` or `SplitPoint.END`. Without it the model is
        cut where its forward calls `pipe_split`.
    split_policy : a function of the traced model that puts calls of `pipe_split` into its graph.
    """
    if split_spec is not None and split_policy is not None:
        raise ValueError("Cannot specify both `split_spec` and `split_policy`. Please use only one of them.")
    spec = split_spec or {}
    for path in spec:
        module.get_submodule(path)  # raises where there is none
        if any(other.startswith(path + ".") for other in spec):
            raise NotImplementedError(f"pipeline: a cut at {path!r} and another inside of it")
    tracer = _Tracer(set(spec))
    graph = tracer.trace(module)
    traced = fx.GraphModule(module, graph)
    if split_policy is not None:
        traced = split_policy(traced)
    nodes = list(traced.graph.nodes)
    stage_of: dict[fx.Node, int] = {}
    last_call = {n.target: n for n in nodes if n.op == "call_module"}
    current, begun = 0, set()
    for node in nodes:
        if node.op == "call_function" and node.target is pipe_split:
            current += 1
            continue
        cut = spec.get(node.target) if node.op == "call_module" else None
        if cut is SplitPoint.BEGINNING and node.target not in begun:
            begun.add(node.target)
            current += 1
        stage_of[node] = 0 if node.op == "placeholder" else current
        if cut is SplitPoint.END and last_call[node.target] is node:
            current += 1
    made = Pipe(_cut(traced, stage_of, current + 1), traced.graph)
    buffers = [(b, b.clone()) for b in module.buffers()]
    with fb.no_grad(), fb.random.fork_rng():
        try:
            made(*mb_args, **(mb_kwargs or {}))
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
    return made


def _cut(traced: fx.GraphModule, stage_of: dict[fx.Node, int], count: int) -> list[fx.GraphModule]:
    """The module of each stage; attributes are read where they are used."""
    nodes = [n for n in traced.graph.nodes if n in stage_of]
    output = next(n for n in nodes if n.op == "output")
    stage_of[output] = count - 1
    last_use = {
        n: max((stage_of[u] for u in n.users if u in stage_of), default=-1)
        for n in nodes
        if n.op not in ("get_attr", "output")
    }
    stages, crossing = [], []
    for k in range(count):
        graph, made = fx.Graph(), {}
        if k == 0:
            for n in nodes:
                if n.op == "placeholder":
                    made[n] = graph.node_copy(n)
        else:
            for n in crossing:
                made[n] = graph.placeholder(n.name)

        def value(n: fx.Node, graph: fx.Graph = graph, made: dict = made) -> fx.Node:
            if n not in made and n.op == "get_attr":
                made[n] = graph.get_attr(n.target)
            return made[n]

        for n in nodes:
            if stage_of[n] == k and n.op not in ("placeholder", "get_attr", "output"):
                made[n] = graph.node_copy(n, value)
        if k == count - 1:
            graph.output(fx.node.map_arg(output.args[0], value))
        else:
            crossing = [n for n, last in last_use.items() if stage_of[n] <= k < last]
            graph.output(tuple(value(n) for n in crossing))
        used = fx.GraphModule(traced, graph, f"stage_{k}")
        used.delete_all_unused_submodules()
        stages.append(used)
    return stages
