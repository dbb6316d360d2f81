"""The recorded graph: nodes, edges, hooks on saved tensors and on several gradients at once."""

from __future__ import annotations

import abc
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from flambeau import _C
from flambeau._C import Tensor

from ..utils.hooks import RemovableHandle
from .grad_mode import enable_grad

__all__ = [
    "saved_tensors_hooks",
    "save_on_cpu",
    "disable_saved_tensors_hooks",
    "register_multi_grad_hook",
    "allow_mutation_on_saved_tensors",
    "Node",
    "GradientEdge",
    "get_gradient_edge",
    "increment_version",
    "region_activation_memory_budget",
    "set_override_stale_capture_stream",
    "set_warn_on_accumulate_grad_stream_mismatch",
]


class Node(abc.ABC):
    """Interface of the nodes of the recorded graph (``tensor.grad_fn``)."""

    @abc.abstractmethod
    def name(self) -> str:
        """Name of the node, such as ``MulBackward0``."""
        raise NotImplementedError

    @property
    @abc.abstractmethod
    def next_functions(self) -> tuple:
        """Pairs of the nodes that gradients go to and the number of their output."""
        raise NotImplementedError

    @abc.abstractmethod
    def metadata(self) -> dict:
        """A dictionary of the user's on the node."""
        raise NotImplementedError

    @abc.abstractmethod
    def register_hook(self, fn: Callable) -> RemovableHandle:
        """Call ``fn(grad_inputs, grad_outputs)`` after the node's backward; it may return new
        `grad_inputs`."""
        raise NotImplementedError

    @abc.abstractmethod
    def register_prehook(self, fn: Callable) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before the node's backward; it may return new `grad_outputs`."""
        raise NotImplementedError

    @classmethod
    def __subclasshook__(cls, subclass: type) -> Any:
        if cls is not Node:
            return NotImplemented
        from .function import BackwardCFunction

        if issubclass(subclass, BackwardCFunction) or subclass.__name__ == "AccumulateGrad":
            return True
        return getattr(_C._functions, subclass.__name__, None) is subclass or _is_core_node(subclass)


def _is_core_node(cls: type) -> bool:
    return all(
        hasattr(cls, name) for name in ("next_functions", "register_hook", "register_prehook", "metadata")
    )


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: a node and the number of its output.

    `ownership_token` keeps the node's Python object alive where that is needed.
    """

    node: Node
    output_nr: int
    ownership_token: Node | None = None


class _InputMetadata(NamedTuple):
    """What the gradients that a node takes look like: those of one result of its operation."""

    dtype: Any
    shape: Any
    device: Any
    is_nested_tensor: bool = False
    is_cpp_nested_tensor: bool = False


def _node_of(t: Any) -> Any:
    if isinstance(t, GradientEdge):
        return t.node
    if t.requires_grad and t.grad_fn is None:
        # a leaf: its accumulator is what the next operation leads to
        with enable_grad():
            return t.view_as(t).grad_fn.next_functions[0][0]
    return t.grad_fn


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge that a tensor's gradient arrives at."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    return GradientEdge(_node_of(tensor), tensor.output_nr)


def increment_version(tensor: Any) -> None:
    """Tell autograd that a tensor (or several) was changed outside its sight."""
    if not isinstance(tensor, (Tensor, Iterable)):
        raise RuntimeError("increment_version expect a Iterable[Tensor] as input")
    tensors = (tensor,) if isinstance(tensor, Tensor) else tuple(tensor)
    _C._increment_version(tensors)


class saved_tensors_hooks:
    """Context manager: `pack_hook` transforms what operations inside save, `unpack_hook` turns it back for
    backward.

    Parameters
    ----------
    pack_hook : tensor to anything, called when an operation saves a tensor.
    unpack_hook : what `pack_hook` returned to a tensor of the same content.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        _C._autograd._push_saved_tensors_default_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *args: object) -> None:
        _C._autograd._pop_saved_tensors_default_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Context manager: tensors saved inside wait for backward in host memory (pinned where asked)."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        from .. import cuda

        def pack(t: Any) -> tuple:
            if not pin_memory:
                return t.device, t.cpu()
            pinned = _C.empty(
                t.size(),
                dtype=t.dtype,
                layout=t.layout,
                pin_memory=not t.is_sparse and cuda.is_available(),
            )
            pinned.copy_(t)
            return t.device, pinned

        def unpack(packed: tuple) -> Any:
            device, t = packed
            return t.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Context manager: using saved-tensor hooks inside raises `error_message`."""
    before = _C._autograd._saved_tensors_hooks_get_disabled_error_message()
    _C._autograd._saved_tensors_hooks_disable(error_message)
    try:
        yield
    finally:
        if before is None:
            _C._autograd._saved_tensors_hooks_enable()
        else:
            _C._autograd._saved_tensors_hooks_disable(before)


class _MultiHandle(RemovableHandle):
    """Several handles that are removed together."""

    def __init__(self, handles: Iterable[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> tuple:
        return self.handles

    def __setstate__(self, state: tuple) -> None:
        self.handles = state


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable, *, mode: str = "all") -> RemovableHandle:
    """Call a function once the gradients of several tensors are there.

    Parameters
    ----------
    tensors : tensors (or edges) that require grad.
    fn : in mode ``"all"``, takes the list of their gradients once all that take part in the backward are
        computed (None for the others); in mode ``"any"``, takes the first gradient computed.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    lock = threading.Lock()
    state: dict[int, Any] = {}
    if mode == "any":

        def first(grad: Any) -> None:
            run = _C._current_graph_task_id()
            if run == -1:
                raise AssertionError("expected this hook to be called inside a backward call")
            with lock:
                if run in state:
                    return
                state.clear()
                state[run] = True
            fn(grad)

        return _MultiHandle(t.register_hook(first) for t in tensors)

    nodes = [_node_of(t) for t in tensors]
    if None in nodes:
        raise AssertionError("Expected gradient function to be set")

    def hook_of(index: int) -> Callable:
        def hook(grad: Any) -> None:
            run = _C._current_graph_task_id()
            if run == -1:
                raise AssertionError("expected this hook to be called inside a backward call")
            with lock:
                if run not in state:
                    state.clear()
                    # the engine knows which of the nodes this backward will reach
                    state[run] = [sum(map(_C._will_engine_execute_node, nodes)), [None] * len(nodes)]
                left = state[run]
                left[0] -= 1
                left[1][index] = grad
                done = left[0] == 0
            if done:
                fn(left[1])

        return hook

    return _MultiHandle(t.register_hook(hook_of(i)) for i, t in enumerate(tensors))


_mutable: Any = None  # the state of the `allow_mutation_on_saved_tensors` in force


class _Saved:
    """Stands for a saved tensor."""


class _AllowMutationOnSavedContext:
    """State of `allow_mutation_on_saved_tensors`: saved tensors, and copies of those changed since."""

    def __init__(self) -> None:
        self.copies: Any = weakref.WeakKeyDictionary()  # gone with the node that saved

    def clear(self) -> None:
        """Forget the copies made so far."""
        self.copies.clear()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[Any]:
    """Context manager: tensors saved for backward inside may be changed in place afterwards.

    Every saved tensor is copied when it is saved, so this costs memory; backward sees the values of that
    moment.
    """
    state = _AllowMutationOnSavedContext()

    global _mutable
    if _mutable is not None:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")

    def pack(t: Any) -> Any:
        key = _Saved()
        state.copies[key] = t.detach().clone()
        return key

    def unpack(key: Any) -> Any:
        if key not in state.copies:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
                "in which the graph was originally recorded."
            )
        return state.copies[key]

    with saved_tensors_hooks(pack, unpack):
        _mutable = state
        try:
            yield state
        finally:
            _mutable = None
            state.clear()


def region_activation_memory_budget(budget: float) -> contextlib.AbstractContextManager[None]:
    """PyTorch: how much of what a compiled forward computes is kept for its backward.

    Raises
    ------
    RuntimeError : outside of a compiled region, as in PyTorch; `compile` here records calls as they run, and
        keeps what their backward needs.
    """
    raise RuntimeError(
        "torch.autograd.graph.region_activation_memory_budget can only be used inside a torch.compile region;"
        " it has no effect in eager mode."
        "\nflambeau's compiled programs keep what their backward needs: use torch.utils.checkpoint"
    )


def set_override_stale_capture_stream(enabled: bool) -> None:
    """PyTorch: streams that are not part of a CUDA graph under capture. flambeau captures no CUDA graphs.

    Raises
    ------
    NotImplementedError : when it is to be turned on.
    """
    if enabled:
        raise NotImplementedError("flambeau captures no CUDA graphs, so there are no streams to override")


def set_warn_on_accumulate_grad_stream_mismatch(enabled: bool) -> None:
    """PyTorch: warn where a gradient was made on another stream than it is added on. flambeau's engine uses
    one stream
    a device, so there is nothing to warn about.

    Raises
    ------
    TypeError : the argument is not a bool.
    """
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be a bool, got {type(enabled).__name__}")


def _other_leaves(outputs: list, own: list) -> bool:
    """Whether the graph of the outputs leads to a leaf that is not this transform's."""
    mine = {id(x) for x in own if x.is_leaf}
    stack = []
    for o in outputs:
        if not isinstance(o, Tensor) or not o.requires_grad:
            continue
        if o.grad_fn is None:
            if id(o) not in mine:
                return True
        else:
            stack.append(o.grad_fn)
    seen = set(stack)
    while stack:
        node = stack.pop()
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in mine:
            return True
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append(following)
    return False
