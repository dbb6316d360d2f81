"""ONNX operators on elements, comparisons, reductions and products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F

from ._enums import DTYPES
from ._readers import reader

_PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": fb.abs, "Acos": fb.acos, "Acosh": fb.acosh, "Asin": fb.asin, "Asinh": fb.asinh, "Atan": fb.atan,
    "Atanh": fb.atanh, "Ceil": fb.ceil, "Cos": fb.cos, "Cosh": fb.cosh, "Erf": fb.erf, "Exp": fb.exp,
    "Floor": fb.floor, "IsNaN": fb.isnan, "Log": fb.log, "Neg": fb.neg, "Not": fb.logical_not,
    "Reciprocal": fb.reciprocal, "Relu": fb.relu, "Round": fb.round, "Sigmoid": fb.sigmoid, "Sign": fb.sign,
    "Sin": fb.sin, "Sinh": fb.sinh, "Sqrt": fb.sqrt, "Tan": fb.tan, "Tanh": fb.tanh, "Softplus": F.softplus,
    "Softsign": F.softsign, "HardSwish": F.hardswish, "Mish": F.mish, "Det": fb.det,
    "BitwiseNot": fb.bitwise_not,
    "Add": fb.add, "Sub": fb.sub, "Mul": fb.mul, "And": fb.logical_and, "Or": fb.logical_or,
    "Xor": fb.logical_xor, "BitwiseAnd": fb.bitwise_and, "BitwiseOr": fb.bitwise_or,
    "BitwiseXor": fb.bitwise_xor,
    "Equal": fb.eq, "Less": fb.lt, "LessOrEqual": fb.le, "Greater": fb.gt, "GreaterOrEqual": fb.ge,
    "MatMul": fb.matmul, "Where": fb.where,
}  # fmt: skip
for _name, _function in _PLAIN.items():
    reader(_name)(lambda *inputs, _f=_function, **_: _f(*inputs))

reader("Identity", "Optional")(lambda x=None, **_: x)
reader("Elu")(lambda x, alpha=1.0: F.elu(x, alpha))
reader("Celu")(lambda x, alpha=1.0: F.celu(x, alpha))
reader("LeakyRelu")(lambda x, alpha=0.01: F.leaky_relu(x, alpha))
reader("ThresholdedRelu")(lambda x, alpha=1.0: fb.where(x > alpha, x, 0))
reader("HardSigmoid")(lambda x, alpha=0.2, beta=0.5: fb.clamp(alpha * x + beta, 0, 1))
reader("Gelu")(lambda x, approximate="none": F.gelu(x, approximate=approximate))
reader("Swish")(lambda x, alpha=1.0: x * fb.sigmoid(alpha * x))
reader("Pow")(lambda a, b: fb.pow(a, b).to(a.dtype))


@reader("Selu")
def _selu(x: Tensor, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    return gamma * fb.where(x > 0, x, alpha * fb.expm1(x))


@reader("PRelu")
def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return fb.where(x < 0, x * slope, x)


@reader("Shrink")
def _shrink(x: Tensor, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    return fb.where(x < -lambd, x + bias, fb.where(x > lambd, x - bias, 0)).to(x.dtype)


@reader("IsInf")
def _isinf(x: Tensor, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    found = fb.zeros_like(x, dtype=fb.bool)
    found = found | (x == math.inf) if detect_positive else found
    return found | (x == -math.inf) if detect_negative else found


@reader("Clip")
def _clip(
    x: Tensor, low: Any = None, high: Any = None, min: float | None = None, max: float | None = None
) -> Tensor:
    low, high = low if min is None else min, high if max is None else max
    x = x if low is None else fb.maximum(x, fb.as_tensor(low, dtype=x.dtype))
    return x if high is None else fb.minimum(x, fb.as_tensor(high, dtype=x.dtype))


@reader("Div")
def _div(a: Tensor, b: Tensor) -> Tensor:
    return fb.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


@reader("Mod")
def _mod(a: Tensor, b: Tensor, fmod: int = 0) -> Tensor:
    return fb.fmod(a, b) if fmod else fb.remainder(a, b)


@reader("BitShift")
def _bit_shift(a: Tensor, b: Tensor, direction: str) -> Tensor:
    wide = a.long() << b.long() if direction == "LEFT" else a.long() >> b.long()
    return wide.to(a.dtype)


def _folded(function: Callable) -> Callable:
    return lambda *inputs: functools.reduce(function, inputs)


reader("Max")(_folded(fb.maximum))
reader("Min")(_folded(fb.minimum))
reader("Sum")(_folded(fb.add))
reader("Mean")(lambda *inputs: functools.reduce(fb.add, inputs) / len(inputs))


@reader("Cast")
def _cast(x: Tensor, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    if to not in DTYPES:
        raise NotImplementedError(f"a cast to ONNX's type number {to}")
    return x.to(DTYPES[to])


reader("CastLike")(lambda x, y, saturate=1, round_mode="up": x.to(y.dtype))


# ---------------------------------------------------------------------- reductions
def _dims(x: Tensor, axes: Any, empty_is_all: bool) -> list[int]:
    dims = axes.tolist() if isinstance(axes, Tensor) else list(axes or ())
    return dims or (list(range(x.dim())) if empty_is_all else [])


def _reducer(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable:
    def reduce(
        x: Tensor, given: Any = None, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Any:
        dims = _dims(x, axes if given is None else given, not noop_with_empty_axes)
        return function(x, dims, bool(keepdims))

    return reduce


def _prod(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    for d in sorted((d % max(x.dim(), 1) for d in dims), reverse=True):
        x = x.prod(d, keepdim=keep) if x.dim() else x
    return x


def _none(function: Callable) -> Callable:
    """A reduction over no dimensions changes nothing in shape."""
    return lambda x, dims, keep: function(x, dims, keep) if dims else x


def _limits(dtype: fb.dtype) -> tuple[int, int]:
    return fb.iinfo(dtype).min, fb.iinfo(dtype).max


def _extreme(largest: bool) -> Callable:
    def reduce(x: Tensor, dims: list[int], keep: bool) -> Tensor:
        y = x.to(fb.uint8) if x.dtype == fb.bool else x
        if any(x.shape[d] == 0 for d in dims):
            least, most = (-math.inf, math.inf) if y.is_floating_point() else _limits(y.dtype)
            shape = [1 if d in dims else s for d, s in enumerate(x.shape)]
            made = fb.full(shape, least if largest else most, dtype=y.dtype).to(x.dtype)
            return made if keep else made.squeeze(tuple(dims))
        return (fb.amax if largest else fb.amin)(y, dims, keep).to(x.dtype)

    return reduce


def _norm(order: int) -> Callable:
    return lambda x, dims, keep: (
        x.abs().sum(dims, keep).to(x.dtype) if order == 1 else (x * x).sum(dims, keep).sqrt().to(x.dtype)
    )


_REDUCTIONS: dict[str, Callable] = {
    "ReduceSum": lambda x, dims, keep: x.sum(dims, keep).to(x.dtype) if dims else x,
    "ReduceMean": _none(lambda x, dims, keep: x.mean(dims, keep)),
    "ReduceMax": _none(_extreme(True)),
    "ReduceMin": _none(_extreme(False)),
    "ReduceProd": lambda x, dims, keep: _prod(x, dims, keep).to(x.dtype),
    "ReduceL1": lambda x, dims, keep: _norm(1)(x, dims, keep) if dims else x.abs(),
    "ReduceL2": lambda x, dims, keep: _norm(2)(x, dims, keep) if dims else x.abs(),
    "ReduceLogSum": lambda x, dims, keep: (x.sum(dims, keep) if dims else x).log(),
    "ReduceLogSumExp": lambda x, dims, keep: fb.logsumexp(x, dims, keep) if dims else x,
    "ReduceSumSquare": lambda x, dims, keep: (x * x).sum(dims, keep).to(x.dtype) if dims else x * x,
}
for _name, _function in _REDUCTIONS.items():
    reader(_name)(_reducer(_function))


def _arg(largest: bool) -> Callable:
    def find(x: Tensor, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        source = x.flip(axis) if select_last_index else x
        found = (fb.argmax if largest else fb.argmin)(source, axis, keepdim=bool(keepdims))
        return x.shape[axis] - 1 - found if select_last_index else found

    return find


reader("ArgMax")(_arg(True))
reader("ArgMin")(_arg(False))


@reader("CumSum")
def _cumsum(x: Tensor, axis: Tensor, exclusive: int = 0, reverse: int = 0) -> Tensor:
    dim = int(axis)
    source = x.flip(dim) if reverse else x
    made = source.cumsum(dim).to(x.dtype)
    made = made - source if exclusive else made
    return made.flip(dim) if reverse else made


@reader("CumProd")
def _cumprod(x: Tensor, axis: Tensor, exclusive: int = 0, reverse: int = 0) -> Tensor:
    dim = int(axis)
    source = x.flip(dim) if reverse else x
    if exclusive:
        one = fb.ones_like(source.narrow(dim, 0, 1))
        source = fb.cat([one, source.narrow(dim, 0, source.shape[dim] - 1)], dim)
    made = source.cumprod(dim).to(x.dtype)
    return made.flip(dim) if reverse else made


@reader("TopK")
def _topk(
    x: Tensor, k: Tensor | None = None, axis: int = -1, largest: int = 1, sorted: int = 1, **old: int
) -> tuple[Tensor, Tensor]:
    count = old["k"] if k is None else int(k)
    values, places = fb.sort(x, dim=axis, descending=bool(largest), stable=True)  # the first of equal ones
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


# ---------------------------------------------------------------------- products
@reader("Gemm")
def _gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, alpha: float = 1.0, beta: float = 1.0, transA: int = 0,
    transB: int = 0,
) -> Tensor:  # fmt: skip
    if transB and not transA and alpha == beta == 1 and c is not None and c.dim() == 1 and len(c) == len(b):
        return F.linear(a, b, c)
    made = (a.t() if transA else a) @ (b.t() if transB else b)
    made = made if alpha == 1 else alpha * made
    return made if c is None else made + (c if beta == 1 else beta * c)


@reader("MatMulInteger")
def _matmul_integer(
    a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    x, y = a.to(fb.int32), b.to(fb.int32)
    if a_zero is not None:
        x = x - (
            a_zero.to(fb.int32)[:, None] if a_zero.dim() == 1 and a_zero.numel() > 1 else a_zero.to(fb.int32)
        )
    return x @ (y if b_zero is None else y - b_zero.to(fb.int32))


reader("Einsum")(lambda *inputs, equation: fb.einsum(equation, *inputs))
