"""The list of nodes, and what can be done with it."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.fx._codegen import (
    CodeGen,
    PythonCode,
    _custom_builtins,
    _format_target,
    _is_magic,
    _Namespace,
    _PyTreeCodeGen,
    _PyTreeInfo,
    _snake_case,
    describe,
    inplace_methods,
    magic_methods,
    reflectable_magic_methods,
)  # fmt: skip
from flambeau.fx.node import Argument, Node, Target, _format_arg, _get_qualified_name, map_arg

if TYPE_CHECKING:
    from flambeau.fx._symbolic_trace import Tracer
    from flambeau.fx.graph_module import GraphModule

__all__ = ["PythonCode", "CodeGen", "Graph"]

_reexported = (
    _custom_builtins, _format_target, _PyTreeCodeGen, _PyTreeInfo, inplace_methods, magic_methods,
    reflectable_magic_methods,
)  # fmt: skip


class _node_list:
    """The nodes of a graph from the first to the last; nodes may come and go while it is read."""

    def __init__(self, graph: Graph, direction: str = "_next") -> None:
        self.graph, self.direction = graph, direction

    def __len__(self) -> int:
        return self.graph._len

    def __iter__(self) -> Iterator[Node]:
        root = self.graph._root
        node = getattr(root, self.direction)
        while node is not root:
            if not node._erased:
                yield node
            node = getattr(node, self.direction)

    def __reversed__(self) -> _node_list:
        return _node_list(self.graph, "_prev" if self.direction == "_next" else "_next")


class _InsertPoint:
    """New nodes go to a place: from now on, or until the ``with`` block ends."""

    def __init__(self, graph: Graph, new_insert: Callable[[Node], None]) -> None:
        self.graph, self.orig_insert = graph, graph._insert
        graph._insert = new_insert

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        self.graph._insert = self.orig_insert


class Graph:
    """A list of calls (:class:`Node`) in the order in which they run.

    Parameters
    ----------
    owning_module : GraphModule, optional
        The module whose forward it is.
    tracer_cls : type, optional
        The tracer that made it; used when a saved module is read.
    """

    def __init__(
        self,
        owning_module: GraphModule | None = None,
        tracer_cls: type[Tracer] | None = None,
        tracer_extras: dict[str, Any] | None = None,
    ) -> None:
        self._len = 0
        self._graph_namespace = _Namespace()
        self._root = Node(self, "", "root", "", (), {})
        self._insert: Callable[[Node], None] = self._root.prepend
        self._owning_module = owning_module
        self._tracer_cls, self._tracer_extras = tracer_cls, tracer_extras
        self._codegen = CodeGen()

    @property
    def owning_module(self) -> GraphModule | None:
        """The module whose forward it is."""
        return self._owning_module

    @owning_module.setter
    def owning_module(self, mod: GraphModule | None) -> None:
        self._owning_module = mod

    def _hooks(self, kind: str) -> list[Callable]:
        return getattr(self._owning_module, kind, []) if self._owning_module is not None else []

    @property
    def nodes(self) -> _node_list:
        """The nodes in order; ``reversed`` works too."""
        return _node_list(self)

    def _is_before(self, a: Node, b: Node) -> bool:
        return a is not b and next(n for n in self.nodes if n is a or n is b) is a

    def find_nodes(self, *, op: str, target: Target | None = None, sort: bool = True) -> list[Node]:
        """The nodes with this ``op`` and, if given, this target."""
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    def output_node(self) -> Node:
        """The node that returns; RuntimeError if there is none yet."""
        for node in reversed(self.nodes):
            if node.op == "output":
                return node
        raise RuntimeError("the graph has no output node")

    # ------------------------------------------------------------------ making nodes
    def create_node(
        self,
        op: str,
        target: Target,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        name: str | None = None,
        type_expr: Any | None = None,
    ) -> Node:
        """Put a node where new nodes go.

        Parameters
        ----------
        op, target, args, kwargs
            See :class:`Node`.
        name : str, optional
            The wished name; one in use gets a number.
        type_expr : optional
            The annotation of its result.
        """
        args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(args, tuple):
            raise AssertionError(f"args must be a tuple, but got {type(args)}")
        if not isinstance(kwargs, dict):
            raise AssertionError(f"kwargs must be a dict, but got {type(kwargs)}")
        candidate = name if name is not None else self._target_to_str(target)
        node = Node(self, candidate, op, target, args, kwargs, type_expr)
        node.name = self._graph_namespace.create_name(candidate, None)
        self._graph_namespace.associate_name_with_obj(node.name, node)
        self._insert(node)
        self._len += 1
        for hook in self._hooks("_create_node_hooks"):
            hook(node)
        return node

    def _target_to_str(self, target: Target | None) -> str:
        if callable(target):
            name = target.__name__
            special = getattr(target, "__module__", None) == "flambeau._C._special"
            return _snake_case("special_" + name if special and not name.startswith("special_") else name)
        name = target[2:-2] if _is_magic(target) else target
        return _snake_case(name)

    def placeholder(
        self, name: str, type_expr: Any | None = None, default_value: Any = inspect.Signature.empty
    ) -> Node:
        """An argument of the forward; ``*args`` and ``**kwargs`` are names too."""
        args = () if default_value is inspect.Signature.empty else (default_value,)
        return self.create_node("placeholder", name, args=args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any | None = None) -> Node:
        """A parameter, buffer or other attribute by its path in the module."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(
        self,
        module_name: str,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any | None = None,
    ) -> Node:
        """A call of the module with this path."""
        if not isinstance(module_name, str):
            raise AssertionError(f"Expected target to be str, got {type(module_name)}")
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(
        self,
        method_name: str,
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any | None = None,
    ) -> Node:
        """A call of a method of ``args[0]``."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self,
        the_function: Callable[..., Any],
        args: tuple[Argument, ...] | None = None,
        kwargs: dict[str, Argument] | None = None,
        type_expr: Any | None = None,
        name: str | None = None,
    ) -> Node:
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name=name, type_expr=type_expr)

    def output(self, result: Argument, type_expr: Any | None = None) -> Node:
        """The return."""
        return self.create_node(op="output", target="output", args=(result,), type_expr=type_expr)

    def create_size_node(self, tensor_node: Node, dim: int) -> Node:
        """A node for ``tensor_node.size(dim)``."""
        return self.call_function(fb.ops.aten.sym_size.int, (tensor_node, dim))

    def create_stride_node(self, tensor_node: Node, dim: int) -> Node:
        """A node for ``tensor_node.stride(dim)``."""
        return self.call_function(fb.ops.aten.sym_stride.int, (tensor_node, dim))

    def create_storage_offset_node(self, tensor_node: Node) -> Node:
        """A node for ``tensor_node.storage_offset()``."""
        return self.call_function(fb.ops.aten.sym_storage_offset.default, (tensor_node,))

    def materialize_symints(self, values: Sequence[Any]) -> list[Node | int]:
        """Nodes that give sizes which are symbols, from what the graph has: the size of a dimension that an
        earlier node has by its ``meta["val"]``. Integers stay as they are.

        Parameters
        ----------
        values : the sizes, as the shapes in ``meta["val"]`` hold them.

        Raises
        ------
        RuntimeError : no node has such a size.
        """
        return [v if isinstance(v, int) else self._node_of_size(v) for v in values]

    def materialize_symint(self, value: Any) -> Node | int:
        """The same of one size."""
        return self.materialize_symints([value])[0]

    def _node_of_size(self, size: Any) -> Node:
        for node in self.nodes:
            shape = getattr(node.meta.get("val"), "shape", ())
            if size in shape:
                number = getattr(node.meta["val"], "dtype", None) is None  # a size that is an argument
                return node if number else self.create_size_node(node, list(shape).index(size))
        raise RuntimeError(f"no node of the graph has the size {size}")

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Argument] = lambda x: x) -> Node:
        """Put a copy of a node of another graph where new nodes go; ``arg_transform`` gives its arguments."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        made = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        made.meta = copy.copy(node.meta)
        return made

    def graph_copy(
        self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False
    ) -> Argument | None:
        """Put copies of all nodes of ``g`` but its output where new nodes go.

        Parameters
        ----------
        val_map : dict
            Nodes of ``g`` to nodes of this graph; filled with the copies. What is in it already is not
            copied.

        Returns
        -------
        The output's argument here; with ``return_output_node`` also the output node of ``g``; None without
        an output.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Graph:
        memo = {} if memo is None else memo
        made = Graph(tracer_cls=self._tracer_cls, tracer_extras=self._tracer_extras)
        memo[id(self)] = made
        val_map: dict[Node, Node] = {}
        copied = made.graph_copy(self, val_map, return_output_node=True)
        if copied is not None:
            result, old = copied
            new = made.output(result, type_expr=getattr(old, "type", None))
            new.meta = copy.copy(old.meta)
        made._codegen = copy.deepcopy(self._codegen)
        return made

    # ------------------------------------------------------------------ changing it
    def inserting_before(self, n: Node | None = None) -> _InsertPoint:
        """``with`` block (or from now on): new nodes go before ``n``, or to the beginning."""
        if n is None:
            return self.inserting_after(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert before is not in graph.")
        return _InsertPoint(self, n.prepend)

    def inserting_after(self, n: Node | None = None) -> _InsertPoint:
        """``with`` block (or from now on): new nodes go behind ``n``, or to the end; in the order made."""
        if n is None:
            return self.inserting_before(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert after is not in graph.")
        return _InsertPoint(self, n.append)

    def erase_node(self, to_erase: Node) -> None:
        """Take a node out.

        Raises
        ------
        RuntimeError
            If its result is used.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            return
        for hook in self._hooks("_erase_node_hooks"):
            hook(to_erase)
        to_erase._remove_from_list()
        to_erase._erased = True
        self._len -= 1
        to_erase._set_arguments((), {})

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Take out nodes whose result nobody uses, unless they have effects; whether there were any."""
        self.lint()
        impure = is_impure_node or (lambda n: n.is_impure())
        before = self._len
        for node in reversed(self.nodes):
            if not node.users and not impure(node):
                self.erase_node(node)
        return self._len < before

    def lint(self) -> None:
        """Check that arguments are nodes of this graph that come earlier, names differ, targets exist.

        Raises
        ------
        RuntimeError
            With what is wrong.
        """
        seen: dict[str, Node] = {}
        known: set[Node] = set()
        for node in self.nodes:
            if node.graph is not self:
                raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
            for argument in node.all_input_nodes:
                if argument.graph is not self:
                    raise RuntimeError(
                        f"Argument '{argument}' of Node '{node}' does not belong to this Graph, but "
                        "was used as "
                        "an argument! If you are copying nodes from another graph, make sure to use "
                        f"``arg_transform`` on node_copy() to remap values\n{self}"
                    )
                if argument not in known:
                    raise RuntimeError(
                        f"Argument '{argument}' of Node '{node}' was used before it has been defined! Please "
                        f"check that Nodes in the graph are topologically ordered\n{self}"
                    )
            known.add(node)
            if node.name in seen:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen[node.name] = node
            if self._owning_module is not None and node.op in ("get_attr", "call_module"):
                self._check_target(node)

    def _check_target(self, node: Node) -> None:
        found: Any = self._owning_module
        for part in node.target.split("."):
            if not hasattr(found, part):
                raise RuntimeError(
                    f"Node {node} target {node.target} references nonexistent attribute {part} of "
                    f"{'.'.join(node.target.split('.')[: node.target.split('.').index(part)])}"
                )
            found = getattr(found, part)
        if node.op == "call_module" and not isinstance(found, fb.nn.Module):
            raise RuntimeError(
                f"Node {node} target {node.target} {fb.typename(found)} does not reference an nn.Module"
            )

    def _clear_nodes(self) -> None:
        for node in reversed(self.nodes):
            node.users = {}
            self.erase_node(node)

    # ------------------------------------------------------------------ as Python
    def python_code(self, root_module: str, **options: Any) -> PythonCode:
        """The source of the forward, and its global names.

        Parameters
        ----------
        root_module : str
            What the module is called in it: ``"self"``.
        """
        if root_module != "self":
            raise NotImplementedError(f"Graph.python_code(root_module={root_module!r}): only 'self' is there")
        if wanted := sorted(k for k, v in options.items() if v):
            raise NotImplementedError(f"Graph.python_code({', '.join(wanted)}): not in flambeau")
        return describe(self, self._codegen)

    def set_codegen(self, codegen: CodeGen) -> None:
        """Let code be written another way."""
        self._codegen = codegen

    def process_inputs(self, *args: Any) -> Any:
        """Arguments of the forward as those of the placeholders."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out: Any) -> Any:
        """The output's value as the forward gives it."""
        return self._codegen.process_outputs(out)

    def on_generate_code(self, make_transformer: Callable) -> contextlib.AbstractContextManager[None]:
        """Let a function change the lines of the code; ``make_transformer`` gets the one there
        was, or None.
        """
        before = self._codegen._body_transformer
        self._codegen._body_transformer = make_transformer(before)

        @contextlib.contextmanager
        def until_exit() -> Iterator[None]:
            try:
                yield
            finally:
                self._codegen._body_transformer = before

        return until_exit()

    # ------------------------------------------------------------------ printing
    def __str__(self) -> str:
        placeholder_names: list[str] = []
        lines = [node.format_node() for node in self.nodes]
        return "\n    ".join([f"graph({', '.join(placeholder_names)}):", *(x for x in lines if x)])

    def print_tabular(self) -> None:
        """Print a table of the nodes."""
        head = ("opcode", "name", "target", "args", "kwargs")
        rows = [(n.op, n.name, str(n.target), str(n.args), str(n.kwargs)) for n in self.nodes]
        widths = [max(len(r[k]) for r in [head, *rows]) for k in range(len(head))]
        if not rows:
            widths = [len(h) for h in head]
        lines = [head, tuple("-" * w for w in widths), *rows]
        print("\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines))


_names_used_by_programs = (_format_arg, _get_qualified_name)
