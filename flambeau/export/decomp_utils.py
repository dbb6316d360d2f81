"""Operators in terms of others: what `ExportedProgram.run_decompositions` puts in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.fx.interpreter import Interpreter
from flambeau.utils import _pytree as pytree

from .exported_program import ExportedProgram
from .graph_signature import InputKind

__all__ = ["CustomDecompTable", "default_decompositions"]


class CustomDecompTable(dict):
    """Operators and the functions that do the same with others."""

    def materialize(self) -> dict[Any, Callable]:
        """As a plain dictionary."""
        return dict(self)


def _linear(input: fb.Tensor, weight: fb.Tensor, bias: fb.Tensor | None = None) -> fb.Tensor:
    turned = fb.permute(weight, [1, 0])
    if input.dim() == 2:
        return fb.mm(input, turned) if bias is None else fb.addmm(bias, input, turned)
    flat = input.reshape(-1, input.shape[-1])
    made = fb.mm(flat, turned) if bias is None else fb.addmm(bias, flat, turned)
    return made.reshape(*input.shape[:-1], weight.shape[0])


def _dropout(input: fb.Tensor, p: float, train: bool) -> fb.Tensor:
    return fb.native_dropout(input, p, train)[0] if train and p > 0 else input


def default_decompositions() -> CustomDecompTable:
    """The operators that `run_decompositions` replaces by itself.

    They are fewer than PyTorch's: linear, dropout, t, transpose, square and silu; all others stay.
    """
    aten = fb.ops.aten
    return CustomDecompTable(
        {
            aten.linear.default: _linear,
            aten.dropout.default: _dropout,
            aten.t.default: lambda x: fb.permute(x, list(range(x.dim()))[::-1]),
            aten.transpose.int: lambda x, a, b: x.permute(_swapped(x.dim(), a, b)),
            aten.square.default: lambda x: fb.pow(x, 2),
            aten.silu.default: lambda x: x * fb.sigmoid(x),
        }
    )


def _swapped(rank: int, a: int, b: int) -> list[int]:
    order = list(range(rank))
    if rank:
        order[a], order[b] = order[b], order[a]
    return order


class _Decomposing(Interpreter):
    """Runs a graph, with the functions of a table for its operators."""

    def __init__(self, module: Any, table: dict[Any, Callable]) -> None:
        super().__init__(module)
        self.table = table

    def call_function(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call the function of the table, or the operator."""
        return super().call_function(self.table.get(target, target), args, kwargs)


class _Program(fb.nn.Module):
    """The graph of an exported program with its tensors, for recording it again."""

    def __init__(self, program: ExportedProgram, table: dict[Any, Callable]) -> None:
        super().__init__()
        from .exported_program import _assign

        self.program, self.table = program, table
        for entry in program.graph_signature.input_specs:
            if entry.kind is not InputKind.USER_INPUT:
                _assign(self, entry, program._tensor(entry.target))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        program = self.program
        leaves = iter(pytree.tree_leaves((args, kwargs)))
        values = [
            next(leaves) if entry.kind is InputKind.USER_INPUT else program._tensor(entry.target)
            for entry in program.graph_signature.input_specs
        ]
        results = _Decomposing(program.graph_module, self.table).run(*values)
        return pytree.tree_unflatten(list(results), program.call_spec.out_spec)


def decomposed(program: ExportedProgram, table: dict[Any, Callable] | None) -> ExportedProgram:
    """`program` recorded again with the functions of `table`."""
    from ._trace import _Builder

    if program.example_inputs is None:
        raise NotImplementedError("run_decompositions: the program has no example inputs to record it with")
    for node in program.graph.nodes:
        if getattr(getattr(node.target, "_schema", None), "is_mutable", False):
            raise NotImplementedError(f"run_decompositions: {node.target} writes in place")
    args, kwargs = program.example_inputs
    names = program.call_spec.forward_arg_names
    builder = _Builder(
        _Program(program, default_decompositions() if table is None else table), args, kwargs, None
    )
    builder.values = dict(zip(names, [*args, *kwargs.values()]))
    builder.hints = _hints(program)
    return builder.build()


def _hints(program: ExportedProgram) -> list[dict[int, Any]]:
    """The dynamic dimensions of the inputs."""
    from .dynamic_shapes import Dim, Symbol
    from .exported_program import Value

    symbols = {s: Dim(s.name, min=r.lower, max=None if r.upper == float("inf") else r.upper)
               for s, r in program.range_constraints.items()}  # fmt: skip
    return [
        {d: symbols[size] for d, size in enumerate(node.meta["val"].shape) if isinstance(size, Symbol)}
        for node, entry in zip(program.graph.nodes, program.graph_signature.input_specs)
        if entry.kind is InputKind.USER_INPUT and isinstance(node.meta.get("val"), Value)
    ]
