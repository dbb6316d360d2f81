"""`unflatten`: an exported program as the tree of modules that it was made from."""

from __future__ import annotations

import abc
import operator
import sys
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import flambeau as fb
from flambeau.fx import _pytree as fx_pytree
from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import Node
from flambeau.utils import _pytree as pytree

from .exported_program import _WRITTEN, ExportedProgram, ModuleCallSignature, Value, _assign
from .graph_signature import InputKind, TensorArgument

__all__ = ["FlatArgsAdapter", "InterpreterModule", "UnflattenedModule", "unflatten"]


class FlatArgsAdapter(abc.ABC):
    """Turns arguments of one structure into those of another; a class of the user's derives from it."""

    @abc.abstractmethod
    def adapt(
        self,
        target_spec: Any,
        input_spec: Any,
        input_args: list[Any],
        metadata: dict[str, Any] | None = None,
        obj: Any | None = None,
    ) -> list[Any]:
        """The leaves for `target_spec` from those of `input_spec`."""

    def get_flat_arg_paths(self) -> list[str]:
        """The paths of the arguments it uses."""
        return []


class InterpreterModule(fb.nn.Module):
    """A module whose forward is a graph.

    Parameters
    ----------
    graph : what it runs; parameters are read from the module.
    ty : the type of the module it stands for.
    """

    def __init__(self, graph: Graph, ty: str | None = None) -> None:
        super().__init__()
        self.graph = graph
        self._ty = ty

    def finalize(self) -> None:
        """Compile the graph, once the parameters and submodules are in place."""
        self.graph.lint()
        self.__dict__["graph_module"] = GraphModule(self, self.graph)  # the same graph: no submodule
        self.arg_names = [node.target for node in self.graph.nodes if node.op == "placeholder"]

    def type_name(self) -> str | None:
        """The type of the module it stands for."""
        return self._ty

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph; arguments by keyword have the names of its placeholders."""
        return type(self.graph_module).forward(self, *args, **kwargs)

    def print_readable(self, print_output: bool = True, **options: Any) -> str:
        """The code of the graph."""
        return self.graph_module.print_readable(print_output, **options)


class UnflattenedModule(InterpreterModule):
    """What `unflatten` gives: called as the original module, with submodules of the same names.

    A submodule that was called several times and ran something else the second time is there once more, as
    ``name@1``.
    """

    def __init__(
        self, export_module: ExportedProgram, flat_args_adapter: FlatArgsAdapter | None = None
    ) -> None:
        super().__init__(Graph())
        self.graph_signature = export_module.graph_signature
        self.module_call_graph = export_module.module_call_graph
        self.range_constraints = export_module.range_constraints
        self.flat_args_adapter = flat_args_adapter
        self.adapted = False
        self._signature = export_module.call_spec
        self.__dict__["_check"] = export_module._guards()  # no submodule
        _Tree(export_module, self).build()
        for part in reversed(list(self.modules())):
            if isinstance(part, InterpreterModule):
                part.finalize()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run it on arguments as the original module takes them."""
        spec = self._signature
        names = spec.forward_arg_names or []
        wanted = [name for name in names if name in kwargs]
        if set(wanted) == set(kwargs):
            kwargs = {name: kwargs[name] for name in wanted}
        leaves, given = pytree.tree_flatten((args, kwargs))
        if given != spec.in_spec:
            if not self.adapted:
                warnings.warn(
                    "Input treespec does not match with exported module's: \n"
                    f"Input treespec: {given}. Exported module treespec: {spec.in_spec}",
                    stacklevel=2,
                )
            if self.flat_args_adapter is None:
                raise TypeError(
                    "There is no flat args adapter specified. Are you sure you are calling this with the "
                    "right arguments? "
                )
            leaves = self.flat_args_adapter.adapt(
                target_spec=spec.in_spec, input_spec=given, input_args=leaves, obj=self
            )
            if len(leaves) != spec.in_spec.num_leaves:
                raise TypeError(
                    f"Flat args adaption failed, number of args mismatch Adapted: {len(leaves)} \n"
                    f"Exported module: {spec.in_spec.num_leaves}"
                )
            self.adapted = True
        try:
            self._check(*leaves)
        except AssertionError as failed:
            raise RuntimeError(str(failed)) from None
        return pytree.tree_unflatten(list(super().forward(*leaves)), spec.out_spec)


def unflatten(module: ExportedProgram, flat_args_adapter: FlatArgsAdapter | None = None) -> UnflattenedModule:
    """The tree of modules of an exported program.

    Parameters
    ----------
    module : what `export` gave.
    flat_args_adapter : makes arguments of another structure into those the program takes.

    Raises
    ------
    RuntimeError
        On a call with arguments of another structure or of sizes that the program was not made for.
    """
    return UnflattenedModule(module, flat_args_adapter)


class _Tree:
    """The graphs of the modules of one program, made of the stacks that its nodes carry."""

    def __init__(self, program: ExportedProgram, root: UnflattenedModule) -> None:
        self.program, self.root = program, root
        self.placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
        self.tensors = {  # node -> the name of a parameter, buffer or constant
            node: entry.target
            for node, entry in zip(self.placeholders, program.graph_signature.input_specs)
            if entry.kind is not InputKind.USER_INPUT
        }
        self.stacks: dict[Node, list[tuple[str, str, str]]] = {}  # (key, name, type) of each module around it
        self.made: dict[str, str] = {}  # name of a submodule -> what its first call runs, as text
        self.signatures = {e.fqn: e.signature for e in program.module_call_graph if e.fqn and e.signature}
        self.by_name = {node.name: node for node in program.graph.nodes}
        self.specs: dict[Graph, dict[str, Any]] = {}  # structures that a graph names

    def build(self) -> None:
        """Fill the root."""
        program, root = self.program, self.root
        for entry in program.module_call_graph:
            self._module(entry.fqn.partition("@")[0])
        for entry in program.graph_signature.input_specs:
            if entry.kind is not InputKind.USER_INPUT:
                _assign(root, entry, program._tensor(entry.target))
        steps = []
        for node in program.graph.nodes:
            if node.op not in ("placeholder", "output"):
                stack = node.meta.get("nn_module_stack") or {}
                self.stacks[node] = [(key, *where) for key, where in stack.items()][1:]
                steps.append(node)
        (output,) = program.graph.find_nodes(op="output")
        inputs = [n for n in self.placeholders if n not in self.tensors]
        kinds = [spec.kind for spec in program.graph_signature.output_specs]
        if any(kind in _WRITTEN for kind in kinds):
            raise NotImplementedError("unflatten: a program whose writes became outputs (run_decompositions)")
        results = output.args[0]
        self._fill(root.graph, "", 0, steps, inputs, results)
        root.__dict__.update(self.specs.pop(root.graph, {}))

    def _module(self, name: str) -> fb.nn.Module:
        """The module of that name, an empty one where there is none yet."""
        place: fb.nn.Module = self.root
        for part in name.split(".") if name else ():
            if part not in place._modules:
                place.add_module(part, fb.nn.Module())
            place = place._modules[part]
        return place

    def _fill(
        self, graph: Graph, path: str, depth: int, steps: list[Node], inputs: list[Node], results: Any,
        signature: ModuleCallSignature | None = None,
    ) -> None:  # fmt: skip
        """The graph of a module: its own steps, and calls of its submodules."""
        copies: dict[Node, Node] = {}
        if signature is not None:
            self._take(graph, signature, copies)
        for node in inputs if signature is None else ():
            copies[node] = graph.placeholder(node.name)
            copies[node].meta = dict(node.meta)
        here = set(steps)
        for node, name in self.tensors.items():
            if self._below(node, path) and self._direct(node, here, depth):
                copies[node] = graph.get_attr(name.removeprefix(f"{path}." if path else ""))
                copies[node].meta = dict(node.meta)
        for key, part in _runs(steps, self.stacks, depth):
            if key is None:
                (node,) = part
                copies[node] = graph.node_copy(node, lambda n: copies[n])
            else:
                self._call(graph, path, depth, part, copies)
        if signature is not None:
            flat = self._leaves(signature.outputs, copies)
            spec = self._spec(graph, signature.out_spec)
            graph.output(graph.call_function(pytree.tree_unflatten, (flat, spec)))
            return
        graph.output(fb.fx.map_arg(results, lambda n: copies[n]))

    def _spec(self, graph: Graph, spec: Any) -> Node:
        """A structure as an attribute of the module of a graph."""
        held = self.specs.setdefault(graph, {})
        name = f"_spec_{len(held)}"
        held[name] = spec
        return graph.create_node("get_attr", name, (), {}, name=name)

    def _leaves(self, arguments: list, copies: dict[Node, Node]) -> list:
        """Arguments of a signature in a graph: nodes and constants."""
        return [copies[self.by_name[a.name]] if isinstance(a, TensorArgument) else a.value for a in arguments]

    def _take(self, graph: Graph, signature: ModuleCallSignature, copies: dict[Node, Node]) -> None:
        """The arguments of a module that is called as its original was."""
        positional, named = signature.in_spec.children()
        args = tuple(graph.placeholder(f"_positional_arg_{n}") for n in range(positional.num_children))
        kwargs = {name: graph.placeholder(name) for name in named.context}
        spec = self._spec(graph, signature.in_spec)
        self._spread(graph, (args, kwargs), spec, signature.inputs, copies)

    def _spread(
        self, graph: Graph, values: Any, spec: Node, arguments: list, copies: dict[Node, Node]
    ) -> None:
        """The tensors in values of that structure, as what stands for `arguments` in a graph."""
        flat = graph.call_function(fx_pytree.tree_flatten_spec, (values, spec))
        for n, argument in enumerate(arguments):
            if isinstance(argument, TensorArgument):
                node = self.by_name[argument.name]
                copies[node] = graph.call_function(operator.getitem, (flat, n))
                copies[node].meta["val"] = node.meta.get("val")

    def _as_called(
        self, graph: Graph, local: str, signature: ModuleCallSignature, copies: dict[Node, Node]
    ) -> Node:
        """A call of a module with arguments as its original took them; its results in `copies`."""
        spec = self._spec(graph, signature.in_spec)
        given = graph.call_function(pytree.tree_unflatten, (self._leaves(signature.inputs, copies), spec))
        positional, named = signature.in_spec.children()
        both = [graph.call_function(operator.getitem, (given, n)) for n in range(2)]
        args = tuple(
            graph.call_function(operator.getitem, (both[0], n)) for n in range(positional.num_children)
        )
        kwargs = {name: graph.call_function(operator.getitem, (both[1], name)) for name in named.context}
        call = graph.call_module(local, args, kwargs)
        self._spread(graph, call, self._spec(graph, signature.out_spec), signature.outputs, copies)
        return call

    def _call(self, graph: Graph, path: str, depth: int, part: list[Node], copies: dict[Node, Node]) -> None:
        """One call of a submodule."""
        key, name, kind = self.stacks[part[0]][depth]
        inside = set(part)
        inputs = list(
            dict.fromkeys(
                n for s in part for n in s.all_input_nodes if n not in inside and not self._below(n, name)
            )
        )
        outputs = [s for s in part if any(user not in inside for user in s.users)]
        local = name.removeprefix(f"{path}." if path else "")
        made = Graph()
        signature = self.signatures.get(f"{name}@{key.rpartition('@')[2]}" if "@" in key else name)
        if signature is not None:
            self._check(name, signature.inputs, inputs, "needs")
            self._check(name, signature.outputs, outputs, "gives")
        self._fill(made, name, depth + 1, part, inputs, _one_or_all(outputs), signature)
        text = _structure(made)
        if self.made.setdefault(name, text) != text:  # it ran something else when it was called again
            local += "@" + key.rpartition("@")[2]
            self._put(f"{path}.{local}" if path else local, name, InterpreterModule(made, kind))
        elif not isinstance(self._module(name), InterpreterModule):
            self._put(name, name, InterpreterModule(made, kind))
        if signature is not None:
            call = self._as_called(graph, local, signature, copies)
            call.meta = {"nn_module_stack": {k: w for k, *w in self.stacks[part[0]][: depth + 1]}}
            return
        call = graph.call_module(local, tuple(copies[n] for n in inputs))
        call.meta = {"nn_module_stack": {k: w for k, *w in self.stacks[part[0]][: depth + 1]}}
        if len(outputs) == 1:
            copies[outputs[0]] = call
            call.meta["val"] = outputs[0].meta.get("val")
            return
        for k, node in enumerate(outputs):
            copies[node] = graph.call_function(operator.getitem, (call, k))
            copies[node].meta = dict(node.meta)

    def _check(self, name: str, known: list, wanted: list[Node], what: str) -> None:
        """A module that is called as its original has all its tensors from its arguments."""
        names = {a.name for a in known if isinstance(a, TensorArgument)}
        others = [n.name for n in wanted if n.name not in names]
        if others:
            raise RuntimeError(
                f"unflatten: the module {name} {what} {others[0]}, which is not in its signature"
            )

    def _put(self, place: str, name: str, made: InterpreterModule) -> None:
        """Put a module with a graph at `place`, with all that the module of that name has."""
        first = self._module(name)
        made._parameters, made._buffers = dict(first._parameters), dict(first._buffers)
        made._modules = dict(first._modules)
        made._non_persistent_buffers_set = set(first._non_persistent_buffers_set)
        made.__dict__.update({k: v for k, v in vars(first).items() if isinstance(v, fb.Tensor)})
        made.__dict__.update(self.specs.pop(made.graph, {}))
        parent, _, last = place.rpartition(".")
        self._module(parent)._modules[last] = made

    def _below(self, node: Node, path: str) -> bool:
        """Whether it is a parameter, buffer or constant of that module or of one inside it."""
        name = self.tensors.get(node)
        return name is not None and (not path or name.startswith(f"{path}."))

    def _direct(self, node: Node, here: set[Node], depth: int) -> bool:
        """Whether a graph of these steps needs the tensor itself: for its result, for a step of its own, or
        for a module that the tensor is not of.
        """
        for user in node.users:
            if user.op == "output":
                return depth == 0
            if user in here:
                stack = self.stacks[user]
                if len(stack) <= depth or not self._below(node, stack[depth][1]):
                    return True
        return False


def _runs(steps: list[Node], stacks: dict[Node, list], depth: int) -> Iterable[tuple[Any, list[Node]]]:
    """Single steps with None, and the steps of each call of a submodule."""
    part: list[Node] = []
    before = None
    for node in steps:
        stack = stacks[node]
        key = stack[depth][0] if len(stack) > depth else None
        if part and key != before:
            yield before, part
            part = []
        if key is None:
            yield None, [node]
        else:
            part.append(node)
        before = key
    if part:
        yield before, part


def _one_or_all(outputs: list[Node]) -> Any:
    return outputs[0] if len(outputs) == 1 else list(outputs)


def _structure(graph: Graph) -> str:
    """What a graph runs, whatever its nodes are called."""
    numbers = {node: k for k, node in enumerate(graph.nodes)}
    lines = []
    for node in graph.nodes:
        target = "" if node.op == "placeholder" else str(node.target)
        arguments = fb.fx.map_arg((node.args, node.kwargs), lambda n: _Place(numbers[n]))
        known = node.meta.get("val")
        lines.append(f"{node.op} {target} {arguments} {known if isinstance(known, Value) else ''}")
    return "\n".join(lines)


class _Place:
    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"%{self.number}"


class _Callable(ModuleType):
    """``torch.export.unflatten`` is this module, and the function in it."""

    def __call__(
        self, module: ExportedProgram, flat_args_adapter: FlatArgsAdapter | None = None
    ) -> UnflattenedModule:
        return unflatten(module, flat_args_adapter)


sys.modules[__name__].__class__ = _Callable
