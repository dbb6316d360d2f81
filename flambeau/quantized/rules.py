"""What operators do with quantized tensors, by name: views, copies, comparison, what orders them.

The integers are in the order of the numbers, so that most of this is the operator itself on integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import given, name_of, noting
from .convert import from_numbers, numbers
from .tensor import (
    PerChannel,
    PerTensor,
    QuantizedTensor,
    cannot_run,
    ints,
    is_quantized,
    make,
    need_per_tensor,
)

__all__ = ["RULES", "call", "like_first", "plain"]

RULES: dict[str, Callable] = {}
_rule = noting(RULES)
_plain_calls = _C.DisableTorchFunctionSubclass
_STRIDES = "Setting strides is possible only on uniformly quantized tensor"


@QuantizedTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are quantized."""
    name = name_of(func)
    rule = RULES.get(name)
    if rule is None:
        cannot_run(name)
    return rule(func, args, kwargs)


def plain(x: Any) -> Any:
    """Quantized tensors as their integers, also in lists; other arguments as they are."""
    if isinstance(x, QuantizedTensor):
        return ints(x)
    return type(x)(plain(e) for e in x) if type(x) in (list, tuple) else x


def _run(func: Callable, args: tuple, kwargs: dict) -> Any:
    """The operator on integers."""
    with _plain_calls():
        if not kwargs:  # the commonest: one tensor, then numbers
            return func(*[a if type(a) is int else plain(a) for a in args])
        return func(*[plain(a) for a in args], **{k: plain(v) for k, v in kwargs.items()})


def _wrapped(result: Any, quantizer: Any) -> Any:
    if type(result) is fb.Tensor:
        return make(result, quantizer)
    if isinstance(result, (list, tuple)):
        return type(result)(_wrapped(r, quantizer) for r in result)
    return result


@_rule(
    "device", "requires_grad", "is_leaf", "grad_fn", "is_complex", "_version", "output_nr", "is_cuda",
    "is_meta",
    "is_cpu", "is_inference", "element_size", "itemsize", "nbytes", "get_device", "is_nested", "is_mkldnn",
    "names",
    "is_conj", "is_neg", "layout", "shape", "size", "dim", "ndim", "ndimension", "numel", "nelement",
    "stride",
    "storage_offset", "is_contiguous", "data_ptr", "untyped_storage", "is_shared", "__len__", "is_sparse",
    "is_sparse_csr", "is_same_size", "_backward_hooks", "retains_grad", "is_xpu", "is_mps", "is_pinned",
    "has_names",
    "is_set_to", "grad", "is_nonzero", "dim_order", "_is_view", "is_distributed",
)  # fmt: skip
def _of_integers(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _run(func, args, kwargs)


@_rule("set requires_grad")
def _set_requires_grad(func: Callable, args: tuple, kwargs: dict) -> None:
    args[0].requires_grad_(args[1])


@_rule(
    "is_quantized", "dtype", "qscheme", "q_scale", "q_zero_point", "int_repr", "q_per_channel_scales",
    "dequantize",
    "q_per_channel_zero_points", "q_per_channel_axis", "numpy", "tolist", "item", "type", "is_floating_point",
    "requires_grad_", "is_signed", "__repr__", "__deepcopy__", "__reduce_ex__", "storage", "__array__",
)  # fmt: skip
def _its_own(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func)
    if name == "__array__":
        return args[0].numpy()
    own = getattr(QuantizedTensor, name)
    if isinstance(own, property):
        return own.fget(args[0])
    return own(*args, **kwargs) if callable(own) else own


@_rule("__bool__", "__float__", "__int__", "__format__")
def _as_number(func: Callable, args: tuple, kwargs: dict) -> Any:
    if name_of(func) == "__format__":
        return object.__format__(args[0], *args[1:])
    return func(args[0].dequantize())


# ---------------------------------------------------------------- views and copies
@_rule("data", "detach", "contiguous", "alias", "view_as", "clone", "cpu", "pin_memory")
def _kept(func: Callable, args: tuple, kwargs: dict) -> Any:
    quantizer = args[0].quantizer
    if name_of(func) == "clone" and quantizer.scheme == fb.per_channel_affine_float_qparams:
        raise RuntimeError(
            "clone for quantized Tensor only works for       PerTensorAffine and PerChannelAffine qscheme "
            "right now"
        )
    if name_of(func) == "clone" and kwargs.get("memory_format") in (None, fb.preserve_format):
        kwargs = {"memory_format": fb.contiguous_format}  # a clone does not keep strides
    return make(_run(func, args, kwargs), quantizer)


@_rule("view", "reshape", "flatten", "ravel", "unflatten", "_unsafe_view", "reshape_as", "_reshape_alias")
def _reshaped(func: Callable, args: tuple, kwargs: dict) -> Any:
    if any(isinstance(a, fb.dtype) for a in (*args, *kwargs.values())):
        cannot_run("view.dtype")
    return make(_run(func, args, kwargs), args[0].quantizer)


@_rule(
    "transpose", "permute", "t", "swapaxes", "swapdims", "movedim", "moveaxis", "as_strided", "unfold",
    "diagonal",
    "T", "mT", "H", "mH", "adjoint", "repeat", "tile", "expand_as", "diag", "flip", "fliplr", "flipud",
    "atleast_1d",
    "atleast_2d", "atleast_3d", "pixel_shuffle", "pixel_unshuffle", "repeat_interleave",
)  # fmt: skip
def _per_tensor_view(func: Callable, args: tuple, kwargs: dict) -> Any:
    return make(_run(func, args, kwargs), need_per_tensor(args[0], _STRIDES))


def _moved(t: Any, axis: int) -> Any:
    q = t.quantizer
    return q.moved(axis) if isinstance(q, PerChannel) else q


@_rule("unsqueeze")
def _unsqueeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    axis = t.quantizer.axis if isinstance(t.quantizer, PerChannel) else 0
    return make(_run(func, args, kwargs), _moved(t, axis + (dim % (t.dim() + 1) <= axis)))


def _without(t: Any, dims: Any) -> Any:
    """The quantizer of a tensor less dimensions of one index."""
    q = t.quantizer
    if not isinstance(q, PerChannel):
        return q
    dims = [d % t.dim() for d in dims]
    return q.part(slice(0, 1)) if q.axis in dims else q.moved(q.axis - sum(d < q.axis for d in dims))


@_rule("squeeze")
def _squeeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    dims = range(t.dim()) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    gone = [d for d in dims if t.shape[d] == 1] if t.dim() else []
    return make(_run(func, args, kwargs), _without(t, gone))


@_rule("select")
def _select(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, index = given(args, kwargs, "input dim index")
    q, made = t.quantizer, _run(func, args, kwargs)
    if isinstance(q, PerTensor):
        return make(made, q)
    dim %= t.dim()
    return make(
        made, q.part(slice(index, index + 1 or None)) if dim == q.axis else q.moved(q.axis - (dim < q.axis))
    )


@_rule("unbind")
def _unbind(func: Callable, args: tuple, kwargs: dict) -> Any:
    (dim,) = given(args, kwargs, "input dim", dim=0)[1:]
    return tuple(args[0].select(dim, i) for i in range(args[0].shape[dim]))


@_rule("__iter__")
def _iter(func: Callable, args: tuple, kwargs: dict) -> Any:
    return iter(args[0].unbind(0))


@_rule("narrow")
def _narrow(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, start, length = given(args, kwargs, "input dim start length")
    made = _run(func, args, kwargs)
    start = int(start) % t.shape[dim] if t.shape[dim] else 0
    q = t.quantizer
    along = isinstance(q, PerChannel) and dim % t.dim() == q.axis
    return make(made, q.part(slice(start, start + length)) if along else q)


@_rule(
    "chunk",
    "split",
    "split_with_sizes",
    "tensor_split",
    "hsplit",
    "vsplit",
    "dsplit",
    "unsafe_chunk",
    "unsafe_split",
)
def _split(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, parts, q = args[0], _run(func, args, kwargs), args[0].quantizer
    dim = kwargs.get("dim", args[2] if len(args) > 2 else 0)
    if isinstance(q, PerTensor) or dim % t.dim() != q.axis:
        return _wrapped(parts, q)
    made, start = [], 0
    for part in parts:
        made.append(make(part, q.part(slice(start, start + part.shape[dim]))))
        start += part.shape[dim]
    return type(parts)(made)


@_rule("expand", "broadcast_to")
def _expand(func: Callable, args: tuple, kwargs: dict) -> Any:
    return make(_run(func, args, kwargs), need_per_tensor(args[0], _STRIDES))


@_rule("__getitem__", "take_along_dim", "index")
def _index(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, index = args[0], args[1]
    if isinstance(t.quantizer, PerTensor):
        return make(_run(func, args, kwargs), t.quantizer)
    keys = list(index) if isinstance(index, tuple) else [index]
    if any(not isinstance(k, (int, slice, type(None), type(...))) or isinstance(k, bool) for k in keys):
        raise RuntimeError("indexing by tensors is only supported on per-tensor quantized tensors")
    if ... in keys:
        at = keys.index(...)
        counted = sum(k is not None and k is not ... for k in keys)
        keys[at : at + 1] = [slice(None)] * (t.dim() - counted)
    dim = 0
    for k in keys:
        if k is None:
            t, dim = t.unsqueeze(dim), dim + 1
        elif isinstance(k, int):
            t = t.select(dim, k)
        else:
            if k != slice(None):
                q = t.quantizer
                along = isinstance(q, PerChannel) and q.axis == dim
                part = ints(t)[(slice(None),) * dim + (k,)]
                t = make(part, q.part(k) if along else q)
            dim += 1
    return t if t is not args[0] else t.detach()


@_rule("index_select", "take")
def _index_select(func: Callable, args: tuple, kwargs: dict) -> Any:
    message = "Only per_tensor quantized quantized tensors are supported by index_select."
    return make(_run(func, args, kwargs), need_per_tensor(args[0], message))


@_rule("unsqueeze_", "squeeze_", "transpose_", "t_", "swapaxes_", "as_strided_", "resize_", "detach_", "set_")
def _view_in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func)
    if name in ("unsqueeze_", "squeeze_"):
        t = args[0]
        q = getattr(t, name[:-1])(*args[1:], **kwargs).quantizer
        with _plain_calls():
            func(t, *args[1:], **kwargs)
        t.__dict__["_quantizer"] = q
        return t
    if name not in ("detach_", "resize_"):
        need_per_tensor(args[0], _STRIDES)
    with _plain_calls():
        func(*args, **kwargs)
    return args[0]


@_rule("to")
def _to(func: Callable, args: tuple, kwargs: dict) -> Any:
    for a in (*args[1:], *kwargs.values()):
        dtype = a.dtype if isinstance(a, fb.Tensor) else a
        if isinstance(dtype, fb.dtype) and dtype != args[0].dtype:
            _no_conversion()
    args = tuple(a for a in args if not isinstance(a, fb.dtype))
    kwargs = {k: v for k, v in kwargs.items() if k != "dtype"}
    if len(args) < 2 and not kwargs:
        return args[0]
    made = _run(func, args, kwargs)
    same = made.data_ptr() == ints(args[0]).data_ptr() and made.stride() == args[0].stride()
    return args[0] if same else make(made, args[0].quantizer)


@_rule("float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool", "type_as")
def _no_conversion(*_: Any) -> Any:
    raise RuntimeError("Creation of quantized tensor requires quantized dtype like torch.quint8")


@_rule("set data")
def _set_data(func: Callable, args: tuple, kwargs: dict) -> None:
    t, other = args
    if not is_quantized(t) or not is_quantized(other):
        raise RuntimeError("a quantized tensor and a plain one cannot take each other's data")
    with _plain_calls():
        t.data = ints(other)
    t.__dict__["_quantizer"] = other.quantizer


@_rule("copy_")
def _copy_(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, src = args[:2]
    if not is_quantized(t):
        raise RuntimeError(
            "Copying from quantized Tensor to non-quantized Tensor is not allowed, please use dequantize "
            "to get a "
            "float Tensor from a quantized Tensor"
        )
    if is_quantized(src):
        if src.dtype != t.dtype:
            raise RuntimeError("Quantized Copy only works with the same dtype")
        ints(t).copy_(ints(src))
        t.__dict__["_quantizer"] = src.quantizer
        return t
    if src.dtype != fb.float32:
        raise RuntimeError("Quantized copy only works with kFloat as source Tensor")
    ints(t).copy_(from_numbers(src.detach().expand(t.shape), t.quantizer))
    return t


@_rule("equal")
def _equal(func: Callable, args: tuple, kwargs: dict) -> bool:
    a, b = args
    if not is_quantized(a) or not is_quantized(b):
        if is_quantized(a):
            raise RuntimeError("Expected other.is_quantized() to be true, but got false.")
        cannot_run("equal")
    return a.shape == b.shape and a.quantizer.same(b.quantizer) and fb.equal(ints(a), ints(b))


@_rule("isclose", "allclose")
def _isclose(*_: Any) -> None:
    raise RuntimeError("isclose is not supported for quantized inputs.")


# ---------------------------------------------------------------- new ones
@_rule("empty_like", "new_empty")
def _empty(func: Callable, args: tuple, kwargs: dict) -> Any:
    quantizer = args[0].quantizer
    if (kwargs.get("dtype") or quantizer.dtype) != quantizer.dtype:
        _no_conversion()
    kwargs = {k: v for k, v in kwargs.items() if k != "dtype"}
    if quantizer.scheme == fb.per_channel_affine_float_qparams:
        raise RuntimeError("Unsupported qscheme: per_channel_affine_float_qparams")
    if name_of(func) == "new_empty":
        quantizer = PerTensor(quantizer.dtype, 1.0, 0)
    return make(_run(func, args, kwargs), quantizer)


@_rule("full_like", "ones_like")
def _full_like(func: Callable, args: tuple, kwargs: dict) -> Any:
    fill = 1.0 if name_of(func) == "ones_like" else given(args, kwargs, "input fill_value")[1]
    return fb.empty_like(args[0]).fill_(fill)


@_rule("fill_")
def _fill_(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, value = given(args, kwargs, "input value")
    if isinstance(value, fb.Tensor):
        if value.dim():
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.dim()} dimensions."
            )
        value = value.item()
    ints(t).copy_(from_numbers(fb.full(t.shape, float(value)), t.quantizer))
    return t


def like_first(tensors: Sequence, quantizer: PerTensor) -> list:
    """The integers of tensors, all as `quantizer` reads them."""
    return [
        ints(t) if t.quantizer == quantizer else from_numbers(numbers(ints(t), t.quantizer), quantizer)
        for t in tensors
    ]


@_rule("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = args[0] if args else kwargs["tensors"]
    for t in tensors:
        if not is_quantized(t):
            cannot_run("cat")
        need_per_tensor(t, "Only per-tensor quantization is supported in 'cat'!")
    if len({t.dtype for t in tensors}) > 1:
        raise RuntimeError("All dtypes must be the same.")
    first = tensors[0].quantizer
    return make(_run(func, (like_first(tensors, first), *args[1:]), _less(kwargs, "tensors")), first)


def _less(kwargs: dict, *names: str) -> dict:
    return {k: v for k, v in kwargs.items() if k not in names}


@_rule("masked_fill", "masked_fill_")
def _masked_fill(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, mask, value = given(args, kwargs, "input mask value")
    need_per_tensor(t, "masked_fill_ for quantized tensors is currently only supported for per tensor")
    level = from_numbers(fb.tensor([float(value)]), t.quantizer).item()
    if name_of(func) == "masked_fill":
        return make(ints(t).masked_fill(mask, level), t.quantizer)
    ints(t).masked_fill_(mask, level)
    return t


@_rule("index_put", "index_put_")
def _index_put(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, indices, values, accumulate = given(args, kwargs, "input indices values accumulate", accumulate=False)
    if is_quantized(values):
        raise RuntimeError("Value argument for quantized input_put should not be quantized")
    if accumulate:
        raise RuntimeError("index_put for quantized tensors is currently only supported for accumulate=False")
    need_per_tensor(
        t, "index_put for quantized tensors is currently only supported for per tensor quantized tensors"
    )
    made = getattr(ints(t), name_of(func))(indices, from_numbers(values.float(), t.quantizer))
    return t if name_of(func) == "index_put_" else make(made, t.quantizer)


@_rule("__setitem__")
def _setitem(func: Callable, args: tuple, kwargs: dict) -> None:
    t, index, value = args
    if not is_quantized(t):
        raise RuntimeError(
            "Copying from quantized Tensor to non-quantized Tensor is not allowed, please use dequantize "
            "to get a "
            "float Tensor from a quantized Tensor"
        )
    keys = index if isinstance(index, tuple) else (index,)
    if isinstance(t.quantizer, PerTensor) and any(isinstance(k, (fb.Tensor, list)) for k in keys):
        value = value.dequantize() if is_quantized(value) else fb.as_tensor(value, dtype=fb.float32)
        ints(t)[index] = from_numbers(value, t.quantizer)
        return
    part = t[index]
    if not isinstance(value, fb.Tensor):
        part.fill_(value)
    elif is_quantized(value):
        ints(part).copy_(ints(value))
    else:
        part.copy_(value)


# ---------------------------------------------------------------- order
@_rule(
    "eq", "ne", "lt", "le", "gt", "ge", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "less",
    "greater",
    "less_equal", "greater_equal", "not_equal",
)  # fmt: skip
def _compared(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = (t.dequantize() if is_quantized(t) else t for t in args[:2])
    with _plain_calls():
        return func(a, b, **kwargs)


@_rule("max", "min")
def _extreme(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func).capitalize()
    q = need_per_tensor(
        args[0],
        f"{name} operator for quantized tensors only works for per tensor quantized tensors. Please open "
        f"an issue on"
        " https://github.com/pytorch/pytorch/issues if you need per channel quantized tensor support.",
    )
    result = _run(func, args, kwargs)
    if isinstance(result, fb.Tensor):
        return make(result, q)
    return type(result)((make(result[0], q), result[1]))


@_rule("sort", "topk", "msort")
def _sorted(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func)
    q = need_per_tensor(
        args[0], "Top-K is only supported on per-tensor quantization" if name == "topk" else None
    )
    result = _run(func, args, kwargs)
    if isinstance(result, fb.Tensor):
        return make(result, q)
    return type(result)((make(result[0], q), result[1]))


@_rule("argsort")
def _argsort(func: Callable, args: tuple, kwargs: dict) -> Any:
    need_per_tensor(args[0])
    return _run(func, args, kwargs)
