"""What operators do with nested tensors of layout jagged, by name of the operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .._rules import given, name_of, noting
from ..ops.pointwise import ELEMENTWISE, ELEMENTWISE_IN_PLACE
from ..ops.registry import wrap_dim
from ..utils._pytree import tree_map
from .base import RULES as COMMON
from .jagged import NestedTensor, from_padded, from_parts, is_jagged, same_symbol, wrap
from .shapes import RULES as _SHAPES

__all__ = ["call"]

_RULES: dict[str, Callable] = {**COMMON, **_SHAPES}
_rule = noting(_RULES)


@NestedTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are nested tensors of layout jagged."""
    name = name_of(func)
    rule = _RULES.get(name)
    if rule is None:
        raise NotImplementedError(
            f"flambeau has no '{name}' for nested tensors of layout torch.jagged yet: "
            "use .unbind() or .to_padded_tensor()"
        )
    if "out" in kwargs:
        raise NotImplementedError(f"{name}(): nested tensors have no out=")
    return rule(func, args, kwargs)


# ---------------------------------------------------------------- element by element
def aligned(dense: Any, like: NestedTensor, name: str) -> Any:
    """A strided tensor as it broadcasts with the values of `like`."""
    shape, ragged = like.shape, like._ragged_idx
    n = len(shape)
    if dense.dim() > n:
        raise _mismatch(name, like, dense)
    dense = dense.reshape(*(1,) * (n - dense.dim()), *dense.shape)
    batch, length = dense.shape[0], dense.shape[ragged]
    if batch == 1 and length == 1:
        return dense[0]
    if batch not in (1, len(like)):
        raise _mismatch(name, like, dense)
    which, place = like.places()
    which = which if batch > 1 else fb.zeros_like(which)
    if length == 1:
        place = fb.zeros_like(place)
    elif length != like._max_seqlen:
        raise _mismatch(name, like, dense)
    return dense.movedim(ragged, 1)[which, place].movedim(0, ragged - 1)


def _mismatch(name: str, a: Any, b: Any) -> RuntimeError:
    shapes = [tuple(t.shape) if is_jagged(t) else t.shape for t in (a, b)]
    return RuntimeError(
        f"cannot call binary pointwise function {name.strip('_')}.Tensor with inputs of shapes {shapes[0]}"
        f" and {shapes[1]}"
    )


_MORE_ELEMENTWISE = """
dropout native_dropout alpha_dropout bernoulli rand_like randn_like randint_like masked_fill type_as type
pin_memory special_expm1 special_log1p special_ndtr special_i0 nan_to_num data hardsigmoid prelu rrelu
""".split()
_MORE_IN_PLACE = """
abs_ bernoulli_ clamp_min_ clip_ cosh_ detach_ divide_ dropout_ elu_ erf_ expm1_ hardtanh_ leaky_relu_ log1p_
log2_ logical_not_ multiply_ neg_ normal_ rsub_ sgn_ sign_ sinh_ subtract_ tan_ trunc_ uniform_ __ifloordiv__
__imod__ __ixor__ atan_ frac_ gelu_ silu_ share_memory_
""".split()


def on_values(func: Callable, args: tuple, kwargs: dict) -> tuple[Any, NestedTensor]:
    """Call an elementwise function on the values; returns its result and the first nested argument."""
    like: Any = None
    others = []

    def first(x: Any) -> Any:
        nonlocal like
        if is_jagged(x):
            like = x if like is None else like
            others.append(x)
        return x

    tree_map(first, (args, kwargs))
    for x in others:
        if x is not like and (not same_symbol(x, like) or x.dim() != like.dim()):
            raise _mismatch(name_of(func), others[0], x)

    def inner(x: Any) -> Any:
        if is_jagged(x):
            return x._values
        if isinstance(x, fb.Tensor) and x.dim() > 0:
            return aligned(x, like, name_of(func))
        return x

    a, k = tree_map(inner, (args, kwargs))
    return func(*a, **{n: v for n, v in k.items() if n != "layout"}), like


@_rule(*ELEMENTWISE, *_MORE_ELEMENTWISE)
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    source = args[0] if args and is_jagged(args[0]) else None
    result, like = on_values(func, args, kwargs)
    if not isinstance(result, fb.Tensor):
        return result if isinstance(result, str) else type(result)(wrap(r, like) for r in result)
    if source is not None and name_of(func) in ("to", "cpu", "type_as") and _is_same(result, source):
        return source
    return wrap(result, like)


def _is_same(result: Any, source: NestedTensor) -> bool:
    return (
        result.dtype == source.dtype
        and result.device == source.device
        and result.data_ptr() == source.data_ptr()
    )


@_rule(*ELEMENTWISE_IN_PLACE, *_MORE_IN_PLACE)
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    if not is_jagged(args[0]):
        raise _mismatch(name_of(func), *args[:2])
    on_values(func, args, kwargs)
    return args[0]


@_rule("contiguous")
def _contiguous(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    if t._lengths is None:
        return t if t.is_contiguous() else wrap(t._values.contiguous(), t)
    lengths, ragged = t._lengths, t._ragged_idx
    which, place = t.places()
    values = t._values.index_select(ragged - 1, t._offsets[which] + place)
    return from_parts(values, fb.cat([lengths.new_zeros(1), lengths.cumsum(0)]), None, ragged)


@_rule("is_same_size")
def _is_same_size(func: Callable, args: tuple, kwargs: dict) -> bool:
    return all(map(is_jagged, args)) and args[0].shape == args[1].shape


@_rule("equal")
def _equal(func: Callable, args: tuple, kwargs: dict) -> bool:
    a, b = args
    return (
        is_jagged(a)
        and is_jagged(b)
        and a._ragged_idx == b._ragged_idx
        and len(a) == len(b)
        and all(fb.equal(x, y) for x, y in zip(a.unbind(), b.unbind()))
    )


@_rule("item", "__bool__", "__float__", "__int__")
def _item(func: Callable, args: tuple, kwargs: dict) -> Any:
    return func(args[0]._values)


@_rule("numpy", "tolist", "__array__")
def _numpy(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = "tolist" if name_of(func) == "tolist" else "numpy"
    got = ", got NestedTensor" if name == "tolist" else "."
    raise RuntimeError(f".{name}() is not supported for tensor subclasses{got}")


@_rule("__deepcopy__")
def _deepcopy(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, memo = args[0], args[1]
    if id(t) not in memo:
        memo[id(t)] = wrap(t._values.detach().clone(), t).requires_grad_(t.requires_grad)
    return memo[id(t)]


# ---------------------------------------------------------------- reductions
_LOWEST = {"amax", "max", "argmax"}
_HIGHEST = {"amin", "min", "argmin"}


def _neutral(name: str, dtype: Any) -> Any:
    """What fills up shorter components so that a reduction does not see it."""
    if name in ("sum", "mean", "any"):
        return 0
    if name in ("prod", "all"):
        return 1
    if dtype.is_floating_point:
        return -math.inf if name in _LOWEST else math.inf
    return fb.iinfo(dtype).min if name in _LOWEST else fb.iinfo(dtype).max


def _over_components(name: str, t: NestedTensor, keepdim: bool, options: dict) -> Any:
    """Reduce the ragged dimension: a strided tensor with an entry for each component."""
    ragged = t._ragged_idx
    if t._lengths is not None:
        raise RuntimeError(
            f"{name}(): reducing across the ragged dimension is not supported for non-contiguous"
            " nested tensors"
            " with holes"
        )
    if name not in ("sum", "mean"):
        padded = t.to_padded_tensor(_neutral(name, t.dtype))
        return getattr(fb, name)(padded, ragged, keepdim, **options)
    values = t._values.movedim(ragged - 1, 0)
    if options.get("dtype") is not None:
        values = values.to(options["dtype"])
    elif name == "sum" and not (values.is_floating_point() or values.is_complex()):
        values = values.to(fb.int64)
    total = values.new_zeros((len(t), *values.shape[1:])).index_add(0, t.places()[0], values)
    if name == "mean":
        total = total / t.sequence_lengths().reshape(-1, *(1,) * (total.dim() - 1))
    if keepdim:
        total = total.unsqueeze(1).movedim(1, ragged)
    return total


@_rule("sum", "mean", "amax", "amin", "max", "min", "prod", "any", "all", "argmax", "argmin")
def _reduce(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func)
    if len(args) > 1 and is_jagged(args[1]):  # max and min of two tensors
        return _elementwise(func, args, kwargs)
    t, dim, keepdim = given(args, kwargs, "input dim keepdim", keepdim=False)
    options = {k: v for k, v in kwargs.items() if k not in ("input", "dim", "axis", "keepdim", "keepdims")}
    n, ragged = t.dim(), t._ragged_idx
    dims = [] if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = sorted(wrap_dim(d, n) for d in dims)
    if not dims or len(dims) == n:
        result = getattr(fb, name)(t._values, **options)
        return result.reshape((1,) * n) if keepdim else result
    if 0 in dims and ragged not in dims:
        raise RuntimeError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not supported for"
            " nested tensors"
        )
    if ragged in dims:
        if len(dims) > 1 + (0 in dims):
            raise RuntimeError(
                f"{name}(): reducing along a ragged and non-batch dimension is not supported for"
                " nested tensors"
            )
        if 0 not in dims:
            return _over_components(name, t, keepdim, options)
        result = getattr(fb, name)(t._values, ragged - 1, keepdim, **options)
        return result.unsqueeze(0) if keepdim else result
    inner: Any = [d - 1 for d in dims] if name in ("sum", "mean", "amax", "amin") else dims[0] - 1
    result = getattr(fb, name)(t._values, inner, keepdim, **options)
    kept = ragged if keepdim else ragged - sum(d < ragged for d in dims)
    if isinstance(result, fb.Tensor):
        return wrap(result, t, kept)
    return type(result)(wrap(r, t, kept) for r in result)


@_rule("softmax", "log_softmax", "special_softmax", "special_log_softmax")
def _softmax(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func).removeprefix("special_")
    t, dim, dtype = given(args, kwargs, "input dim dtype")
    dim = wrap_dim(dim, t.dim())
    if dim == 0:
        raise RuntimeError(
            f"{name}(): not supported when reducing across the batch dimension for NestedTensor"
        )
    if dim != t._ragged_idx:
        return wrap(getattr(fb, name)(t._values, dim - 1, dtype=dtype), t)
    if t._lengths is not None:
        raise RuntimeError(
            f"{name}(): not supported where lengths is not None if reducing across the ragged dimension for"
            " NestedTensor"
        )
    if dim > 1 or name == "log_softmax":
        more = " for ragged_idx > 1" if dim > 1 else ""
        raise RuntimeError(
            f"{name}(): not supported when reducing along the ragged dimension{more} for NestedTensor"
        )
    return from_padded(fb.softmax(t.to_padded_tensor(-math.inf), 1, dtype=dtype), t, 1)


# ---------------------------------------------------------------- products and layers
def _without_holes(t: NestedTensor, schema: str) -> None:
    if t._lengths is not None:
        raise ValueError(
            f"NestedTensor {schema}: expected input to be a contiguous jagged layout NestedTensor"
        )


@_rule("linear")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, weight, bias = given(args, kwargs, "input weight bias")
    if not is_jagged(t) or is_jagged(weight):
        raise RuntimeError("linear(): only the input may be a nested tensor")
    _without_holes(t, "linear_default(input: jt, weight: t, bias: t?)")
    if t._ragged_idx == t.dim() - 1:
        raise RuntimeError("linear(): not supported for NestedTensor whose last dimension is ragged")
    return wrap(fb._C._nn.linear(t._values, weight, bias), t)


@_rule("layer_norm", "rms_norm")
def _layer_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, rest = args[0], args[1:]
    shape = rest[0] if rest else kwargs["normalized_shape"]
    if len(shape) > t.dim() - 1 - t._ragged_idx:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(t._values.shape)}"
        )
    return wrap(func(t._values, *rest, **kwargs), t)


@_rule("embedding")
def _embedding(func: Callable, args: tuple, kwargs: dict) -> Any:
    weight, index, *rest = args
    if is_jagged(weight) or not is_jagged(index):
        raise RuntimeError("embedding(): only the indices may be a nested tensor")
    return wrap(func(weight, index._values, *rest, **kwargs), index)


@_rule("__rmatmul__")
def _rmatmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _matmul(fb.matmul, (args[1], args[0]), kwargs)


@_rule("matmul", "bmm", "__matmul__")
def _matmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args
    if is_jagged(a) and is_jagged(b):
        made = _both_nested(a, b)
    elif is_jagged(a):
        made = _nested_first(a, b)
    else:
        made = _nested_second(a, b)
    if made is None:
        shapes = [tuple(t.shape) if t is a and is_jagged(t) else t.shape for t in (a, b)]
        raise RuntimeError(f"matmul(): not supported between inputs of shapes {shapes[0]} and {shapes[1]}")
    return made


def _nested_first(a: NestedTensor, b: Any) -> Any:
    n, ragged = a.dim(), a._ragged_idx
    if b.dim() == 2 and ragged != n - 1:
        return wrap(a._values @ b, a)
    if b.dim() == n and b.shape[0] == len(a) and ragged == n - 2:
        return from_padded(a.to_padded_tensor(0) @ b, a, ragged)
    return None


def _nested_second(a: Any, b: NestedTensor) -> Any:
    n, ragged = b.dim(), b._ragged_idx
    if a.dim() == 2 and ragged != n - 2:
        return wrap(a @ b._values, b)
    if a.dim() == n and a.shape[0] == len(b) and ragged == n - 1:
        return from_padded(a @ b.to_padded_tensor(0), b, ragged)
    return None


def _both_nested(a: NestedTensor, b: NestedTensor) -> Any:
    n = a.dim()
    if b.dim() != n or a.shape[a._ragged_idx] != b.shape[b._ragged_idx]:
        return None
    if a._ragged_idx == n - 1 and b._ragged_idx == n - 2:
        return a.to_padded_tensor(0) @ b.to_padded_tensor(0)
    if a._ragged_idx == b._ragged_idx and a._ragged_idx < n - 2:
        return wrap(a._values @ b._values, a)
    return None


@_rule("scaled_dot_product_attention")
def _attention(func: Callable, args: tuple, kwargs: dict) -> Any:
    names = "query key value attn_mask dropout_p is_causal"
    q, k, v, mask, dropout, causal = given(args, kwargs, names, dropout_p=0.0, is_causal=False)
    if mask is not None:
        raise ValueError("Masks are not yet supported!")
    if not all(is_jagged(t) and t.dim() == 4 for t in (q, k, v)):
        raise ValueError(
            "Expected query, key, and value to be all 4 dimensional nested tensors, but got query.dim(): "
            f"{q.dim()}, key.dim(): {k.dim()} and value.dim(): {v.dim()} instead."
        )
    options = {n: kwargs[n] for n in ("scale", "enable_gqa") if n in kwargs}
    # one call a component: the ways of attention that keep no scores need no mask, and padding costs nothing
    made = [
        func(*(t.unsqueeze(0) for t in parts), None, dropout, causal, **options)[0].transpose(0, 1)
        for parts in zip(q.unbind(), k.unbind(), v.unbind())
    ]
    return wrap(fb.cat(made).transpose(0, 1), q, 2)
