"""Operators that `vmap` refuses, in PyTorch's words.

The shapes of their results would differ between samples, or they would write one sample after the other
into a tensor that all share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from .batched import _undecided, is_batched, looped
from .rules import _elementwise, _rule

_PLEASE = "Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature."
_DYNAMIC = {
    "nonzero": "nonzero",
    "unique": "_unique2",
    "_unique2": "_unique2",
    "unique_dim": "unique_dim",
    "unique_consecutive": "unique_consecutive",
}


def _dynamic_shape(name: str) -> RuntimeError:
    return RuntimeError(
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over"
        f" aten::{name}. {_PLEASE}"
    )


@_rule(*_DYNAMIC)
def _dynamic(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = _DYNAMIC[func.__name__]
    if name == "_unique2" and (kwargs.get("dim") is not None or len(args) > 4):
        name = "unique_dim"
    raise _dynamic_shape(name)


@_rule("argwhere", "nonzero_static")
def _looped(func: Callable, args: tuple, kwargs: dict) -> Any:
    return looped(func, args, kwargs)


@_rule("masked_select")
def _masked_select(func: Callable, args: tuple, kwargs: dict) -> Any:
    if not is_batched(args[1] if len(args) > 1 else kwargs["mask"]):
        return looped(func, args, kwargs)
    raise RuntimeError(
        "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this"
        f" because for each batch this would return a differently shaped Tensor. {_PLEASE}"
    )


@_rule("equal", "histogramdd")
def _without_rule(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise RuntimeError(
        f"Batching rule not implemented for aten::{func.__name__}. We could not generate a fallback."
    )


@_rule("where")
def _where(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) + len(kwargs) > 1:
        return _elementwise(func, args, kwargs)
    raise _dynamic_shape("where")


@_rule("data", "set data")
def _data(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise _undecided("accessing `data` under vmap transform is not allowed")


@_rule("data_ptr")
def _data_ptr(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise _undecided("Cannot access data pointer of Tensor that doesn't have storage")


@_rule("requires_grad_")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise RuntimeError(
        "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.*"
        " APIs) inside of a function being transformed by a functorch transform. This is unsupported, please"
        " attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call"
        " requires_grad_() outside of a function being transformed instead."
    )


@_rule("backward")
def _backward(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise RuntimeError(
        "backward() called inside a functorch transform. This is not supported, please use functorch.grad or"
        " functorch.vjp instead or call backward() outside of functorch transforms."
    )


@_rule("allclose")
def _allclose(func: Callable, args: tuple, kwargs: dict) -> Any:
    raise RuntimeError(f"vmap over torch.allclose isn't supported yet. {_PLEASE}")


@_rule("batch_norm", "instance_norm", "native_batch_norm")
def _batch_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    statistics, training = args[3:5], args[5]
    if training and any(isinstance(s, fb.Tensor) and not is_batched(s) for s in statistics):
        raise RuntimeError(
            "Batch norm got a batched tensor as input while the running_mean or running_var, which"
            " will be updated in place, were not batched.\n"
            "If you are using a module and do not need eval mode, please set `track_running_stats`"
            " to be False."
            "If you are using a prebuilt module and do not need eval mode, please see the"
            " functorch website for resources on how to patch your module to work with vmap"
        )
    return looped(func, args, kwargs)
