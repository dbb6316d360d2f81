"""An exported program: the graph, what its inputs stand for, and the tensors it needs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb
from flambeau.fx._codegen import _PyTreeCodeGen, _PyTreeInfo
from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import map_arg
from flambeau.utils import _pytree as pytree

from .dynamic_shapes import Symbol, ValueRanges, linear
from .graph_signature import ExportGraphSignature, InputKind, OutputKind

__all__ = ["ExportedProgram", "ModuleCallEntry", "ModuleCallSignature"]

_SHORT = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
    "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "b8", "complex64": "c64", "complex128": "c128",
}  # fmt: skip


_WRITTEN = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION, OutputKind.USER_INPUT_MUTATION)

# how a program is recorded again, by name; `decomp_utils`, which records programs, puts it here
ways: dict[str, Callable[..., Any]] = {}


@dataclasses.dataclass
class ModuleCallSignature:
    """How a module is called: its inputs and outputs, and the structures around them."""

    inputs: list
    outputs: list
    in_spec: Any
    out_spec: Any
    forward_arg_names: list[str] | None = None


@dataclasses.dataclass
class ModuleCallEntry:
    """A module by its name, and its signature."""

    fqn: str
    signature: ModuleCallSignature | None = None


@dataclasses.dataclass(frozen=True)
class Value:
    """What is known of a node: dtype and shape of a tensor, sizes maybe as symbols; a number as a symbol."""

    dtype: fb.dtype | None
    shape: tuple

    def __str__(self) -> str:
        if self.dtype is None:
            return f"Sym({self.shape[0]})"
        name = str(self.dtype).rpartition(".")[2]
        return f"{_SHORT.get(name, name)}[{', '.join(map(str, self.shape))}]"


class GuardsFn(fb.nn.Module):
    """Checks that the inputs have sizes that the program was made for."""

    def __init__(
        self, names: list[str], shapes: list[tuple | None], ranges: dict[Symbol, ValueRanges]
    ) -> None:
        super().__init__()
        self.names, self.shapes, self.ranges = names, shapes, ranges

    def forward(self, *leaves: Any) -> None:
        """Raise AssertionError if a size is another."""
        seen: dict[Symbol, tuple[str, int]] = {}
        for name, shape, leaf in zip(self.names, self.shapes, leaves):
            if shape is None:
                continue
            if leaf.dim() != len(shape):
                raise AssertionError(f"Guard failed: {name}.dim() == {len(shape)}")
            for d, wanted in enumerate(shape):
                place, size = f"{name}.size()[{d}]", leaf.shape[d]
                if isinstance(wanted, int):
                    if size != wanted:
                        raise AssertionError(f"Guard failed: {place} == {wanted}")
                elif isinstance(wanted, (Symbol, str)):
                    wanted = Symbol(wanted) if isinstance(wanted, str) else wanted
                    if seen.setdefault(wanted, (place, size))[1] != size:
                        raise AssertionError(f"Guard failed: {seen[wanted][0]} == {place}")
                    limits = self.ranges.get(wanted)
                    if limits is not None and size < limits.lower:
                        raise AssertionError(f"Guard failed: {place} >= {limits.lower}")
                    if limits is not None and size > limits.upper:
                        raise AssertionError(f"Guard failed: {place} <= {limits.upper}")
        for symbol, (place, size) in seen.items():
            self._check_derived(symbol, place, size, seen)

    @staticmethod
    def _check_derived(symbol: Symbol, place: str, size: int, seen: dict[Symbol, tuple[str, int]]) -> None:
        """Whether a size that follows another is what it has to be."""
        if (parts := linear(symbol)) is None:
            return
        root, factor, offset = parts
        by = f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""
        if root in seen:
            other, value = seen[root]
            if size != factor * value + offset:
                product = other if factor == 1 else f"{factor} * {other}"
                raise AssertionError(f"Guard failed: {product}{by} == {place}")
        elif (size - offset) % factor:
            raise AssertionError(f"Guard failed: {place} is not of the form {symbol}")


class _CodeGen(_PyTreeCodeGen):
    """A forward with the names of the module's, positional and by keyword."""

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        args, kwargs = self.pytree_info.orig_args
        head = f"def forward({', '.join(['self', *args, *kwargs])}){maybe_return_annotation}:"
        if not free_vars:
            return head
        given = f"([{', '.join(args)}], {{{', '.join(f'{k!r}: {k}' for k in kwargs)}}})"
        return f"{head}\n    {', '.join(free_vars)}, = fx_pytree.tree_flatten_spec({given}, self._in_spec)"


class ExportedProgram:
    """What `export` gives.

    Its `graph` takes parameters, buffers and constants as inputs before those of the caller; `module()` is a
    module that has them and is called as the original one.
    """

    def __init__(
        self,
        root: Any,
        graph: Graph,
        graph_signature: ExportGraphSignature,
        state_dict: dict[str, fb.Tensor],
        range_constraints: dict[Symbol, ValueRanges],
        module_call_graph: list[ModuleCallEntry],
        example_inputs: tuple[tuple, dict[str, Any]] | None = None,
        constants: dict[str, fb.Tensor] | None = None,
        *,
        verifiers: list | None = None,
    ) -> None:
        self._graph_module = GraphModule(root, graph)
        self._graph_signature = graph_signature
        self._state_dict = state_dict
        self._range_constraints = range_constraints
        self._module_call_graph = module_call_graph
        self._example_inputs = example_inputs
        self._constants = constants or {}

    graph_module = property(lambda self: self._graph_module, doc="The graph as a module of all its inputs.")
    graph = property(lambda self: self._graph_module.graph, doc="The graph.")
    graph_signature = property(lambda self: self._graph_signature, doc="What its inputs and outputs are.")
    state_dict = property(lambda self: self._state_dict, doc="Parameters and buffers by name.")
    range_constraints = property(lambda self: self._range_constraints, doc="The ranges of symbols.")
    module_call_graph = property(lambda self: self._module_call_graph, doc="How modules are called.")
    example_inputs = property(lambda self: self._example_inputs, doc="The arguments it was made with.")
    constants = property(lambda self: self._constants, doc="Tensors that are no parameters, by name.")
    tensor_constants = constants
    dialect = property(lambda self: "TRAINING", doc="Which operators the graph may have.")

    def parameters(self) -> Iterator[fb.Tensor]:
        """The parameters."""
        return (param for _, param in self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, fb.Tensor]]:
        """The parameters with their names."""
        return ((name, self.state_dict[name]) for name in self.graph_signature.parameters)

    def buffers(self) -> Iterator[fb.Tensor]:
        """The buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, fb.Tensor]]:
        """The buffers with their names."""
        return ((name, self._tensor(name)) for name in self.graph_signature.buffers)

    def _tensor(self, name: str) -> fb.Tensor:
        return self._state_dict[name] if name in self._state_dict else self._constants[name]

    @property
    def call_spec(self) -> Any:
        """The structures of arguments and result, as `in_spec` and `out_spec`."""
        return self._module_call_graph[0].signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Unable to call ExportedProgram directly. You should use `exported_program.module()` instead."
        )

    def _guards(self) -> GuardsFn:
        """The check of the sizes of a caller's arguments."""
        nodes = [
            node
            for node, entry in zip(self.graph.nodes, self.graph_signature.input_specs)
            if entry.kind is InputKind.USER_INPUT
        ]
        known = [node.meta.get("val") for node in nodes]
        shapes = [v.shape if isinstance(v, Value) else None for v in known]
        return GuardsFn([node.target for node in nodes], shapes, self._range_constraints)

    def module(self, check_guards: bool = True) -> GraphModule:
        """A module with the parameters, buffers and constants, called as the original one."""
        spec = self.call_spec
        root, graph = fb.nn.Module(), Graph()
        copies: dict[Any, Any] = {}
        guarded: list[Any] = []
        for node, entry in zip(list(self.graph.nodes), self.graph_signature.input_specs):
            if entry.kind is InputKind.USER_INPUT:
                copies[node] = graph.placeholder(node.target)
                copies[node].meta = dict(node.meta)
                guarded.append(node)
        for node, entry in zip(list(self.graph.nodes), self.graph_signature.input_specs):
            if entry.kind is not InputKind.USER_INPUT:
                _assign(root, entry, self._tensor(entry.target))
                copies[node] = graph.get_attr(entry.target)
                copies[node].meta = dict(node.meta)
        if check_guards:
            root._guards_fn = self._guards()
            graph.call_module("_guards_fn", tuple(copies[n] for n in guarded))
        for node in self.graph.nodes:
            if node.op == "output":
                graph.output(self._written_back(graph, map_arg(node.args[0], lambda n: copies[n]), copies))
            elif node not in copies:
                copies[node] = graph.node_copy(node, lambda n: copies[n])
        names = spec.forward_arg_names or []
        positional = len(pytree.treespec_loads(pytree.treespec_dumps(spec.in_spec)).children()[0].children())
        graph.set_codegen(
            _CodeGen(_PyTreeInfo((names[:positional], names[positional:]), spec.in_spec, spec.out_spec))
        )
        made = GraphModule(root, graph)
        made.register_forward_pre_hook(_checked(spec.in_spec, names[positional:]), with_kwargs=True)
        made.train = made.eval = _no_mode
        return made

    def _written_back(self, graph: Graph, results: tuple, copies: dict[Any, Any]) -> tuple:
        """The results for the caller; the others become the content of the tensors they are of."""
        places: dict[Any, Any] = {}
        for node, given in zip(self.graph.nodes, self.graph_signature.input_specs):
            places[given.target] = places[node.name] = copies[node]
        kept = []
        for spec, value in zip(self.graph_signature.output_specs, results, strict=True):
            if spec.kind in _WRITTEN:
                graph.call_function(fb.ops.aten.copy_.default, (places[spec.target], value))
            else:
                kept.append(value)
        return tuple(kept)

    def run_decompositions(
        self, decomp_table: dict[Any, Callable] | None = None, **options: Any
    ) -> ExportedProgram:
        """The same program with operators replaced by what `decomp_table` makes of them.

        Without a table, `default_decompositions()`.
        """
        return ways["decomposed"](self, decomp_table)

    def validate(self) -> None:
        """Check the graph."""
        self.graph.lint()

    def __deepcopy__(self, memo: dict) -> ExportedProgram:
        return ExportedProgram(
            fb.nn.Module(), copy.deepcopy(self.graph, memo), copy.deepcopy(self._graph_signature, memo),
            copy.deepcopy(self._state_dict, memo), dict(self._range_constraints), self._module_call_graph,
            self._example_inputs, copy.deepcopy(self._constants, memo),
        )  # fmt: skip

    def __str__(self) -> str:
        nodes = list(self.graph.nodes)
        known = {n.name: n.meta["val"] for n in nodes if isinstance(n.meta.get("val"), Value)}
        arguments = [
            f'{n.name}: "{known[n.name]}"' if n.name in known else n.name
            for n in nodes
            if n.op == "placeholder"
        ]
        lines = [f"def forward({', '.join(['self', *arguments])}):"]
        for line in self._graph_module.code.strip().split("\n")[1:]:
            name, equals, rest = line.strip().partition(" = ")
            typed = equals and name in known
            lines.append("    " + (f'{name}: "{known[name]}" = {rest}' if typed else line.strip()))
        body = "\n".join(f"        {line}" for line in lines)
        return (
            f"ExportedProgram:\n    class GraphModule(torch.nn.Module):\n{body}\n    \nGraph signature: "
            + "\n    ".join(str(self.graph_signature).split("\n"))
            + f"\nRange constraints: {self._range_constraints}\n"
        )


def _no_mode(mode: bool = True) -> None:
    raise NotImplementedError("Calling train() or eval() is not supported for exported modules.")


def _assign(root: fb.nn.Module, entry: Any, tensor: fb.Tensor) -> None:
    """Put a tensor where its dotted name says."""
    *path, last = entry.target.split(".")
    for part in path:
        if not hasattr(root, part):
            setattr(root, part, fb.nn.Module())
        root = getattr(root, part)
    if entry.kind is InputKind.PARAMETER:
        root.register_parameter(last, tensor)
    elif entry.kind is InputKind.BUFFER:
        root.register_buffer(last, tensor, persistent=bool(entry.persistent))
    else:
        setattr(root, last, tensor)


def _checked(in_spec: Any, keywords: list[str]) -> Callable:
    def check(module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
        if set(kwargs) == set(keywords):
            kwargs = {name: kwargs[name] for name in keywords}
        given = pytree.tree_structure((args, kwargs))
        if given != in_spec:
            raise ValueError(
                f"Trying to flatten user inputs with exported input tree spec: \n{in_spec}\n"
                f"but actually got inputs with tree spec of: \n{given}.\n"
                "Please check that the inputs have the same number and type of args and kwargs as the ones "
                "you used when tracing."
            )
        return args, kwargs

    return check
