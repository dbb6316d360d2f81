"""How operators work on all samples of batched tensors at once, by name of the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from .._protocol import TorchFunctionMode
from .._rules import noting
from ..ops.pointwise import ELEMENTWISE, ELEMENTWISE_IN_PLACE
from ..utils._pytree import tree_flatten, tree_unflatten
from . import batched
from .batched import active, aligned, is_batched, levels_of, logical_dim, looped, make, physical, sizes, union
from .compositions import COMPOSITIONS

__all__ = ["call", "Randomness"]

_RULES: dict[str, Callable] = {}
_rule = noting(_RULES)


@batched.BatchedTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are batched."""
    name = getattr(func, "_opname", None) or getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    elif name == "__set__":
        name = "set " + getattr(getattr(func, "__self__", None), "__name__", name)
    elif name == "grad":
        name = getattr(func, "_rule_name", name)
    registered = getattr(func, "_vmap_rule", None)
    if registered is not None:
        return registered(args, kwargs)
    if kwargs.get("out") is not None:
        raise RuntimeError(
            f"Batching rule not implemented for aten::{name}.out; the fallback path doesn't work on out= or"
            " view ops."
        )
    rule = _RULES.get(name)
    if rule is None:
        body = getattr(func, "body", None) or COMPOSITIONS.get(name)
        if body is not None and "out" not in kwargs:
            try:
                with Randomness():  # which does not see what is called from inside an operator
                    return body(*args, **kwargs)
            except RuntimeError as error:
                if not getattr(error, "by_sample", False):
                    raise
    with _C.DisableTorchFunctionSubclass():
        if rule is not None:
            return rule(func, args, kwargs)
        return looped(func, args, kwargs)


# ---------------------------------------------------------------- what a sample says about itself
@_rule("shape")
def _shape(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _C.Size(physical(args[0]).shape[len(levels_of(args[0])) :])


@_rule("size")
def _size(func: Callable, args: tuple, kwargs: dict) -> Any:
    shape = _shape(func, args, kwargs)
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    return shape if dim is None else shape[dim]


@_rule("dim", "ndim", "ndimension")
def _dim(func: Callable, args: tuple, kwargs: dict) -> int:
    return logical_dim(args[0])


@_rule("numel", "nelement")
def _numel(func: Callable, args: tuple, kwargs: dict) -> int:
    return _shape(func, args, kwargs).numel()


@_rule("stride")
def _stride(func: Callable, args: tuple, kwargs: dict) -> Any:
    strides = physical(args[0]).stride()[len(levels_of(args[0])) :]
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    return strides if dim is None else strides[dim]


@_rule("__len__")
def _len(func: Callable, args: tuple, kwargs: dict) -> int:
    shape = _shape(func, args, kwargs)
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


@_rule("__iter__")
def _iter(func: Callable, args: tuple, kwargs: dict) -> Any:
    return iter(_unbind(Tensor.unbind, args, kwargs))


@_rule(
    "dtype", "device", "layout", "requires_grad", "is_leaf", "grad_fn", "is_sparse", "is_floating_point",
    "is_complex", "is_signed", "itemsize",
    "element_size", "is_cuda", "is_meta", "_version", "output_nr", "is_contiguous", "is_inference", "names",
    "retains_grad", "is_conj",
    "is_neg", "get_device", "is_quantized", "is_nested", "register_hook", "retain_grad", "is_mkldnn",
    "is_sparse_csr", "is_cpu", "_backward_hooks", "storage_offset",
)  # fmt: skip
def _same(func: Callable, args: tuple, kwargs: dict) -> Any:
    return func(*args, **kwargs)


@_rule("set requires_grad")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    func(*args, **kwargs)
    return args[0]


@_rule("grad", "_grad")
def _held(func: Callable, args: tuple, kwargs: dict) -> Any:
    held = func(*args, **kwargs)
    return held if held is None else make(held.as_subclass(Tensor), levels_of(args[0]))


@_rule("is_nonzero")
def _is_nonzero(func: Callable, args: tuple, kwargs: dict) -> bool:
    return bool(args[0])


# ---------------------------------------------------------------- element by element
def _ranked(tensors: list, levels: tuple[int, ...]) -> list:
    """Plain tensors that broadcast as their samples do: all with the levels in front and the same number of
    dimensions."""
    rank = max(map(logical_dim, tensors))
    highest = [t for t in tensors if logical_dim(t) > 0]
    n, made = len(levels), []
    for t in tensors:
        low = logical_dim(t)
        if low == 0 and highest and t.dtype != _C.bool:
            # a number among tensors does not decide the dtype, though its samples have a dimension here
            dtype = _C.result_type(_C.empty((), dtype=t.dtype), _C.empty((1,), dtype=highest[0].dtype))
            data = aligned(t, levels)
            data = data.to(dtype) if dtype != t.dtype and dtype == highest[0].dtype else data
        else:
            data = aligned(t, levels) if is_batched(t) or n == 0 or low == rank else t
        if low < rank and (is_batched(t) or low == 0):
            data = data.reshape(*data.shape[:n], *(1,) * (rank - low), *data.shape[n:])
        made.append(data)
    return made


@_rule(*ELEMENTWISE)
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    leaves, spec = tree_flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    tensors = [leaves[i] for i in places]
    levels = union(tensors)
    if len(tensors) == 1:
        leaves[places[0]] = physical(tensors[0])
    else:
        for i, t in zip(places, _ranked(tensors, levels)):
            leaves[i] = t
    a, k = tree_unflatten(leaves, spec)
    return make(func(*a, **k), levels)


@_rule(*ELEMENTWISE_IN_PLACE)
def _elementwise_in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    leaves, spec = tree_flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    tensors = [leaves[i] for i in places]
    levels = union(tensors)
    if levels_of(tensors[0]) != levels:
        return looped(func, args, kwargs)  # which says what is wrong
    ranked = [physical(tensors[0])] if len(tensors) == 1 else _ranked(tensors, levels)
    for i, t in zip(places, ranked):
        leaves[i] = t
    a, k = tree_unflatten(leaves, spec)
    func(*a, **k)
    return args[0]


@_rule("type_as")
def _type_as(func: Callable, args: tuple, kwargs: dict) -> Any:
    return make(physical(args[0]).to(args[1].dtype), levels_of(args[0]))


@_rule("type")
def _type(func: Callable, args: tuple, kwargs: dict) -> Any:
    result = func(physical(args[0]), *args[1:], **kwargs)
    return result if isinstance(result, str) else make(result, levels_of(args[0]))


@_rule("masked_fill")
def _masked_fill(func: Callable, args: tuple, kwargs: dict) -> Any:
    values = dict(zip(("input", "mask", "value"), args), **kwargs)
    t, mask, value = values["input"], values["mask"], values["value"]
    if not isinstance(value, Tensor):
        return _elementwise(func, (t, mask, value), {})
    if logical_dim(value) or mask.dtype != _C.bool:
        return looped(func, args, kwargs)  # which says what is wrong
    return _elementwise(_C.where, (mask, _type_as(func, (value, t), {}), t), {})


# ---------------------------------------------------------------- along dimensions
def _given(args: tuple, kwargs: dict, place: int, name: str, default: Any) -> tuple[Any, list, dict]:
    """An argument taken out of a call: its value, and the rest of the call (positional ones up to it
    kept)."""
    rest = dict(kwargs)
    values = list(args)
    if len(values) > place:
        return values[place], values, rest
    value = rest.pop(name, default)
    return value, values, rest


def _shifted(dim: Any, n: int, rank: int | None = None) -> Any:
    """Dimensions of a sample (of `rank` dimensions) as dimensions of all samples."""
    if not isinstance(dim, int):
        return [_shifted(d, n, rank) for d in dim]
    if rank is not None and not -rank <= dim < rank:  # a negative one would count samples
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
        )
    return dim + n if dim >= 0 else dim


def _wrap_all(result: Any, levels: tuple[int, ...]) -> Any:
    if isinstance(result, Tensor):
        return make(result, levels)
    made = [make(r, levels) for r in result]
    if type(result) in (tuple, list):
        return type(result)(made)
    return getattr(type(result), "_make", type(result))(made)


def _along(place: int, default: Any, name: str = "dim") -> Callable:
    """The rule of operators with one batched argument and a dimension argument at `place`."""

    def rule(func: Callable, args: tuple, kwargs: dict) -> Any:
        t = args[0]
        others = [x for x in tree_flatten((args[1:], kwargs))[0] if is_batched(x)]
        if not is_batched(t) or others:
            return looped(func, args, kwargs)
        levels, n = levels_of(t), len(levels_of(t))
        data = physical(t)
        dim, values, rest = _given(args, kwargs, place, name, default)
        keepdim = rest.get(
            "keepdim",
            values[place + 1] if len(values) > place + 1 and isinstance(values[place + 1], bool) else False,
        )
        if isinstance(dim, bool):  # a flag where other forms have the dimension
            return looped(func, args, kwargs)
        rest = dict(rest)
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            if keepdim:
                return looped(func, args, kwargs)
            data, dim = data.flatten(n) if logical_dim(t) else data.unsqueeze(-1), n
        elif logical_dim(t) == 0:
            return looped(func, args, kwargs)
        else:
            dim = _shifted(dim, n, logical_dim(t) + (getattr(func, "__name__", "") == "unsqueeze"))
        before, after = values[1:place], values[place + 1 :]
        if len(values) <= place:
            rest[name] = dim
            return _wrap_all(func(data, *before, **rest), levels)
        return _wrap_all(func(data, *before, dim, *after, **rest), levels)

    return rule


_REDUCING = """
sum mean prod amax amin argmax argmin std var any all nansum nanmean logsumexp std_mean var_mean count_nonzero
aminmax
""".split()
_KEEPING = """
cumsum cumprod cummax cummin logcumsumexp softmax log_softmax softmin unsqueeze select narrow mode
index_select
""".split()
for _n in _REDUCING:
    _RULES[_n] = _along(1, None)
for _n in _KEEPING:
    _RULES[_n] = _along(1, -1)
for _n in ("sort", "argsort"):
    _RULES[_n] = _along(1, -1)


@_rule("median", "nanmedian")
def _median(func: Callable, args: tuple, kwargs: dict) -> Any:
    result = _along(1, None)(func, args, kwargs)
    return result if len(args) > 1 or kwargs else result[0]


for _n in "topk kthvalue".split():
    _RULES[_n] = _along(2, -1)
for _n in "split chunk tensor_split split_with_sizes".split():
    _RULES[_n] = _along(2, 0)


@_rule("unbind")
def _unbind(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _along(1, 0)(func, args, kwargs)


@_rule("max", "min")
def _max(func: Callable, args: tuple, kwargs: dict) -> Any:
    other = args[1] if len(args) > 1 else kwargs.get("other")
    if isinstance(other, Tensor):
        return _elementwise(func, args, kwargs)
    if other is None and "dim" not in kwargs:
        name = "amax" if func.__name__ == "max" else "amin"
        return _RULES[name](getattr(Tensor, name), args, kwargs)
    return _along(1, None)(func, args, kwargs)


@_rule("norm")
def _norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    return looped(func, args, kwargs) if not is_batched(args[0]) else _along(2, None)(func, args, kwargs)


@_rule("linalg_vector_norm", "vector_norm")
def _vector_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _along(2, None)(func, args, kwargs)


# ---------------------------------------------------------------- shapes
def _numbers(args: tuple, kwargs: dict, *names: str) -> list[int]:
    """Sizes or dimensions given one by one, as a sequence, or by name."""
    for name in names:
        if name in kwargs:
            value = kwargs[name]
            return [value] if isinstance(value, int) else list(value)
    rest = args[1:]
    if len(rest) == 1 and not isinstance(rest[0], int):
        return list(rest[0])
    return list(rest)


def _one(func: Callable, args: tuple, kwargs: dict) -> tuple[Any, tuple, int]:
    t = args[0]
    return physical(t), levels_of(t), len(levels_of(t))


@_rule("reshape", "view", "_unsafe_view")
def _reshape(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    if len(args) == 2 and isinstance(args[1], _C.dtype):
        return make(data.view(args[1]), levels)
    shape = _numbers(args, kwargs, "shape", "size")
    if -1 in shape:
        known = 1
        for s in shape:
            known *= s if s != -1 else 1
        total = _numel(func, args, kwargs)
        shape[shape.index(-1)] = total // known if known else 0
    # expanded samples have no view of this shape together: a reshape keeps them
    if func.__name__ == "view" and not data.is_contiguous() and data.numel():
        data[(0,) * n].view(shape)  # which says what is wrong with a sample
    return make(data.reshape(*data.shape[:n], *shape), levels)


@_rule("view_as", "reshape_as")
def _reshape_as(func: Callable, args: tuple, kwargs: dict) -> Any:
    shape = _shape(func, (args[1],), {}) if is_batched(args[1]) else args[1].shape
    if not is_batched(args[0]):
        return args[0].reshape(shape)
    return _reshape(func, (args[0], shape), {})


@_rule("expand")
def _expand(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    shape = _numbers(args, kwargs, "size", "sizes")
    low = logical_dim(args[0])
    data = data.reshape(*data.shape[:n], *(1,) * (len(shape) - low), *data.shape[n:])
    return make(data.expand(*data.shape[:n], *shape), levels)


@_rule("expand_as")
def _expand_as(func: Callable, args: tuple, kwargs: dict) -> Any:
    shape = _shape(func, (args[1],), {}) if is_batched(args[1]) else args[1].shape
    return _expand(func, (args[0], shape), {}) if is_batched(args[0]) else args[0].expand(shape)


@_rule("repeat")
def _repeat(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    times = _numbers(args, kwargs, "repeats")
    data = data.reshape(*data.shape[:n], *(1,) * (len(times) - logical_dim(args[0])), *data.shape[n:])
    return make(data.repeat(*(1,) * n, *times), levels)


@_rule("permute")
def _permute(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    low = logical_dim(args[0])
    dims = _shifted(_numbers(args, kwargs, "dims"), 0, low)
    return make(data.permute(*range(n), *(d % low + n for d in dims)), levels)


@_rule("transpose", "swapaxes", "swapdims")
def _transpose(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    a, b = (*args[1:], *kwargs.values())
    if logical_dim(args[0]) == 0:
        return looped(func, args, kwargs)
    return make(data.transpose(*_shifted((a, b), n, logical_dim(args[0]))), levels)


@_rule("t", "T", "mT", "H", "mH", "adjoint")
def _t(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    low = logical_dim(args[0])
    name = func.__name__ if func.__name__ != "__get__" else func.__self__.__name__
    if name == "T" and low != 2:
        return make(data.permute(*range(n), *reversed(range(n, n + low))), levels)
    result = data if low < 2 else data.transpose(-1, -2)
    return make(result.conj() if name in ("H", "mH", "adjoint") and data.is_complex() else result, levels)


@_rule("t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_")
def _moved_in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, name = args[0], func.__name__
    n, low = len(levels_of(t)), logical_dim(t)
    if name == "t_":
        return Tensor.transpose_(t, n, n + 1) if low == 2 else t
    dims = [*args[1:], *kwargs.values()]
    if low == 0 and name in ("transpose_", "swapaxes_", "swapdims_"):
        _shifted(dims, n, 1)  # which says what is wrong
        return t
    if name == "squeeze_" and (not dims or not isinstance(dims[0], int)):
        dims = list(dims[0]) if dims else list(range(low))
        return Tensor.squeeze_(t, tuple(_shifted(dims, n, max(low, 1)))) if low else t
    func(t, *_shifted(dims, n, max(low, 1) if name != "unsqueeze_" else low + 1))
    return t


@_rule("squeeze")
def _squeeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    low = logical_dim(args[0])
    dims = _numbers(args, kwargs, "dim")
    if not dims and (len(args) > 1 or kwargs):  # an empty list of dimensions
        return args[0]
    where = [d % low for d in _shifted(dims, 0, low)] if dims and low else range(low) if not dims else []
    gone = [d + n for d in where if data.shape[d + n] == 1]
    return make(data.reshape([s for d, s in enumerate(data.shape) if d not in gone]), levels)


@_rule("flatten", "ravel")
def _flatten(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    if logical_dim(args[0]) == 0:
        return make(data.unsqueeze(-1), levels)
    start = args[1] if len(args) > 1 else kwargs.get("start_dim", 0)
    end = args[2] if len(args) > 2 else kwargs.get("end_dim", -1)
    return make(data.flatten(*_shifted((start, end), n, logical_dim(args[0]))), levels)


@_rule("unflatten")
def _unflatten(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    dim, sizes_ = (*args[1:], *kwargs.values())
    return make(data.unflatten(_shifted(dim, n, max(logical_dim(args[0]), 1)), sizes_), levels)


@_rule("movedim", "moveaxis")
def _movedim(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    a, b = (*args[1:], *kwargs.values())
    rank = max(logical_dim(args[0]), 1)
    if logical_dim(args[0]) == 0:
        _shifted((a, b), n, rank)  # which says what is wrong
        return args[0]
    return make(data.movedim(_shifted(a, n, rank), _shifted(b, n, rank)), levels)


@_rule("flip")
def _flip(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    low = logical_dim(args[0])
    dims = _shifted(_numbers(args, kwargs, "dims"), n, max(low, 1))
    return make(data.flip(dims if low else ()), levels)


@_rule("diagonal")
def _diagonal(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    names = dict(zip(("offset", "dim1", "dim2"), args[1:]))
    names = {"offset": 0, "dim1": 0, "dim2": 1, **names, **kwargs}
    return make(
        data.diagonal(names["offset"], *_shifted((names["dim1"], names["dim2"]), n, logical_dim(args[0]))),
        levels,
    )


@_rule("tril", "triu")
def _triangle(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, _ = _one(func, args, kwargs)
    return make(func(data, *args[1:], **kwargs), levels)


@_rule("unfold")
def _unfold(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, n = _one(func, args, kwargs)
    if data.dim() == n:  # numbers count as having one dimension
        return make(data.unsqueeze(-1).unfold(-1, *args[2:], **kwargs).squeeze(-2), levels)
    return make(data.unfold(_shifted(args[1], n, logical_dim(args[0])), *args[2:], **kwargs), levels)


@_rule("as_strided", "as_strided_copy")
def _as_strided(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Strides are those of a sample, the offset is that of the first one."""
    data, levels, n = _one(func, args, kwargs)
    names = {"storage_offset": None, **dict(zip(("size", "stride", "storage_offset"), args[1:])), **kwargs}
    made = data.as_strided(
        (*data.shape[:n], *names["size"]), (*data.stride()[:n], *names["stride"]), names["storage_offset"]
    )
    return make(made.clone() if func.__name__ == "as_strided_copy" else made, levels)


@_rule("cat", "concat", "concatenate")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = list(args[0])
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    if any(logical_dim(t) != 1 for t in tensors):
        # samples without elements and of one dimension join whatever the dimensions of the others are
        tensors = [t for t in tensors if logical_dim(t) != 1 or t.numel()]
    levels = union(tensors)
    return make(
        _C.cat(
            [aligned(t, levels, full=True) for t in tensors],
            _shifted(dim, len(levels), logical_dim(tensors[0])),
        ),
        levels,
    )


@_rule("stack")
def _stack(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = list(args[0])
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    levels = union(tensors)
    return make(
        _C.stack(
            [aligned(t, levels, full=True) for t in tensors],
            _shifted(dim, len(levels), logical_dim(tensors[0]) + 1),
        ),
        levels,
    )


def _refuse_masks(parts: tuple) -> None:
    if any(is_batched(p) and p.dtype in (_C.bool, _C.uint8) for p in parts):
        raise batched._undecided(
            "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch"
            " over indexing with a boolean mask."
        )


@_rule("__setitem__")
def _setitem(func: Callable, args: tuple, kwargs: dict) -> None:
    _refuse_masks(args[1] if isinstance(args[1], tuple) else (args[1],))
    looped(func, args, kwargs)


@_rule("__getitem__")
def _getitem(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, index = args
    parts = index if isinstance(index, tuple) else (index,)
    plain = all(
        p is None or p is Ellipsis or (isinstance(p, (int, slice)) and not isinstance(p, bool)) for p in parts
    )
    _refuse_masks(parts)
    if not plain or not is_batched(t):
        return looped(func, args, kwargs)
    n = len(levels_of(t))
    return make(physical(t)[(slice(None),) * n + tuple(parts)], levels_of(t))


@_rule("new_zeros", "new_ones", "new_empty", "new_full")
def _new(func: Callable, args: tuple, kwargs: dict) -> Any:
    data, levels, _ = _one(func, args, kwargs)
    size, *rest = args[1:]
    if isinstance(size, int):
        size, rest = [size, *rest], []
    return make(func(data, [*sizes(levels), *size], *rest, **kwargs), levels)


@_rule("gather")
def _gather(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) != 3 or kwargs or logical_dim(args[0]) == 0 or logical_dim(args[2]) == 0:
        return looped(func, args, kwargs)
    t, dim, index = args
    levels = union((t, index))
    return make(
        aligned(t, levels, full=True).gather(
            _shifted(dim, len(levels), logical_dim(t)), aligned(index, levels, full=True)
        ),
        levels,
    )


# ---------------------------------------------------------------- random numbers
RANDOM = set(
    """
    rand randn randint randperm normal bernoulli multinomial poisson rand_like randn_like randint_like dropout
    alpha_dropout feature_dropout
    native_dropout rrelu normal_ uniform_ bernoulli_ random_ exponential_ geometric_ cauchy_ log_normal_
    dropout_ dropout1d dropout2d dropout3d
    feature_alpha_dropout binomial _standard_gamma _sample_dirichlet
    """.split()
)


class Randomness(TorchFunctionMode):
    """Sees the random operators that no tensor argument would show."""

    _sees_operators = True

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in RANDOM and active():
            return random(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def _draws_nothing(name: str, args: tuple, kwargs: dict) -> bool:
    """Whether a dropout leaves its input alone, or nothing of it."""
    if "dropout" not in name:
        return False
    p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
    train = args[2] if len(args) > 2 else kwargs.get("train", kwargs.get("training", True))
    return train is False or (p in (0, 1) and not name.startswith("native"))


def random(func: Callable, args: tuple, kwargs: dict) -> Any:
    """A random operator under the innermost `vmap`."""
    level = active()[-1]
    name = getattr(func, "__name__", "")
    if _draws_nothing(name, args, kwargs):
        with _C.DisableTorchFunctionSubclass():
            if name == "dropout":
                return make(func(physical(args[0]), *args[1:], **kwargs), levels_of(args[0]))
            return looped(func, args, kwargs)
    if level.randomness == "error":
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or"
            " 'different' randomness flags on vmap or perform the randomness operation out of vmap"
        )
    batched = [x for x in tree_flatten((args, kwargs))[0] if is_batched(x)]
    if level.randomness == "same":
        if not batched:
            return func(*args, **kwargs)
        if name in ("bernoulli", "multinomial", "normal", "binomial"):
            raise RuntimeError(
                "Vmap does not currently support same randomness with a batched tensor input. Please file an"
                " issue with functorch"
            )
        # the same numbers for every sample: each draws from the same state
        state = _C.default_generator.get_state()

        def repeat(*a: Any, **k: Any) -> Any:
            _C.default_generator.set_state(state)
            return func(*a, **k)

        with _C.DisableTorchFunctionSubclass():
            repeat.__name__ = name
            return looped(repeat, args, kwargs)
    if not batched and name.endswith("_"):
        raise RuntimeError(
            "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like"
            " same randomness. If this is necessary for your usage, please file an issue with functorch."
        )
    with _C.DisableTorchFunctionSubclass():
        if batched:
            return looped(func, args, kwargs)
        return make(_C.stack([func(*args, **kwargs) for _ in range(level.size)]), (level.number,))


# ---------------------------------------------------------------- sizes and truths of all samples
@_rule("resize_")
def _resize_(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    size = list(args[1]) if len(args) == 2 and not isinstance(args[1], int) else list(args[1:])
    batch = physical(t).shape[: len(levels_of(t))]
    rows = physical(t).detach().reshape(*batch, -1).clone()
    func(t, [*batch, *size], **kwargs)
    keep = min(rows.shape[-1], physical(t).detach().reshape(*batch, -1).shape[-1])
    physical(t).detach().view(*batch, -1)[..., :keep].copy_(rows[..., :keep])
    return t


@_rule("resize_as_")
def _resize_as_(func: Callable, args: tuple, kwargs: dict) -> Any:
    shape = _shape(func, args[1:], {}) if is_batched(args[1]) else args[1].shape
    return _resize_(Tensor.resize_, (args[0], shape), kwargs)


@_rule("_is_all_true")
def _is_all_true(func: Callable, args: tuple, kwargs: dict) -> Any:
    return physical(args[0]).all()


@_rule("_is_any_true")
def _is_any_true(func: Callable, args: tuple, kwargs: dict) -> Any:
    return physical(args[0]).any()
