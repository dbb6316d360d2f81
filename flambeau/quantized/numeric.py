"""What operators compute on quantized tensors: activations, means, pooling, resizing, padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import given, name_of, noting
from .convert import from_numbers, inverse, levels, levels_apart, numbers, rounded_once, single
from .rules import RULES
from .tensor import WORDS, PerTensor, bounds, cannot_run, ints, make, need_per_tensor

__all__ = ["by_number", "clamped", "vector_numbers"]

_rule = noting(RULES)
_plain_calls = _C.DisableTorchFunctionSubclass


def vector_numbers(integers: fb.Tensor, q: PerTensor) -> fb.Tensor:
    """What integers stand for in PyTorch's vector code: ``i * scale - zero_point * scale`` rounded once.

    The second product is rounded before; `dequantize` subtracts the integers, which may differ in the last
    bit.
    """
    scale = single(q.scale)
    if integers.dtype in (fb.uint8, fb.int8):
        return fb._quantized_numbers(integers, scale, single(-scale * q.zero_point), True)
    return rounded_once(integers.to(fb.float32), scale, single(-scale * q.zero_point))


_KEPT: dict[tuple, fb.Tensor] = {}  # levels of functions that know nothing of the call


def _levels_of(f: Callable, q: PerTensor, out: PerTensor, rounded: Callable) -> fb.Tensor:
    """The level of f of every level."""
    key = (f, q, out, rounded) if getattr(f, "__closure__", None) is None else None
    if (table := _KEPT.get(key)) is not None:
        return table
    low, high = bounds(q.dtype)
    table = levels_apart(
        f(rounded(fb.arange(low, high + 1), q)), inverse(out.scale), out.zero_point, out.dtype
    )
    if key and f.__name__ != "<lambda>" and type(table) is fb.Tensor and table.device.type == "cpu":
        if len(_KEPT) >= 256:
            _KEPT.clear()
        _KEPT[key] = table
    return table


def by_number(t: Any, f: Callable, out: PerTensor | None = None, rounded: Callable = vector_numbers) -> Any:
    """The tensor of ``f(number)``: for bytes f is computed of each level once and then looked up."""
    q = need_per_tensor(t)
    out = out or q
    if q.dtype == fb.qint32:
        return make(from_numbers(f(numbers(ints(t), q)), out), out)
    low, table = bounds(q.dtype)[0], _levels_of(f, q, out, rounded)
    integers = ints(t)
    index = integers.to(fb.int32)
    found = table.index_select(0, (index - low if low else index).reshape(-1)).reshape(integers.shape)
    if integers.dim() > 2 and not integers.is_contiguous():
        found = fb.empty_like(integers).copy_(found)
    return make(found, out)


def level(value: float, q: PerTensor) -> int:
    """The integer of a number."""
    return int(from_numbers(fb.tensor([float(value)]), q).item())


def clamped(t: Any, low: float | None, high: float | None, write: bool = False) -> Any:
    """The tensor between two numbers."""
    q = need_per_tensor(t)
    lo = None if low is None else level(low, q)
    hi = None if high is None else level(high, q)
    if write:
        ints(t).clamp_(lo, hi)
        return t
    return make(ints(t).clamp(lo, hi), q)


@_rule("relu", "relu_")
def _relu(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, inplace = given(args, kwargs, "input inplace", inplace=False)
    q = need_per_tensor(t)
    if inplace or name_of(func) == "relu_":
        ints(t).clamp_(min=q.zero_point)
        return t
    return make(ints(t).clamp(min=q.zero_point), q)


@_rule("relu6", "relu6_")
def _relu6(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, inplace = given(args, kwargs, "input inplace", inplace=False)
    return clamped(t, 0.0, 6.0, inplace or name_of(func) == "relu6_")


@_rule("hardtanh", "hardtanh_")
def _hardtanh(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, low, high, inplace = given(
        args, kwargs, "input min_val max_val inplace", min_val=-1.0, max_val=1.0, inplace=False
    )
    return clamped(t, low, high, inplace or name_of(func) == "hardtanh_")


@_rule("clamp_", "clamp_min", "clamp_max", "clip_")
def _no_clamp(*_: Any) -> None:
    raise RuntimeError("promoteTypes with quantized numbers is not handled yet: call clamp")


@_rule("clamp", "clip")
def _clamp(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, low, high = given(args, kwargs, "input min max")
    if isinstance(low, fb.Tensor) or isinstance(high, fb.Tensor):
        raise RuntimeError(
            "promoteTypes with quantized numbers is not handled yet: clamp of quantized tensors takes numbers"
        )
    if low is None and high is None:
        raise RuntimeError("Both min and max are None")
    return clamped(t, low, high)


_SIGMOID = {fb.quint8: (1 / 256, 0), fb.qint8: (1 / 256, -128), fb.qint32: (1 / 2**32, 0)}
_TANH = {fb.quint8: (1 / 128, 128), fb.qint8: (1 / 128, 0), fb.qint32: (1 / 2**31, 0)}


def sigmoid_quantizer(dtype: fb.dtype) -> PerTensor:
    """The quantizer of numbers between 0 and 1."""
    return PerTensor(dtype, *_SIGMOID[dtype])


@_rule("sigmoid")
def _sigmoid(func: Callable, args: tuple, kwargs: dict) -> Any:
    return by_number(args[0], fb.sigmoid, sigmoid_quantizer(args[0].dtype))


@_rule("hardsigmoid")
def _hardsigmoid(func: Callable, args: tuple, kwargs: dict) -> Any:
    return by_number(args[0], fb.nn.functional.hardsigmoid, sigmoid_quantizer(args[0].dtype))


@_rule("tanh")
def _tanh(func: Callable, args: tuple, kwargs: dict) -> Any:
    return by_number(args[0], fb.tanh, PerTensor(args[0].dtype, *_TANH[args[0].dtype]))


@_rule("leaky_relu", "leaky_relu_")
def _leaky_relu(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, slope, inplace = given(
        args, kwargs, "input negative_slope inplace", negative_slope=0.01, inplace=False
    )
    made = by_number(t, lambda x: fb.nn.functional.leaky_relu(x, slope))
    if inplace or name_of(func) == "leaky_relu_":
        ints(t).copy_(ints(made))
        return t
    return made


@_rule("gelu")
def _gelu(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, approximate = given(args, kwargs, "input approximate", approximate="none")
    q = need_per_tensor(t)
    out = PerTensor(q.dtype, single(q.scale), q.zero_point)
    return by_number(t, lambda x: fb.nn.functional.gelu(x, approximate=approximate), out)


@_rule("threshold", "threshold_")
def _threshold(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, threshold, value = given(args, kwargs, "input threshold value")
    return by_number(t, lambda x: fb.nn.functional.threshold(x, threshold, value))


@_rule("dropout", "feature_dropout", "alpha_dropout", "dropout1d", "dropout2d", "dropout3d")
def _dropout(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, _, training = given(args, kwargs, "input p training", training=True)
    if training:
        cannot_run("bernoulli_.float")
    return t


# ---------------------------------------------------------------- reductions
@_rule("mean", "std")
def _statistic(func: Callable, args: tuple, kwargs: dict) -> Any:
    q = need_per_tensor(args[0])
    kwargs = {k: v for k, v in kwargs.items() if k != "dtype" or v is None}
    if name_of(func) == "mean" and (rows := _inner_rows(args[0], args, kwargs)) is not None:
        keep = given(args, kwargs, "input dim keepdim", keepdim=False)[2]
        made = rows.to(fb.int64).sum(-1).to(fb.float32).div_(rows.shape[-1]).round_()
        low, high = bounds(q.dtype)
        made = made.clamp_(low, high).to(rows.dtype)
        missing = args[0].dim() - made.dim()
        return make(made.reshape(*made.shape, *[1] * missing) if keep else made, q)
    with _plain_calls():
        made = func(args[0].dequantize(), *args[1:], **kwargs)
    return make(from_numbers(made, q), q)


def _inner_rows(t: Any, args: tuple, kwargs: dict) -> fb.Tensor | None:
    """The integers with the last dimensions as one, where a mean is of those and they lie in a line."""
    dims = given(args, kwargs, "input dim")[1]
    dims = (dims,) if isinstance(dims, int) else dims
    if not dims or t.dtype == fb.qint32 or not t.is_contiguous():
        return None
    inner = sorted(d % t.dim() for d in dims)
    fits = inner == list(range(t.dim() - len(inner), t.dim())) and len(inner) < t.dim()
    return ints(t).flatten(inner[0]) if fits else None


# ---------------------------------------------------------------- pooling and resizing
def _through_floats(f: Callable, t: Any) -> Any:
    """``f`` of integers as numbers, for operators that only choose among them."""
    q = need_per_tensor(t)
    integers = ints(t)
    made = f(integers.to(fb.float64 if q.dtype == fb.qint32 else fb.float32))
    if isinstance(made, tuple):
        return make(made[0].to(integers.dtype), q), made[1]
    return make(made.to(integers.dtype), q)


def _averaged(f: Callable, t: Any, rounding: Callable = levels) -> Any:
    """``f`` of the distances of integers from zero, rounded."""
    q = need_per_tensor(t)
    made = f(ints(t).to(fb.float32) - q.zero_point)
    return make(rounding(made, 1.0, q.zero_point, q.dtype), q)


@_rule(
    "max_pool1d", "max_pool2d", "max_pool3d", "quantized_max_pool1d", "quantized_max_pool2d",
    "quantized_max_pool3d",
    "_max_pool1d", "_max_pool2d", "_max_pool3d",
)  # fmt: skip
def _max_pool(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = name_of(func).removeprefix("quantized_").lstrip("_")
    if kwargs.get("return_indices"):
        cannot_run(name + "_with_indices")
    kwargs = {k: v for k, v in kwargs.items() if k not in ("return_indices", "input")}
    operator = getattr(fb, name)
    return _through_floats(lambda x: operator(x, *args[1:6], **kwargs), args[0])


@_rule(
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
)
def _average_pool(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    inner = t.dim() > 3 and not t.is_contiguous() and "adaptive" not in name_of(func)  # channels last
    with _plain_calls():
        return _averaged(lambda x: func(x, *args[1:], **kwargs), t, levels_apart if inner else levels)


@_rule("upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
def _nearest(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _plain_calls():
        return _through_floats(lambda x: func(x, *args[1:], **kwargs), args[0])


@_rule("upsample_bilinear2d")
def _bilinear(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _plain_calls():
        return _averaged(lambda x: func(x, *args[1:], **kwargs), args[0])


@_rule("pad", "constant_pad_nd", "_pad")
def _pad(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, pad, mode, value = given(args, kwargs, "input pad mode value", mode="constant")
    if mode == "constant":
        q = need_per_tensor(t, "Only per-tensor padding is supported.")
        return make(fb.nn.functional.pad(ints(t), pad, value=level(value or 0.0, q)), q)
    q = need_per_tensor(t, "Only per tensor quantization is supported")
    if mode != "reflect":
        cannot_run(f"{'replication' if mode == 'replicate' else mode}_pad{len(pad) // 2}d.out")
    return _through_floats(lambda x: fb.nn.functional.pad(x, pad, mode), t)


@_rule("quantized_batch_norm")
def _batch_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    names = "input weight bias mean var eps output_scale output_zero_point"
    return fb.ops.quantized.batch_norm(*given(args, kwargs, names))


@_rule("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(func: Callable, args: tuple, kwargs: dict) -> Any:
    if args[0].dtype != fb.quint8:
        raise RuntimeError(f"Quantized channel shuffle works only on QUInt8 but got {WORDS[args[0].dtype]}")
    return _through_floats(lambda x: fb.nn.functional.channel_shuffle(x, *args[1:], **kwargs), args[0])


@_rule(
    "add",
    "sub",
    "mul",
    "div",
    "__add__",
    "__sub__",
    "__mul__",
    "__truediv__",
    "__radd__",
    "__rmul__",
    "__rsub__",
)
def _arithmetic(func: Callable, args: tuple, kwargs: dict) -> Any:
    shapes = [t.shape for t in args[:2] if isinstance(t, fb.Tensor)]
    fb.broadcast_shapes(*shapes)
    cannot_run(name_of(func).strip("_").replace("radd", "add").replace("rmul", "mul") + ".out")
