"""What both layouts of nested tensors share: their memory is that of the values, which say the dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from .._rules import RuledTensor, given, noting

__all__ = ["Nested", "RULES"]

RULES: dict[str, Callable] = {}
_plain_calls = _C.DisableTorchFunctionSubclass


class Nested(RuledTensor):
    """A tensor of components of different sizes whose memory is that of all their values."""

    is_nested = True

    @property
    def _values(self) -> Any:
        with _plain_calls():
            return self.as_subclass(Tensor)

    def _like(self, values: Any) -> Any:
        """The same components with other values."""
        raise NotImplementedError

    def values(self) -> Any:
        """The values of all components, connected to the graph of this tensor."""
        return self._values

    def numel(self) -> int:
        """The number of values."""
        return self._values.numel()

    nelement = numel


_rule = noting(RULES)


@_rule(
    "dtype", "device", "requires_grad", "is_leaf", "is_floating_point", "is_complex", "is_signed",
    "_version", "output_nr", "retain_grad", "retains_grad", "is_cuda", "is_meta", "is_cpu", "is_inference",
    "set requires_grad", "element_size", "itemsize", "get_device", "is_quantized", "is_mkldnn", "names",
    "is_conj", "is_neg", "_backward_hooks", "is_sparse", "is_sparse_csr", "storage_offset", "data_ptr",
    "untyped_storage", "is_pinned", "__hash__", "is_shared",
)  # fmt: skip
def _of_values(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _plain_calls():
        return func(*args, **kwargs)


@_rule("grad_fn")
def _grad_fn(func: Callable, args: tuple, kwargs: dict) -> Any:
    node = _of_values(func, args, kwargs)
    # the operation behind the view that made the values nested
    if node is not None and node.name() == "AliasBackward0" and node.next_functions[0][0] is not None:
        behind = node.next_functions[0][0]
        return behind if behind.name() != "torch::autograd::AccumulateGrad" else node
    return node


@_rule("requires_grad_")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    _of_values(func, args, kwargs)
    return args[0]


# ---------------------------------------------------------------- gradients
@_rule("grad", "_grad")
def _grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    g = _of_values(func, args, kwargs)
    return None if g is None else args[0]._like(g.as_subclass(Tensor))


@_rule("set grad", "set data")
def _set_grad(func: Callable, args: tuple, kwargs: dict) -> None:
    _of_values(func, (args[0], _inner(args[1])), kwargs)


@_rule("register_hook")
def _register_hook(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, hook = args

    def on_values(g: Any) -> Any:
        return _inner(hook(t._like(g)))

    return _of_values(func, (t, on_values), kwargs)


def _inner(x: Any) -> Any:
    return x._values if isinstance(x, Nested) else x


def _each(x: Any) -> tuple:
    return (x,) if x is None or isinstance(x, Tensor) else tuple(x)


@_rule("backward", "_backward")
def _backward(func: Callable, args: tuple, kwargs: dict) -> None:
    outs, cotangents, *rest = given(
        args, kwargs, "outs gradient retain_graph create_graph", gradient=kwargs.get("grad_tensors")
    )
    options = {k: v for k, v in kwargs.items() if k not in ("gradient", "grad_tensors")}
    options.update({k: v for k, v in zip(("retain_graph", "create_graph"), rest) if v is not None})
    given_ones = None if cotangents is None else [_inner(c) for c in _each(cotangents)]
    from ..autograd._engine import backward

    with _plain_calls():
        backward([_inner(o) for o in _each(outs)], given_ones, **options)


@_rule("grad ")
def _autograd_grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    outs, ins, cotangents = given(args, kwargs, "outputs inputs grad_outputs")
    options = {k: v for k, v in kwargs.items() if k not in ("outputs", "inputs", "grad_outputs")}
    ins = _each(ins)
    given_ones = None if cotangents is None else [_inner(c) for c in _each(cotangents)]
    with _plain_calls():
        grads = func([_inner(o) for o in _each(outs)], ins, given_ones, *args[3:], **options)
    return tuple(
        x._like(g.as_subclass(Tensor)) if isinstance(x, Nested) and g is not None else g
        for g, x in zip(grads, ins)
    )
