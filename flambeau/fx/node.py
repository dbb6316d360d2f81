"""One call in a graph, and its arguments."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.fx._names import qualified_name as _get_qualified_name
from flambeau.fx._names import type_repr as _type_repr
from flambeau.fx.immutable_collections import immutable_dict, immutable_list

if TYPE_CHECKING:
    from flambeau.fx.graph import Graph

__all__ = ["Node", "map_arg", "map_aggregate", "has_side_effect"]

Target = Callable[..., Any] | str
Argument = Any  # nodes, numbers, texts, types of torch, and tuples, lists, dictionaries and slices of these
BaseArgumentTypes = (
    str, int, float, bool, complex, fb.dtype, fb.Tensor, fb.device, fb.memory_format, fb.layout,
)  # fmt: skip
base_types = BaseArgumentTypes

_legal_ops = dict.fromkeys(
    ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root")
)
_side_effectful_functions: set[Callable] = {
    fb._assert, operator.setitem, fb.set_grad_enabled,
}  # fmt: skip


def has_side_effect(fn: Callable) -> Callable:
    """Keep calls of a function, whether or not their results are used; returns the function."""
    _side_effectful_functions.add(fn)
    return fn


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """Apply ``fn`` to what is in tuples, lists, dictionaries and slices, which are built anew."""
    if isinstance(a, tuple):
        values = [map_aggregate(v, fn) for v in a]
        return type(a)(*values) if hasattr(a, "_fields") else tuple(values)
    if isinstance(a, list):
        return immutable_list([map_aggregate(v, fn) for v in a])
    if isinstance(a, dict):
        return immutable_dict({k: map_aggregate(v, fn) for k, v in a.items()})
    if isinstance(a, slice):
        return slice(map_aggregate(a.start, fn), map_aggregate(a.stop, fn), map_aggregate(a.step, fn))
    return fn(a)


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """Apply ``fn`` to each node in an argument."""
    return map_aggregate(a, lambda v: fn(v) if isinstance(v, Node) else v)


def _format_arg(arg: Any, max_list_len: float = float("inf")) -> str:
    if hasattr(arg, "_custom_fx_repr_fn"):
        return arg._custom_fx_repr_fn()
    if isinstance(arg, (list, tuple)):
        items = [_format_arg(v) for k, v in enumerate(arg) if k < max_list_len]
        rest = f", ...[total_len={len(arg)}]" if len(arg) > max_list_len else ""
        if isinstance(arg, list):
            return f"[{', '.join(items)}{rest}]"
        return f"({', '.join(items)}{rest}{',' if len(arg) == 1 else ''})"
    if isinstance(arg, dict):
        return "{" + ", ".join(f"{k}: {_format_arg(v)}" for k, v in arg.items()) + "}"
    if isinstance(arg, Node):
        return "%" + str(arg)
    return str(arg)


class Node:
    """One call.

    ``op`` says what ``target`` is: the name of an argument of the forward (``placeholder``), the path of a
    parameter or buffer (``get_attr``), a function (``call_function``), the path of a module
    (``call_module``), the name of a method of the first argument (``call_method``); ``output`` returns
    ``args[0]``.

    Parameters
    ----------
    graph : Graph
        The graph it is for; :meth:`Graph.create_node` makes nodes and puts them in.

    Raises
    ------
    ValueError
        If the target does not fit ``op``.
    """

    __slots__ = ("__dict__", "__weakref__", "graph", "meta", "name", "op", "target", "type", "users")

    def __init__(
        self,
        graph: Graph,
        name: str,
        op: str,
        target: Target,
        args: tuple[Argument, ...],
        kwargs: dict[str, Argument],
        return_type: Any | None = None,
    ) -> None:
        if op not in _legal_ops:
            raise AssertionError(f"op {op!r} is not in _legal_ops")
        wanted, fits = ("a Callable", callable(target)) if op == "call_function" else (
            "a str", isinstance(target, str)
        )  # fmt: skip
        if not fits:
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target).__name__} "
                f"but {wanted} is expected"
            )
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self.type = return_type
        self.meta: dict[str, Any] = {}
        self.users: dict[Node, None] = {}
        self._input_nodes: dict[Node, None] = {}
        self._prev = self._next = self
        self._erased = False
        self._repr_fn: Callable[[Node], str] | None = None
        self._args: tuple = ()
        self._kwargs: dict = {}
        self._set_arguments(args, kwargs)

    # ------------------------------------------------------------------ place in the graph
    @property
    def next(self) -> Node:
        """The node behind this one; behind the last the graph's root."""
        return self._next

    @property
    def prev(self) -> Node:
        """The node before this one."""
        return self._prev

    def _remove_from_list(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev

    def prepend(self, x: Node) -> None:
        """Move ``x`` before this node."""
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if self is x:
            return
        x._remove_from_list()
        before = self._prev
        before._next, x._prev = x, before
        x._next, self._prev = self, x

    def append(self, x: Node) -> None:
        """Move ``x`` behind this node."""
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if self is not x and self._next is not x:
            self._next.prepend(x)

    def __lt__(self, other: Node) -> bool:
        return self.graph._is_before(self, other)

    def __gt__(self, other: Node) -> bool:
        return other < self

    def __le__(self, other: Node) -> bool:
        return self is other or self < other

    def __ge__(self, other: Node) -> bool:
        return self is other or other < self

    # ------------------------------------------------------------------ arguments
    @property
    def args(self) -> tuple[Argument, ...]:
        """Positional arguments; assign to change them."""
        return self._args

    @args.setter
    def args(self, a: Sequence[Argument]) -> None:
        self._set_arguments(tuple(a), self._kwargs)

    @property
    def kwargs(self) -> dict[str, Argument]:
        """Keyword arguments; assign to change them."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, k: Mapping[str, Argument]) -> None:
        self._set_arguments(self._args, dict(k))

    def _set_arguments(self, args: Any, kwargs: Any) -> None:
        for old in self._input_nodes:
            old.users.pop(self, None)
        found: dict[Node, None] = {}

        def note(n: Node) -> Node:
            found[n] = None
            n.users[self] = None
            return n

        self._args, self._kwargs = map_arg(args, note), map_arg(kwargs, note)
        self._input_nodes = found

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once."""
        return list(self._input_nodes)

    def update_arg(self, idx: int, arg: Argument) -> None:
        """Set one positional argument."""
        args = list(self.args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx: int, arg: Argument) -> None:
        """Put a positional argument before the one at ``idx``."""
        if not 0 <= idx <= len(self.args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key: str, arg: Argument) -> None:
        """Set one keyword argument."""
        self.kwargs = {**self.kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Use another node wherever ``old_input`` is an argument."""

        def other(n: Node) -> Node:
            return new_input if n is old_input else n

        for hook in self.graph._hooks("_replace_hooks"):
            hook(old=old_input, new=new_input.name, user=self)
        self._set_arguments(map_arg(self._args, other), map_arg(self._kwargs, other))

    def replace_all_uses_with(
        self,
        replace_with: Node,
        delete_user_cb: Callable[[Node], bool] | None = None,
        *,
        propagate_meta: bool = False,
    ) -> list[Node]:
        """Let all users of this node use another one.

        Parameters
        ----------
        delete_user_cb : callable, optional
            Whether a user is to be changed.
        propagate_meta : bool
            Whether the other node gets this one's ``meta``, of which it must have none.

        Returns
        -------
        list of Node
            The users this node had.
        """
        if propagate_meta:
            if replace_with.meta:
                raise AssertionError(
                    "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but replace_with "
                    "already has .meta keys"
                )
            replace_with.meta.update(self.meta)
        before = list(self.users)
        for user in before:
            if delete_user_cb is None or delete_user_cb(user):
                user.replace_input_with(self, replace_with)
        return [user for user in before if user not in self.users]

    # ------------------------------------------------------------------ what it is
    @property
    def stack_trace(self) -> str | None:
        """Where the call was made, if the tracer recorded it."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace: str | None) -> None:
        self.meta["stack_trace"] = trace

    def is_impure(self, impure_random: bool = True) -> bool:
        """Whether the call matters even if nobody uses its result."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            return self.target in _side_effectful_functions
        if self.op == "call_module":
            owner = self.graph.owning_module
            if owner is None:
                raise AssertionError(
                    "self.graph.owning_module not set for purity check: dead modules cannot be told"
                )
            return getattr(owner.get_submodule(self.target), "_is_impure", False)
        return False

    def normalized_arguments(
        self,
        root: fb.nn.Module,
        arg_types: tuple | None = None,
        kwarg_types: dict[str, Any] | None = None,
        normalize_to_only_use_kwargs: bool = False,
    ) -> Any:
        """Arguments in the order of the signature, as an ``ArgsKwargsPair``; None if there is no
        signature.
        """
        from flambeau.fx.operator_schemas import normalize_function, normalize_module

        if self.op == "call_function":
            return normalize_function(
                self.target, self.args, self.kwargs, arg_types, kwarg_types, normalize_to_only_use_kwargs
            )
        if self.op == "call_module":
            return normalize_module(root, self.target, self.args, self.kwargs, normalize_to_only_use_kwargs)
        return None

    def _rename(self, candidate: str) -> None:
        if candidate != self.name:
            self.name = self.graph._graph_namespace.create_name(candidate, None)

    def _is_wrapped(self) -> bool:
        return bool(self.meta.get("is_wrapped"))

    # ------------------------------------------------------------------ printing
    def __repr__(self) -> str:
        return self._repr_fn(self) if self._repr_fn else self.name

    @staticmethod
    def _pretty_print_target(target: Any) -> str:
        if isinstance(target, str):
            return target
        if hasattr(target, "__module__"):
            name = getattr(target, "__name__", None)
            if name is None:
                return _get_qualified_name(type(target))
            if target.__module__ == "builtins" and getattr(builtins, name, None) is target:
                return f"builtins.{name}"
            if target.__module__ == "_operator":
                return f"operator.{name}"
        return _get_qualified_name(target)

    def format_node(
        self,
        placeholder_names: list[str] | None = None,
        maybe_return_typename: list[str] | None = None,
        *,
        include_tensor_metadata: bool = False,
    ) -> str | None:
        """One line that says everything; a placeholder's goes into ``placeholder_names`` where
        that is given.
        """
        kind = f"{_type_repr(self.type)} " if self.type else ""
        head = f"%{self.name} : {kind}[num_users={len(self.users)}] = {self.op}"
        if self.op == "placeholder":
            if placeholder_names is not None:
                placeholder_names.append(f"%{self.target}" + (f" : {_type_repr(self.type)}" if kind else ""))
                return None
            default = f"(default={self.args[0]})" if self.args else ""
            return f"{head}[target={self.target}]{default}"
        if self.op == "get_attr":
            return f"{head}[target={self.target}]"
        if self.op == "output":
            if self.type and maybe_return_typename:
                maybe_return_typename[0] = f" -> {_type_repr(self.type)}"
            return f"return {self.args[0]}"
        return (
            f"{head}[target={self._pretty_print_target(self.target)}]"
            f"(args = {_format_arg(self.args)}, kwargs = {_format_arg(self.kwargs)})"
        )

    def __reduce__(self) -> Any:
        raise TypeError("a Node is saved with its Graph; copy.deepcopy or pickle the GraphModule")


def nodes_of(argument: Any) -> Iterable[Node]:
    """The nodes in an argument, in order."""
    found: list[Node] = []
    map_arg(argument, lambda n: found.append(n) or n)
    return found
