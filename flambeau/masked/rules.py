"""What operators do with masked tensors, by name of the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import given, name_of, noting
from ..ops.pointwise import ELEMENTWISE, ELEMENTWISE_IN_PLACE
from ..utils._pytree import tree_flatten, tree_map
from ._tensor import MaskedTensor, is_masked_tensor, wrap

__all__ = ["call"]

_RULES: dict[str, Callable] = {}
_rule = noting(_RULES)


@MaskedTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are masked tensors."""
    name = name_of(func)
    rule = _RULES.get(name)
    if rule is None:
        raise TypeError(
            f"Multiple dispatch failed for 'torch._ops.aten.{name}.default'; all __torch_dispatch__ handlers "
            "returned NotImplemented:\nmasked tensors have no such operator: use get_data() and"
            " get_mask(), or "
            "to_tensor(value)"
        )
    return rule(func, args, kwargs)


def _plain(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


def _data(x: Any) -> Any:
    return x.get_data() if is_masked_tensor(x) else x


def _mask(x: Any) -> Any:
    return x.get_mask() if is_masked_tensor(x) else x


for _name in (
    "dtype", "device", "requires_grad", "is_leaf", "is_floating_point", "is_complex", "is_signed",
    "_version", "output_nr", "retain_grad", "retains_grad", "is_cuda", "is_meta", "is_cpu", "is_inference",
    "set requires_grad", "element_size", "itemsize", "get_device", "is_quantized", "is_mkldnn", "names",
    "is_conj", "is_neg", "_backward_hooks", "is_nested", "storage_offset", "data_ptr", "untyped_storage",
    "__hash__", "is_contiguous", "stride", "is_pinned", "register_hook", "is_shared",
):  # fmt: skip
    _RULES[_name] = _plain


@_rule("type")
def _type(func: Callable, args: tuple, kwargs: dict) -> Any:
    result = func(args[0].get_data(), *args[1:], **kwargs)
    return result if isinstance(result, str) else wrap(result, args[0].get_mask())


@_rule("grad_fn")
def _grad_fn(func: Callable, args: tuple, kwargs: dict) -> Any:
    node = _plain(func, args, kwargs)
    behind = node.next_functions[0][0] if node is not None and node.name() == "AliasBackward0" else None
    return node if behind is None or behind.name() == "torch::autograd::AccumulateGrad" else behind


@_rule("requires_grad_")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    _plain(func, args, kwargs)
    return args[0]


@_rule("grad", "_grad")
def _grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    g = _plain(func, args, kwargs)
    if g is None:
        return None
    t = args[0]
    pattern = t.__dict__["_pattern"]
    g = g.as_subclass(fb.Tensor)
    return wrap(g if pattern is None else pattern.like(g), t.get_mask())


@_rule("set grad")
def _set_grad(func: Callable, args: tuple, kwargs: dict) -> None:
    _plain(func, (args[0], _data(args[1])), kwargs)


@_rule("backward")
def _backward(func: Callable, args: tuple, kwargs: dict) -> None:
    t, gradient, retain, create = given(
        args, kwargs, "input gradient retain_graph create_graph", create_graph=False
    )
    if not t.requires_grad:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    with _C.DisableTorchFunctionSubclass():
        fb.autograd.backward(t.get_data(), _data(gradient), retain, create)


@_rule("grad ")
def _autograd_grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    outs, ins, cotangents = given(args, kwargs, "outputs inputs grad_outputs")
    options = {k: v for k, v in kwargs.items() if k not in ("outputs", "inputs", "grad_outputs")}
    ins = (ins,) if isinstance(ins, fb.Tensor) else tuple(ins)
    with _C.DisableTorchFunctionSubclass():
        grads = func(tree_map(_data, outs), ins, tree_map(_data, cotangents), *args[3:], **options)
        return tuple(
            wrap(g.as_subclass(fb.Tensor), x.get_mask()) if is_masked_tensor(x) and g is not None else g
            for g, x in zip(grads, ins)
        )


# ---------------------------------------------------------------- element by element
def _same_masks(masks: list) -> bool:
    first = masks[0]
    for m in masks[1:]:
        if m is first:
            continue
        if m.shape != first.shape or m.layout != first.layout:
            return False
        if m.layout != fb.strided:
            if not fb.equal(m._coordinates(), first._coordinates()):
                return False
            m, first_values = m._values(), first._values()
        else:
            first_values = first
        if not fb.equal(m, first_values):
            return False
    return True


@_rule(
    *ELEMENTWISE, "pin_memory", "data", "rand_like", "randn_like", "hypot", "frac", "addcmul", "__deepcopy__"
)
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    if name_of(func) == "__deepcopy__":
        return wrap(args[0].get_data().detach().clone(), args[0].get_mask().clone()).requires_grad_(
            args[0].requires_grad
        )
    masked = [x for x in tree_flatten((args, kwargs))[0] if is_masked_tensor(x)]
    if not _same_masks([x.get_mask() for x in masked]):
        raise ValueError(
            "Input masks must match. If you need support for this, please open an issue on Github."
        )
    a, k = tree_map(_data, (args, kwargs))
    result, mask = func(*a, **k), masked[0].get_mask()
    if name_of(func) in ("to", "cpu", "contiguous") and result is a[0]:
        return args[0]
    if mask.device != result.device:
        mask = mask.to(result.device)
    return wrap(result, mask if mask.shape == result.shape else mask.expand(result.shape).clone())


@_rule(*ELEMENTWISE_IN_PLACE, "sub_", "exp_", "abs_", "neg_", "sqrt_", "sinh_", "cosh_", "tan_", "sign_")
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    masked = [x for x in tree_flatten((args, kwargs))[0] if is_masked_tensor(x)]
    if not is_masked_tensor(args[0]) or not _same_masks([x.get_mask() for x in masked]):
        raise ValueError(
            "Input masks must match. If you need support for this, please open an issue on Github."
        )
    a, k = tree_map(_data, (args, kwargs))
    func(*a, **k)
    return args[0]


@_rule("where")
def _where(func: Callable, args: tuple, kwargs: dict) -> Any:
    condition, a, b = given(args, kwargs, "condition input other")
    if is_masked_tensor(condition):
        raise ValueError("__torch_dispatch__, where: expected mask to not be a MaskedTensor")
    if not (is_masked_tensor(a) and is_masked_tensor(b)):
        raise ValueError("__torch_dispatch__, where: expected args[1] and args[2] to be MaskedTensors")
    return wrap(
        fb.where(condition, a.get_data(), b.get_data()), fb.where(condition, a.get_mask(), b.get_mask())
    )


# ---------------------------------------------------------------- the same to data and mask
@_rule(
    "__getitem__", "t", "transpose", "swapaxes", "swapdims", "view", "reshape", "flatten", "unflatten",
    "unsqueeze", "squeeze", "expand", "expand_as", "cat", "concat", "stack", "hstack", "vstack", "split",
    "split_with_sizes", "chunk", "unbind", "narrow", "select", "unfold", "permute", "movedim", "mT",
    "T", "mH",
    "index_select", "gather", "repeat", "flip", "roll", "take_along_dim", "diagonal", "tensor_split", "ravel",
    "view_as", "reshape_as", "masked_select",
)  # fmt: skip
def _shaped(func: Callable, args: tuple, kwargs: dict) -> Any:
    data = func(*tree_map(_data, args), **tree_map(_data, kwargs))
    with fb.no_grad():
        mask = func(*tree_map(_mask, args), **tree_map(_mask, kwargs))
    if isinstance(data, fb.Tensor):
        return wrap(data, mask)
    return tuple(wrap(d, m) for d, m in zip(data, mask))


@_rule("__iter__")
def _iter(func: Callable, args: tuple, kwargs: dict) -> Any:
    return iter(_shaped(fb.unbind, args, kwargs))


# ---------------------------------------------------------------- reductions
@_rule(
    "sum", "mean", "amin", "amax", "argmin", "argmax", "prod", "var", "std", "norm", "all", "any", "nansum"
)
def _reduce(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func)
    t, dim, keepdim, dtype = given(args, kwargs, "input dim keepdim dtype", keepdim=False)
    options = {k: v for k, v in kwargs.items() if k in ("unbiased", "correction")}
    dense = t.to_dense()
    data, mask = dense.get_data(), dense.get_mask()
    if name in ("all", "any"):
        filled = fb.where(mask, data.to(fb.bool), name == "all")
        result = getattr(filled, name)() if dim is None else getattr(filled, name)(dim, keepdim)
    elif name == "norm":
        p = kwargs.get("p", args[1] if len(args) > 1 else 2)
        dim = kwargs.get("dim", args[2] if len(args) > 2 else None)
        result = fb.masked.norm(data, 2 if p == "fro" else p, dim, keepdim=keepdim, mask=mask)
    elif name in ("var", "std"):
        unbiased = options.get("unbiased", options.get("correction", 1) != 0)
        result = getattr(fb.masked, name)(data, dim, unbiased, keepdim=keepdim, mask=mask)
    elif name in ("argmin", "argmax"):
        result = getattr(fb.masked, name)(data, dim, keepdim=keepdim, mask=mask).to(data.dtype)
    elif name == "nansum":
        result = fb.masked.sum(data.nan_to_num(0.0), dim, keepdim=keepdim, dtype=dtype, mask=mask)
    else:
        result = getattr(fb.masked, name)(data, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    dims = list(range(t.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    counted = mask
    for d in sorted((d % max(t.dim(), 1) for d in dims), reverse=True) if t.dim() else ():
        counted = counted.any(d, keepdim)
    return wrap(result, counted.reshape(result.shape))


@_rule("softmax", "log_softmax")
def _softmax(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, dtype = given(args, kwargs, "input dim dtype")
    dense = t.to_dense()
    made = getattr(fb.masked, name_of(func))(dense.get_data(), dim, dtype=dtype, mask=dense.get_mask())
    return wrap(made, dense.get_mask())


# ---------------------------------------------------------------- to Python
@_rule("item", "__bool__", "__float__", "__int__")
def _item(func: Callable, args: tuple, kwargs: dict) -> Any:
    return func(args[0].get_data())


@_rule("numpy", "tolist", "__array__")
def _numpy(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = "tolist" if name_of(func) == "tolist" else "numpy"
    got = f", got {MaskedTensor.__name__}" if name == "tolist" else "."
    raise RuntimeError(f".{name}() is not supported for tensor subclasses{got}")
