"""Shapes of nested tensors of layout jagged: dimension d of the tensor is dimension d - 1 of its values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .._rules import given, noting
from ..ops.registry import wrap_dim
from .jagged import NestedTensor, from_parts, is_jagged, is_symbol, same_symbol, wrap

__all__ = ["RULES"]

RULES: dict[str, Callable] = {}
_rule = noting(RULES)


def _inner_dim(name: str, t: NestedTensor, dim: int, extra: int = 0) -> int:
    """A dimension that is neither that of the batch nor ragged, counted from the front."""
    dim = wrap_dim(dim, t.dim() + extra)
    if dim == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if dim == t._ragged_idx and not extra:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return dim


def _sizes(args: tuple, kwargs: dict) -> list:
    given_sizes = args[1:] or tuple(v for k, v in kwargs.items() if k in ("size", "shape", "sizes", "dims"))
    if len(given_sizes) == 1 and isinstance(given_sizes[0], (tuple, list)):
        given_sizes = given_sizes[0]
    return list(given_sizes)


@_rule("view", "reshape", "_unsafe_view")
def _view(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, size = args[0], _sizes(args, kwargs)
    if len(size) == 1 and isinstance(size[0], fb.dtype):
        return wrap(t._values.view(size[0]), t)
    shape, ragged = t.shape, t._ragged_idx
    if ragged != 1 and tuple(size) != tuple(shape):
        raise RuntimeError(
            f"view(): does not support ragged_idx != 1 except when inp._size == size. inp._size is "
            f"({tuple(shape)}) and size is ({size})."
        )
    fits = len(size) > ragged and size[0] == shape[0] and (size[ragged] in (-1, shape[ragged]))
    inner = size[1:]
    if fits:
        inner[ragged - 1] = t._values.shape[ragged - 1]
        fits = -1 in inner or math.prod(inner) == t.numel()
    if not fits:
        raise RuntimeError(f"view(): cannot view shape {tuple(shape)} as {size}")
    return wrap(getattr(t._values, func.__name__)(inner), t)


@_rule("view_as", "reshape_as", "expand_as")
def _view_as(func: Callable, args: tuple, kwargs: dict) -> Any:
    return getattr(args[0], func.__name__.removesuffix("_as"))(*args[1].shape)


@_rule("expand")
def _expand(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, size = args[0], _sizes(args, kwargs)
    shape = t.shape
    if len(size) != len(shape) or any(size[d] not in (-1, shape[d]) for d in (0, t._ragged_idx)):
        raise RuntimeError(f"expand(): cannot expand shape {tuple(shape)} -> {tuple(size)}")
    inner = [-1 if is_symbol(n) else n for n in size[1:]]
    return wrap(t._values.expand(inner), t)


@_rule("flatten")
def _flatten(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, start, end = given(args, kwargs, "input start_dim end_dim", start_dim=0, end_dim=-1)
    start, end = (
        _inner_dim("flatten", t, start, 1) if start == 0 else wrap_dim(start, t.dim()),
        wrap_dim(end, t.dim()),
    )
    ragged = t._ragged_idx
    if start == end:
        return t
    if start <= ragged <= end:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    return wrap(t._values.flatten(start - 1, end - 1), t, ragged - (end - start if end < ragged else 0))


@_rule("unflatten")
def _unflatten(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, sizes = given(args, kwargs, "input dim sizes")
    dim = _inner_dim("unflatten", t, dim)
    ragged = t._ragged_idx + (len(sizes) - 1 if dim < t._ragged_idx else 0)
    return wrap(t._values.unflatten(dim - 1, sizes), t, ragged)


@_rule("transpose", "swapaxes", "swapdims")
def _transpose(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, a, b = (*args, *kwargs.values())
    a, b = wrap_dim(a, t.dim()), wrap_dim(b, t.dim())
    if a == b:
        return t
    if 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    ragged = {a: b, b: a}.get(t._ragged_idx, t._ragged_idx)
    return wrap(t._values.transpose(a - 1, b - 1), t, ragged)


@_rule("permute")
def _permute(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    dims = [wrap_dim(d, t.dim()) for d in _sizes(args, kwargs)]
    if sorted(dims) != list(range(t.dim())):
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the"
            f" desired ordering of dimensions i.e. input.dim() = {t.dim()} is not equal to len(dims) = "
            f"{len(dims)}"
        )
    if dims[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    return wrap(t._values.permute([d - 1 for d in dims[1:]]), t, dims.index(t._ragged_idx))


@_rule("movedim", "moveaxis")
def _movedim(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, source, target = (*args, *kwargs.values())
    order = list(range(t.dim()))
    order.insert(wrap_dim(target, t.dim()), order.pop(wrap_dim(source, t.dim())))
    return t.permute(order)


@_rule("unsqueeze")
def _unsqueeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    dim = _inner_dim("unsqueeze", t, dim, 1)
    return wrap(t._values.unsqueeze(dim - 1), t, t._ragged_idx + (dim <= t._ragged_idx))


@_rule("squeeze")
def _squeeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    if dim is None:
        raise NotImplementedError("flambeau squeezes nested tensors only with a dimension: squeeze(dim)")
    dim = _inner_dim("squeeze", t, dim)
    if t._values.shape[dim - 1] != 1:
        return t
    return wrap(t._values.squeeze(dim - 1), t, t._ragged_idx - (dim < t._ragged_idx))


# ---------------------------------------------------------------- parts
def _some_components(t: NestedTensor, start: int, stop: int) -> NestedTensor:
    first, last = int(t._offsets[start]), int(t._offsets[stop])
    values = t._values.narrow(t._ragged_idx - 1, first, last - first)
    lengths = None if t._lengths is None else t._lengths[start:stop]
    return from_parts(values, t._offsets[start : stop + 1] - first, lengths, t._ragged_idx)


@_rule("chunk")
def _chunk(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, chunks, dim = given(args, kwargs, "input chunks dim", dim=0)
    if wrap_dim(dim, t.dim()) == 0:
        step = -(-len(t) // chunks)
        return tuple(_some_components(t, i, min(i + step, len(t))) for i in range(0, len(t), step))
    dim = _inner_dim("chunk", t, dim)
    return tuple(wrap(part, t) for part in t._values.chunk(chunks, dim - 1))


@_rule("split", "split_with_sizes", "unsafe_split", "tensor_split")
def _split(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, sizes, dim = (*args, *kwargs.values(), 0)[:3]
    dim = _inner_dim("split", t, dim)
    return tuple(wrap(part, t) for part in getattr(t._values, func.__name__)(sizes, dim - 1))


@_rule("narrow")
def _narrow(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, start, length = given(args, kwargs, "input dim start length")
    dim = _inner_dim("narrow", t, dim)
    return wrap(t._values.narrow(dim - 1, start, length), t)


@_rule("select")
def _select(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, index = given(args, kwargs, "input dim index")
    dim = wrap_dim(dim, t.dim())
    if dim == 0:
        if not -len(t) <= index < len(t):
            raise IndexError("tuple index out of range")
        return t.unbind()[index]
    dim = _inner_dim("select", t, dim)
    return wrap(t._values.select(dim - 1, index), t, t._ragged_idx - (dim < t._ragged_idx))


@_rule("index_select")
def _index_select(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, index = given(args, kwargs, "input dim index")
    dim = _inner_dim("index_select", t, dim)
    return wrap(t._values.index_select(dim - 1, index), t)


@_rule("__getitem__")
def _getitem(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, index = args
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [i for i in items if i is Ellipsis]:
        at = next(k for k, i in enumerate(items) if i is Ellipsis)
        items[at : at + 1] = [slice(None)] * (t.dim() - len(items) + 1 + items.count(None))
    if items and isinstance(items[0], int) and not isinstance(items[0], bool):
        part = t.select(0, items[0])
        return part[tuple(items[1:])] if len(items) > 1 else part
    if any(isinstance(i, fb.Tensor) or isinstance(i, (list, tuple)) for i in items):
        raise NotImplementedError("flambeau indexes nested tensors only with integers and slices yet")
    dim = 0
    for item in items:
        if item is None:
            t = t.unsqueeze(dim)
        elif isinstance(item, int):
            t = t.select(dim, item)
            continue
        elif item != slice(None):
            _inner_dim("slice", t, dim)
            t = wrap(t._values[(slice(None),) * (dim - 1) + (item,)], t)
        dim += 1
    return t


def _joined(name: str, tensors: list) -> NestedTensor:
    first = next(t for t in tensors if is_jagged(t))
    for t in tensors:
        if not is_jagged(t) or not same_symbol(t, first) or t.dim() != first.dim():
            raise RuntimeError(f"{name}(): expected all tensors to be nested tensors of the same components")
    return first


@_rule("cat", "concat", "concatenate")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors, dim = given(args, kwargs, "tensors dim", dim=0)
    first = _joined("cat", list(tensors))
    dim = _inner_dim("cat", first, dim)
    return wrap(fb.cat([t._values for t in tensors], dim - 1), first)


@_rule("stack")
def _stack(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors, dim = given(args, kwargs, "tensors dim", dim=0)
    first = _joined("stack", list(tensors))
    dim = _inner_dim("stack", first, dim, 1)
    ragged = first._ragged_idx + (dim <= first._ragged_idx)
    return wrap(fb.stack([t._values for t in tensors], dim - 1), first, ragged)


@_rule("unbind")
def _unbind(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].unbind(*args[1:], **kwargs)
