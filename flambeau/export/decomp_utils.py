"""Operators in terms of others: what `ExportedProgram.run_decompositions` puts in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau.fx.interpreter import Interpreter
from flambeau.fx.node import Node
from flambeau.utils import _pytree as pytree

from ._builder import Builder
from .dynamic_shapes import Dim, Symbol, linear
from .exported_program import ExportedProgram, Value, _assign, ways
from .graph_signature import InputKind, OutputKind

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


def _whole(tensor: fb.Tensor) -> fb.Tensor:
    """The tensor that it is a view of, or itself."""
    return tensor if tensor._base is None else tensor._base


class _Decomposing(Interpreter):
    """Runs a graph, with the functions of a table for its operators.

    What an operator writes into is another tensor from there on: parameters, buffers and arguments stay as
    they are.
    """

    def __init__(self, program: ExportedProgram, table: dict[Any, Callable], marks: list) -> None:
        super().__init__(program.graph_module, garbage_collect_values=False)
        self.table, self.marks = table, marks
        self.given: dict[Node, Any] = {}

    def run_node(self, n: Node) -> Any:
        """Run it, and note in which modules the program is."""
        self.marks.append((_C._Graph.steps_so_far(), n.meta.get("nn_module_stack") or {}))
        if n.op == "call_function" and n.target is fb.ops.aten.batch_norm.default:
            return self._batch_norm(n)
        if n.op == "call_function" and getattr(getattr(n.target, "_schema", None), "is_mutable", False):
            return self._without_writing(n)
        result = super().run_node(n)
        if n.op == "placeholder":
            self.given[n] = result
        return result

    def call_function(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call the function of the table, or the operator."""
        return super().call_function(self.table.get(target, target), args, kwargs)

    def _replace(self, before: Any, after: Any) -> None:
        for node, value in self.env.items():
            if value is before:
                self.env[node] = after

    def _shares(self, tensor: fb.Tensor, values: Iterable[Any]) -> bool:
        """Whether another of the values has its memory."""
        whole = _whole(tensor)
        return any(isinstance(v, fb.Tensor) and v is not tensor and _whole(v) is whole for v in values)

    def _without_writing(self, n: Node) -> Any:
        target, source = n.target, n.args[0] if n.args else None
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        plain = getattr(getattr(fb.ops, target.namespace), target._opname.removesuffix("_"), None)
        if not isinstance(source, Node) or not target._opname.endswith("_") or plain is None:
            raise NotImplementedError(f"run_decompositions: {target} writes into its arguments")
        written = args[0]
        if self._shares(written, self.env.values()):  # a part of another tensor, or one with parts
            if self._shares(written, self.given.values()) or any(v is written for v in self.given.values()):
                raise NotImplementedError(f"run_decompositions: {target} writes into a part of an input")
            return target(*args, **kwargs)
        result = self.call_function(getattr(plain, target._overloadname), args, kwargs)
        self._replace(written, result)
        return result

    def _batch_norm(self, n: Node) -> Any:
        """In training its statistics are results."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        mean, var = args[3], args[4]
        if mean is None or not args[5] or n.target in self.table:
            return self.call_function(n.target, args, kwargs)
        function = fb.ops.aten._native_batch_norm_legit_functional.default
        result, _, _, new_mean, new_var = function(*args[:8])
        self._replace(mean, new_mean)
        self._replace(var, new_var)
        return result

    def written(self) -> dict[Node, Any]:
        """The inputs that the program wrote into, and what they are after it."""
        return {node: self.env[node] for node, value in self.given.items() if self.env[node] is not value}


class _Program(fb.nn.Module):
    """The graph of an exported program with its tensors, for recording it again.

    What it writes into inputs comes before its results; `written` says of which outputs that is.
    """

    def __init__(self, program: ExportedProgram, table: dict[Any, Callable]) -> None:
        super().__init__()
        self.program, self.table = program, table
        self.marks: list[tuple[int, dict]] = []
        self.written: list[tuple[OutputKind, str]] = []
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
        run = _Decomposing(program, self.table, self.marks)
        results = run.run(*values)
        entries = dict(zip(run.given, program.graph_signature.input_specs))
        written = run.written()
        self.written = [(_WRITTEN[entries[node].kind], entries[node].target or node.name) for node in written]
        return [*written.values(), *results]


_WRITTEN = {
    InputKind.PARAMETER: OutputKind.PARAMETER_MUTATION,
    InputKind.BUFFER: OutputKind.BUFFER_MUTATION,
    InputKind.USER_INPUT: OutputKind.USER_INPUT_MUTATION,
}


def decomposed(program: ExportedProgram, table: dict[Any, Callable] | None) -> ExportedProgram:
    """`program` recorded again with the functions of `table`."""
    if program.example_inputs is None:
        raise NotImplementedError("run_decompositions: the program has no example inputs to record it with")
    if any(entry.signature is not None for entry in program.module_call_graph[1:]):
        raise NotImplementedError("run_decompositions: a program with preserve_module_call_signature")
    args, kwargs = program.example_inputs
    names = program.call_spec.forward_arg_names
    again = _Program(program, default_decompositions() if table is None else table)
    builder = Builder(again, args, kwargs, None, marked=lambda mod, marks: nullcontext())
    again.marks = builder.marks
    builder.values = dict(zip(names, [*args, *kwargs.values()]))
    builder.hints = _hints(program)
    made = builder.build()
    for spec, (kind, target) in zip(made.graph_signature.output_specs, again.written):
        spec.kind, spec.target = kind, target
    made._module_call_graph[1:] = program.module_call_graph[1:]
    made.call_spec.out_spec = program.call_spec.out_spec
    return made


def _hints(program: ExportedProgram) -> list[dict[int, Any]]:
    """The dynamic dimensions of the inputs."""
    symbols: dict[Symbol, Any] = {
        s: Dim(s.name, min=r.lower, max=None if r.upper == float("inf") else r.upper)
        for s, r in program.range_constraints.items()
        if linear(s) is None
    }

    def hint(size: Any) -> Any:
        symbol = size if isinstance(size, Symbol) else Symbol(size)
        if (parts := linear(symbol)) is None:
            return symbols[symbol]
        root, factor, offset = parts
        return factor * symbols[root] + offset

    return [
        {d: hint(size) for d, size in enumerate(node.meta["val"].shape) if isinstance(size, (Symbol, str))}
        for node, entry in zip(program.graph.nodes, program.graph_signature.input_specs)
        if entry.kind is InputKind.USER_INPUT and isinstance(node.meta.get("val"), Value)
    ]


ways["decomposed"] = decomposed
