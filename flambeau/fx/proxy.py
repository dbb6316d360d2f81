"""Stand-ins of values that write down what is done with them."""

from __future__ import annotations

import dataclasses
import dis
import enum
import functools
import inspect
import operator
import sys
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from types import FrameType
from typing import Any

import flambeau as fb
from flambeau._own_methods import is_ours
from flambeau.fx._codegen import magic_methods, reflectable_magic_methods
from flambeau.fx._names import METHOD_TYPES, functional
from flambeau.fx.graph import Graph
from flambeau.fx.immutable_collections import immutable_dict, immutable_list
from flambeau.fx.node import Node, Target, base_types, map_aggregate

__all__ = [
    "TracerBase", "GraphAppendingTracer", "TraceError", "Proxy", "Attribute", "ParameterProxy", "Scope",
    "ScopeContextManager",
]  # fmt: skip

_NO_ITERATION = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as "
    "a *args or "
    "**kwargs function argument. See the torch.fx docs on pytorch.org for a more detailed "
    "explanation of what "
    "types of control flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy "
    "iteration errors"
)


class TraceError(ValueError):
    """Something that depends on values, which do not exist while a program is traced."""


@dataclasses.dataclass
class Scope:
    """The module whose forward is being traced."""

    module_path: str
    module_type: Any


class ScopeContextManager:
    """Makes a module the current scope while its forward is traced."""

    def __init__(self, scope: Scope, current_scope: Scope) -> None:
        self._scope, self._before = scope, dataclasses.replace(scope)
        scope.module_path, scope.module_type = current_scope.module_path, current_scope.module_type

    def __enter__(self) -> Scope:
        return self._scope

    def __exit__(self, *exception: object) -> None:
        self._scope.module_path, self._scope.module_type = self._before.module_path, self._before.module_type


class TracerBase:
    """What turns calls on stand-ins into nodes of ``graph``; methods are there to be overridden."""

    graph: Graph
    record_stack_traces = False
    check_mutable_operations = False
    trace_asserts = False
    proxy_buffer_attributes = False
    traced_func_name = "forward"
    scope: Scope
    module_stack: OrderedDict[str, tuple[str, Any]]
    node_name_to_scope: dict[str, tuple[str, type]]

    def create_node(
        self,
        kind: str,
        target: Target,
        args: tuple,
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any | None = None,
    ) -> Node:
        """Make a node whose arguments are nodes."""
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        if hasattr(self, "node_name_to_scope"):
            self.node_name_to_scope[node.name] = (self.scope.module_path, self.scope.module_type)
        if getattr(self, "module_stack", None):
            node.meta["nn_module_stack"] = OrderedDict(self.module_stack)
        return node

    def proxy(self, node: Node) -> Proxy:
        """The stand-in of a node."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any | None = None,
        proxy_factory_fn: Any = None,
    ) -> Proxy:
        """Make a node whose arguments may be stand-ins, and its stand-in."""
        if self.check_mutable_operations and kind == "call_method" and _changes(target):
            raise RuntimeError(
                f"Tried to trace mutable operation {target}. FX only supports functional code, so operations "
                "that mutate operands in-place (e.g. via `out` arguments) are not supported"
            )
        node = self.create_node(
            kind, target, self.create_arg(tuple(args)), self.create_arg(dict(kwargs)), name, type_expr
        )
        proxy = proxy_factory_fn(node) if proxy_factory_fn else self.proxy(node)
        if self.record_stack_traces and (frame := self._find_user_frame()) is not None:
            node.stack_trace = "".join(traceback.format_stack(frame))
        return proxy

    def _find_user_frame(self) -> FrameType | None:
        """The innermost frame that is not the tracer's or a module's call."""
        frame = inspect.currentframe()
        while frame is not None:
            name = frame.f_globals.get("__name__", "")
            if not name.startswith(("flambeau.fx", "flambeau.nn", "flambeau.overrides")):
                return frame
            frame = frame.f_back
        return None

    def create_arg(self, a: Any) -> Any:
        """What a node may hold of an argument.

        Raises
        ------
        NotImplementedError
            For types that cannot be written into a program.
        """
        if isinstance(a, Proxy):
            return a.node
        if a is None or a is ... or isinstance(a, (*base_types, Node, enum.Enum)):
            return a
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            items = [self.create_arg(v) for v in a]
            return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
        if isinstance(a, list):
            return immutable_list([self.create_arg(v) for v in a])
        if isinstance(a, dict):
            return self._create_arg_dict(a)
        if isinstance(a, slice):
            return slice(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, range):
            return range(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if dataclasses.is_dataclass(a) and not isinstance(a, type):
            fields = {f.name: self.create_arg(getattr(a, f.name)) for f in dataclasses.fields(a)}
            return self.create_node("call_function", type(a), (), fields)
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _create_arg_dict(self, a: dict) -> dict:
        made = {}
        for k, v in a.items():
            if not isinstance(k, str):
                k = self.create_arg(k)

                def refuse(n: Any, key: Any = k) -> Any:
                    if isinstance(n, Node):
                        raise RuntimeError(
                            f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {key}"
                        )
                    return n

                map_aggregate(k, refuse)
            made[k] = self.create_arg(v)
        return immutable_dict(made)

    def to_bool(self, obj: Proxy) -> bool:
        """The truth of a stand-in: a tracer may know it, this one raises TraceError."""
        if self.trace_asserts:
            raise NotImplementedError("Tracer.trace_asserts: flambeau does not trace assert statements")
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj: Proxy) -> Iterator:
        """What a loop over a stand-in gives: a tracer may know it, this one raises TraceError."""
        raise TraceError(_NO_ITERATION)

    def keys(self, obj: Proxy) -> Any:
        """The keys of a stand-in used as ``**kwargs``."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """The tracer of stand-ins of nodes of a graph that exists already."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.node_name_to_scope = {}


def _changes(target: Any) -> bool:
    return isinstance(target, str) and target.endswith("_") and not target.endswith("__")


@functools.cache
def _signatures() -> dict[int, tuple[inspect.Signature, Any]]:
    """Functions of nn.functional and torch.functional: arguments with a default are passed by name."""
    spaces = [fb.nn.functional, fb.functional]
    found: dict[int, tuple[inspect.Signature, Any]] = {}
    for space in spaces:
        for name in dir(space):
            f = getattr(space, name)
            if inspect.isfunction(f) and not name.startswith("_") and is_ours(f.__module__):
                signature = inspect.signature(f)
                if space is fb.nn.functional or id(f) in functional():
                    found[id(f)] = signature, f
    if not inspect.isfunction(fb.split):

        def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
            """For the signature."""

        found[id(fb.split)] = inspect.signature(split), fb.split
    return found


def _as_recorded(function: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Arguments as torch records them: the required ones by place, the others by name."""
    entry = _signatures().get(id(function))
    if entry is None:
        return args, kwargs
    return fb.overrides._as_passed(entry[0], args, kwargs)


class Proxy:
    """The stand-in of a value: operators, methods, attributes and functions of torch on it become nodes.

    What needs the value raises :class:`TraceError`: conditions, loops over it, ``*args`` made of it.
    Unpacking into a known number of names works.
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    __hash__ = object.__hash__

    def __getattr__(self, k: str) -> Attribute:
        if k in ("node", "tracer") or (k.startswith("__") and k.endswith("__")):
            if k not in _CALLABLE_MAGIC:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {k!r}")
        return Attribute(self, k)

    def __getstate__(self) -> dict:
        return self.__dict__

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state

    def __deepcopy__(self, memo: dict) -> Proxy:
        import copy

        made = object.__new__(type(self))
        made.__dict__.update({k: v if k == "tracer" else copy.copy(v) for k, v in self.__dict__.items()})
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator:
        frame = sys._getframe(1)
        code, place = frame.f_code.co_code, frame.f_lasti
        if dis.opname[code[place]] == "UNPACK_SEQUENCE":
            return (self[i] for i in range(code[place + 1]))
        return self.tracer.iter(self)

    def __abs__(self) -> Proxy:
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self) -> bool:
        return self.tracer.to_bool(self)

    def keys(self) -> Any:
        """What ``**self`` asks for."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be "
            "recorded, please "
            "call torch.fx.wrap('len') at module scope"
        )

    @classmethod
    def __torch_function__(
        cls, orig_method: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tracers: dict[Any, None] = {}

        def note(v: Any) -> Any:
            if isinstance(v, Proxy):
                tracers[v.tracer] = None
            return v

        map_aggregate((args, kwargs), note)
        if len(tracers) > 1:
            raise RuntimeError(
                f"Found multiple different tracers {list(tracers)} while trying to trace operations "
                f"{orig_method}"
            )
        tracer = next(iter(tracers))
        if isinstance(orig_method, METHOD_TYPES):
            return tracer.create_proxy("call_method", orig_method.__name__, args, kwargs)
        args, kwargs = _as_recorded(orig_method, tuple(args), kwargs)
        return tracer.create_proxy("call_function", orig_method, args, kwargs)


_CALLABLE_MAGIC = ("__setitem__", "__delitem__", "__contains__", "__getitem__")


def _operator_method(name: str) -> Any:
    function = getattr(operator, name)

    def method(*args: Any) -> Proxy:
        return args[0].tracer.create_proxy("call_function", function, args, {})

    return method


def _reflected_method(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Proxy, other: Any) -> Proxy:
        return self.tracer.create_proxy("call_function", function, (other, self), {})

    return method


for _name in magic_methods:
    if _name != "div":  # what Python 2 called truediv
        _method = _operator_method(_name)
        _method.__name__ = f"__{_name.strip('_')}__"
        setattr(Proxy, _method.__name__, _method)
for _name in reflectable_magic_methods:
    if _name not in ("div", "getitem"):
        _method = _reflected_method(_name)
        _method.__name__ = f"__r{_name.strip('_')}__"
        setattr(Proxy, _method.__name__, _method)


class Attribute(Proxy):
    """An attribute of a stand-in: a node of its own once its value is used, a method call if it is called."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """The node that reads the attribute; made when it is first asked for."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """The stand-in of a parameter whose shape is known: ``shape``, ``size``, ``dim`` give numbers."""

    def __init__(self, tracer: TracerBase, node: Node, name: str, param: fb.nn.Parameter) -> None:
        super().__init__(node, tracer)
        if not isinstance(param, fb.nn.Parameter):
            raise AssertionError(f"expected a Parameter, got {type(param)}")
        self.param, self.name = param, name

    def __repr__(self) -> str:
        return f"ParameterProxy({self.name})"

    @property
    def shape(self) -> fb.Size:
        """The shape."""
        return self.param.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.param.ndim

    def size(self, *args: Any) -> Any:
        """The shape, or the size of a dimension."""
        return self.param.size(*args)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.param.dim()

    def numel(self) -> int:
        """The number of elements."""
        return self.param.numel()

    def nelement(self) -> int:
        """The number of elements."""
        return self.param.numel()
