"""A backend of the caller's own: a call written down as a graph, and what the backend makes of it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._annotations import signature_of
from flambeau._dynamo.exc import BackendCompilerFailed
from flambeau.fx import Graph, GraphModule, Node
from flambeau.overrides import TorchFunctionMode
from flambeau.utils._pytree import tree_flatten, tree_unflatten

from ._problem import Problem

_READS = frozenset(
    "item tolist numpy __array__ __bool__ __int__ __float__ __complex__ __index__ __contains__ data_ptr "
    "equal allclose is_nonzero backward register_hook retain_grad requires_grad_ __dlpack__".split()
)
_OPERATORS = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "true_divide": operator.truediv, "matmul": operator.matmul, "pow": operator.pow, "gt": operator.gt,
    "lt": operator.lt, "ge": operator.ge, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
    "remainder": operator.mod, "floor_divide": operator.floordiv, "__getitem__": operator.getitem,
}  # fmt: skip
_KEEP_STATISTICS = frozenset(("batch_norm", "instance_norm", "native_batch_norm"))


class Refused(Exception):
    """The call holds what no graph does."""


class GraphWriter(TorchFunctionMode):
    """Notes every call on tensors as a node.

    Tensors that come from outside (arguments, parameters, buffers, tensors of enclosing code) become
    placeholders in the order in which they are first used.

    Parameters
    ----------
    function, args, kwargs
        The call, whose tensors get the names of their parameters.
    """

    def __init__(self, function: Callable, args: tuple, kwargs: dict) -> None:
        super().__init__()
        self.graph = Graph()
        self.inputs: list[
            tuple[int | None, Any]
        ] = []  # place among the arguments' tensors, or None; the tensor
        self.problem: Problem | None = None
        self.has_effects = False
        self._nodes: dict[int, Node] = {}
        self._keep: list[Any] = []  # so that no address is used twice
        self._names = _outside_names(function)
        self._places = {}
        for place, (name, t) in enumerate(_argument_tensors(function, args, kwargs)):
            self._places.setdefault(id(t), place)
            self._names.setdefault(id(t), name)
        self._last_placeholder: Node | None = None
        self._grad_mode = fb.is_grad_enabled()
        self._calls: list[tuple] = []

    _sees_operators = True

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kept = _copied(args), _copied(kwargs or {})
        result = func(*args, **(kwargs or {}))
        self._calls.append((func, *kept, result, fb.is_grad_enabled()))
        return result

    def write(self) -> None:
        """Make the nodes: not while the calls ran, when everything Python does is watched."""
        try:
            for call in self._calls:
                self._write(*call)
        except Refused as why:
            self.problem = Problem(str(why))

    def _write(self, func: Callable, args: tuple, kwargs: dict, result: Any, mode: bool) -> None:
        name = getattr(func, "__name__", type(func).__name__)
        if name in _READS:
            raise Refused(f"it calls {name}(), which no graph holds")
        if name in ("__set__", "__delete__"):
            raise Refused(f"it sets the attribute `{func.__self__.__name__}` of a tensor")
        steps = name.startswith("_fused_")  # of optimizers: they change tensors and say whether they did
        if steps and result is False:
            return
        if not (steps or result is None or isinstance(result, fb.Tensor) or _holds_tensor(result)):
            return  # a shape, a dtype: part of what the graph was made for
        if name.endswith("_") and not name.endswith("__"):
            self.has_effects = True
        elif steps or result is None or name in _KEEP_STATISTICS or "out" in kwargs:
            self.has_effects = True
        if mode != self._grad_mode:
            self.graph.call_function(_C._set_grad_enabled, (mode,))
            self._grad_mode = mode
        node = self._call(func, name, self._argument(args), self._argument(kwargs))
        self._know(node, result)

    def _call(self, func: Callable, name: str, args: tuple, kwargs: dict) -> Node:
        if name == "__get__":
            return self.graph.call_function(getattr, (args[0], func.__self__.__name__))
        if name == "__setitem__":
            return self.graph.call_function(operator.setitem, args)
        if name == "rsub" and len(args) == 2 and not kwargs:
            return self.graph.call_function(operator.sub, (args[1], args[0]))
        method = getattr(fb.Tensor, name, None)
        if method is func or (method is not None and getattr(func, "__objclass__", None) is not None):
            if name in _OPERATORS and len(args) == 2 and not kwargs:
                return self.graph.call_function(_OPERATORS[name], args)
            return self.graph.call_method(name, args, kwargs)
        return self.graph.call_function(func, args, kwargs)

    def _know(self, node: Node, result: Any) -> None:
        self._keep.append(result)
        if isinstance(result, fb.Tensor):
            self._nodes[id(result)] = node
        elif isinstance(result, (tuple, list)):
            for i, item in enumerate(result):
                if _holds_tensor(item):
                    self._know(self.graph.call_function(operator.getitem, (node, i)), item)

    def _argument(self, value: Any) -> Any:
        if isinstance(value, fb.Tensor):
            return self.node_of(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self._argument, value))
        if isinstance(value, (tuple, list)) and not isinstance(value, fb.Size):
            return type(value)(map(self._argument, value))
        if isinstance(value, dict):
            return {k: self._argument(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*map(self._argument, (value.start, value.stop, value.step)))
        if isinstance(value, fb.Generator):
            raise Refused("it draws from a generator of its own")
        return value

    def node_of(self, t: Any) -> Node:
        """The node that makes ``t``: a placeholder where nothing in the graph does."""
        if (node := self._nodes.get(id(t))) is not None:
            return node
        name = self._names.get(id(t), f"L_tensor_{len(self.inputs)}_")
        first = next(iter(self.graph.nodes), None)
        before = self._last_placeholder
        point = (
            self.graph.inserting_after(before) if before is not None else self.graph.inserting_before(first)
        )
        with point:
            node = self.graph.placeholder(name, type(t))
        self._last_placeholder = self._nodes[id(t)] = node
        self._keep.append(t)
        self.inputs.append((self._places.get(id(t)), t))
        return node

    def finish(self, result: Any) -> tuple[GraphModule, Callable[[Any], Any]]:
        """The graph that gives the tensors of ``result``, and what puts them back into its structure."""
        leaves, form = tree_flatten(result)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, fb.Tensor)]
        if fb.is_grad_enabled() != self._grad_mode:
            self.graph.call_function(_C._set_grad_enabled, (fb.is_grad_enabled(),))
        self.graph.output(tuple(self.node_of(leaves[i]) for i in places))
        constants = [None if isinstance(leaf, fb.Tensor) else leaf for leaf in leaves]

        def put_together(tensors: Any) -> Any:
            found = list(constants)
            for i, t in zip(places, tensors, strict=True):
                found[i] = t
            return tree_unflatten(found, form)

        return GraphModule(fb.nn.Module(), self.graph), put_together


def _copied(value: Any) -> Any:
    """Lists and dictionaries as they are now."""
    if type(value) in (tuple, list):
        return type(value)(map(_copied, value))
    return {k: _copied(v) for k, v in value.items()} if type(value) is dict else value


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, fb.Tensor):
        return True
    return isinstance(value, (tuple, list)) and any(map(_holds_tensor, value))


def _identifier(path: str) -> str:
    return "L_" + re.sub(r"\W+", "_", path).strip("_") + "_"


def _argument_tensors(function: Callable, args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    """The tensors of a call in order, named as the function names its parameters."""
    called = function.forward if isinstance(function, fb.nn.Module) else function
    try:
        named = signature_of(called).bind(*args, **kwargs).arguments
        names = list(named) if len(named) == len(args) + len(kwargs) else []
    except (TypeError, ValueError):
        names = []
    names = names or [*(f"arg{i}" for i in range(len(args))), *kwargs]
    found: list[tuple[str, Any]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, fb.Tensor):
            found.append((_identifier(path), value))
        elif isinstance(value, (tuple, list)):
            for i, item in enumerate(value):
                walk(f"{path}_{i}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{path}_{key}", item)

    for name, value in zip(names, [*args, *kwargs.values()]):
        walk(name, value)
    return found


def _outside_names(function: Callable) -> dict[int, str]:
    """Names of the parameters and buffers of a module."""
    module = function if isinstance(function, fb.nn.Module) else getattr(function, "__self__", None)
    names: dict[int, str] = {}
    if isinstance(module, fb.nn.Module):
        for path, owner in module.named_modules():
            start = "self" + "".join(f"_modules_{part}" for part in path.split(".") if part)
            for kind, kept in (("parameters", owner._parameters), ("buffers", owner._buffers)):
                for name, t in kept.items():
                    names.setdefault(id(t), _identifier(f"{start}_{kind}_{name}"))
    return names


class BackendProgram:
    """What a backend made of one graph, called with the arguments of the function."""

    def __init__(self, writer: GraphWriter, function: Callable, backend: Callable, result: Any) -> None:
        self._function = function
        module, self._put_together = writer.finish(result)
        self._inputs = writer.inputs
        self._held = [_state(t) if place is None else None for place, t in writer.inputs]
        try:
            made = backend(module, [t for _, t in writer.inputs])
            if not callable(made):
                raise AssertionError("compiler_fn did not return callable")
        except Exception as error:
            name = getattr(backend, "__name__", type(backend).__name__)
            raise BackendCompilerFailed(
                f"backend={name!r} raised:\n{type(error).__name__}: {error}"
            ) from error
        self._made = made

    def holds(self) -> bool:
        """Whether the tensors that are no arguments are still of the shapes the graph was made for."""
        return all(state is None or state == _state(t) for state, (_, t) in zip(self._held, self._inputs))

    def call(self, args: tuple, kwargs: dict) -> Any:
        """The result of the function."""
        given = [t for _, t in _argument_tensors(self._function, args, kwargs)]
        return self._put_together(
            self._made(*(t if place is None else given[place] for place, t in self._inputs))
        )


def _state(t: Any) -> tuple:
    return t.shape, t.stride(), t.dtype, t.requires_grad
