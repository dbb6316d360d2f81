"""`make_fx`: the operators that a function runs, as an fx graph.

Unlike `symbolic_trace`, the function runs on tensors, and every operator below autograd is written down,
those of a backward too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau._annotations import signature_of
from flambeau.utils import _pytree as pytree
from flambeau.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode_stack,
)

from .._codegen import _PyTreeCodeGen, _PyTreeInfo
from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node
from ..proxy import Proxy

__all__ = [
    "ProxyTorchDispatchMode", "decompose", "disable_proxy_modes_tracing", "fetch_object_proxy",
    "fetch_sym_proxy", "get_proxy_mode", "get_proxy_slot", "has_proxy_slot", "make_fx", "set_proxy_slot",
    "track_tensor", "track_tensor_tree",
]  # fmt: skip

_decompositions: Mapping[Any, Callable] = {}  # of `decompose`
py_sym_types: tuple[type, ...] = (fb.SymInt, fb.SymFloat, fb.SymBool)


class ProxyTorchDispatchMode(TorchDispatchMode):
    """Writes every operator that runs into a graph.

    Parameters
    ----------
    graph : the `fx.Graph` to write into.
    root : module that gets the tensors which the function has from elsewhere.
    decompositions : operator to function: what to write the operators of instead.
    """

    def __init__(
        self, graph: Graph, root: fb.nn.Module, decompositions: Mapping[Any, Callable] | None = None
    ) -> None:
        super().__init__()
        self.graph, self.root = graph, root
        self.decompositions = decompositions or _decompositions
        self._nodes: dict[int, Node] = {}
        self._kept: list[fb.Tensor] = []  # an id names a tensor only while it lives
        self._constants = 0

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def name(self, tensor: fb.Tensor, node: Node) -> None:
        """From now on `tensor` is what `node` gives."""
        self._nodes[id(tensor)] = node
        self._kept.append(tensor)

    def takes_view(self, tensor: fb.Tensor, view: fb.Tensor) -> None:
        """`tensor` is about to take the shape of a view of it: ``transpose_`` and the like."""
        self.name(tensor, self.node_of(view))

    def node_of(self, tensor: fb.Tensor) -> Node:
        """The node of a tensor; one that comes from elsewhere becomes an attribute."""
        if id(tensor) not in self._nodes:
            kind = "_param_constant" if isinstance(tensor, fb.nn.Parameter) else "_tensor_constant"
            target = f"{kind}{self._constants}"
            self._constants += 1
            setattr(self.root, target, tensor)
            self.name(tensor, self.graph.get_attr(target))
        return self._nodes[id(tensor)]

    def __torch_dispatch__(
        self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.decompositions:
            with self:
                return self.decompositions[func](*args, **kwargs)
        result = func(*args, **kwargs)

        def nodes(x: Any) -> Any:
            return self.node_of(x) if isinstance(x, fb.Tensor) else x

        written = (pytree.tree_map(nodes, x) for x in (args, kwargs))
        node = self.graph.create_node("call_function", func, *written, name=func._opname)
        if isinstance(result, fb.Tensor):
            self.name(result, node)
        elif isinstance(result, (tuple, list)):
            for i, part in enumerate(result):
                if isinstance(part, fb.Tensor):
                    self.name(part, self.graph.call_function(operator.getitem, (node, i)))
        return result


def make_fx(
    f: Callable[..., Any],
    decomposition_table: Mapping[Any, Callable[..., Any]] | None = None,
    tracing_mode: str = "real",
    _allow_non_fake_inputs: bool = False,
    *,
    pre_dispatch: bool = False,
    record_module_stack: bool = False,
    _allow_fake_constant: bool = False,
    _error_on_data_dependent_ops: bool = True,
    record_stack_traces: bool = False,
    proxy_module_inputs: bool = False,
    _disable_torch_fn_metadata_mode: bool = False,
) -> Callable[..., GraphModule]:
    """A function that runs `f` on examples and returns the operators that ran as a `GraphModule`.

    Parameters
    ----------
    f : function of tensors, or of containers of them.
    decomposition_table : operator to the function that is traced in its place.
    tracing_mode : ``"real"`` runs the operators, ``"fake"`` runs them without numbers.

    Raises
    ------
    NotImplementedError : for ``tracing_mode="symbolic"`` and ``pre_dispatch``.
    """
    if tracing_mode not in ("real", "fake", "symbolic"):
        raise AssertionError(
            f"tracing_mode should be one of ('real', 'fake', 'symbolic'), got {tracing_mode!r}"
        )
    if tracing_mode == "symbolic" or pre_dispatch:
        raise NotImplementedError(
            "make_fx with symbolic sizes or before autograd is not there yet in flambeau; "
            "use torch.export.export with dynamic_shapes"
        )

    def trace(*args: Any) -> GraphModule:
        graph, root = Graph(), fb.nn.Module()
        mode = ProxyTorchDispatchMode(graph, root, decomposition_table)
        context: Any = nullcontext()
        if tracing_mode == "fake":
            from flambeau._subclasses.fake_tensor import FakeTensorMode

            context = FakeTensorMode(allow_non_fake_inputs=_allow_non_fake_inputs)
            args = pytree.tree_map_only(fb.Tensor, context.from_tensor, args)
        leaves, in_spec = pytree.tree_flatten(args)
        plain = all(pytree.tree_is_leaf(a) for a in args)
        names = _names(f, len(args))
        for i, leaf in enumerate(leaves):
            placeholder = graph.placeholder(f"{names[i] if plain else names[0]}_{1 if plain else i + 1}")
            if isinstance(leaf, fb.Tensor):
                mode.name(leaf, placeholder)
        with context, mode:
            result = f(*args)
        result = pytree.tree_map_only(fb.Tensor, mode.node_of, result)
        if plain and isinstance(result, (Node, tuple, list)):
            graph.output(result)
        else:
            outputs, out_spec = pytree.tree_flatten(result)
            graph.output(outputs)
            graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, in_spec, out_spec)))
        return GraphModule(root, graph, getattr(f, "__name__", type(f).__name__))

    return trace


def _names(f: Callable, n: int) -> list[str]:
    try:
        parameters = list(signature_of(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:n]
    return named + [f"arg{i}" for i in range(len(named), n)]


def get_proxy_mode() -> ProxyTorchDispatchMode | None:
    """The `make_fx` that is writing now, None outside of it."""
    on = [m for m in _get_current_dispatch_mode_stack() if isinstance(m, ProxyTorchDispatchMode)]
    return on[-1] if on else None


get_innermost_proxy_mode = get_proxy_mode


@contextmanager
def disable_proxy_modes_tracing() -> Iterator[None]:
    """Context whose operators are not written down."""
    with _disable_current_modes():
        yield


# -- what stands for a tensor in the graph: `tracer` is the mode that writes it
# --------------------------------


@dataclass(frozen=True)
class _ProxyTensor:
    """What stands for a tensor, and its value where that is known."""

    proxy: Proxy
    constant: fb.Tensor | None = None


class _SymNodeDict(dict):
    """Symbolic numbers and what stands for them: numbers are known here, so none is ever looked up."""


_nothing = object()


def _writer(tracer: Any) -> ProxyTorchDispatchMode:
    if isinstance(tracer, ProxyTorchDispatchMode):
        return tracer
    mode = getattr(tracer, "mode", None) or get_proxy_mode()
    if mode is None:
        raise RuntimeError("no make_fx is writing a graph now")
    return mode


def get_proxy_slot(
    obj: Any, tracer: Any, default: Any = _nothing, transform: Callable[[Any], Any] = lambda x: x
) -> Any:
    """What stands for a tensor.

    Parameters
    ----------
    tracer : the `ProxyTorchDispatchMode` that writes (`get_proxy_mode`).
    default : for a tensor that the graph does not have.
    transform : of what is found, a `_ProxyTensor`; the default is given as it is.

    Raises
    ------
    RuntimeError : the graph does not have the tensor, and there is no default.
    """
    mode = _writer(tracer)
    node = mode._nodes.get(id(obj)) if isinstance(obj, fb.Tensor) else None
    if node is None:
        if default is _nothing:
            raise RuntimeError(f"{obj} ({type(obj)}, {id(obj)}) is not tracked with proxy for {tracer}")
        return default
    return transform(_ProxyTensor(Proxy(node)))


def has_proxy_slot(obj: Any, tracer: Any) -> bool:
    """Whether the graph has the tensor."""
    return get_proxy_slot(obj, tracer, None) is not None


def set_proxy_slot(obj: fb.Tensor, tracer: Any, proxy: Any) -> None:
    """From now on `obj` is what `proxy` stands for."""
    proxy = proxy.proxy if isinstance(proxy, _ProxyTensor) else proxy
    _writer(tracer).name(obj, proxy.node)


def track_tensor(tensor: fb.Tensor, proxy: Proxy, *, constant: Any = None, tracer: Any) -> None:
    """The same of one tensor."""
    set_proxy_slot(tensor, tracer, proxy)


def track_tensor_tree(inner_res: Any, proxy_res: Any, *, constant: Any, tracer: Any) -> Any:
    """The same of all tensors in nested lists and dicts: their proxies are items of `proxy_res`.

    Returns
    -------
    ``inner_res``
    """
    if isinstance(inner_res, fb.Tensor):
        set_proxy_slot(inner_res, tracer, proxy_res)
    elif isinstance(inner_res, (list, tuple)):
        for i, part in enumerate(inner_res):
            if isinstance(part, (fb.Tensor, list, tuple, dict)):
                track_tensor_tree(part, proxy_res[i], constant=None, tracer=tracer)
    elif isinstance(inner_res, dict):
        for key, part in inner_res.items():
            track_tensor_tree(part, proxy_res[key], constant=None, tracer=tracer)
    return inner_res


def fetch_object_proxy(tracer: Any, t: Any) -> Any:
    """What stands for a tensor (a `_ProxyTensor`), or the thing itself."""
    return get_proxy_slot(t, tracer, t)


def fetch_sym_proxy(tracer: Any) -> Callable[[Any], Any]:
    """A function of symbolic numbers that gives what stands for them: numbers are known here, it gives
    them."""

    def fetch(n: Any) -> Any:
        return n

    return fetch


@contextmanager
def decompose(decomposition_table: Mapping[Any, Callable] | None) -> Iterator[Mapping[Any, Callable]]:
    """Context in which `make_fx` writes other operators in the place of some, by this table."""
    global _decompositions
    before = _decompositions
    _decompositions = decomposition_table or {}
    try:
        yield _decompositions
    finally:
        _decompositions = before
