"""ONNX nodes of elementwise operators, comparisons, reductions and products."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb

from ._table import OnnxGraph, Val, axis_of, element_type, symbol

_UNARY = {
    "relu": "Relu", "sigmoid": "Sigmoid", "special::expit": "Sigmoid", "tanh": "Tanh", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "abs": "Abs", "absolute": "Abs", "neg": "Neg", "negative": "Neg",
    "floor": "Floor", "ceil": "Ceil", "round": "Round", "sign": "Sign", "sgn": "Sign",
    "reciprocal": "Reciprocal", "erf": "Erf", "special::erf": "Erf", "sin": "Sin", "cos": "Cos", "tan": "Tan",
    "asin": "Asin", "arcsin": "Asin", "acos": "Acos", "arccos": "Acos", "atan": "Atan", "arctan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "arcsinh": "Asinh", "acosh": "Acosh",
    "arccosh": "Acosh", "atanh": "Atanh", "arctanh": "Atanh", "isnan": "IsNaN", "isinf": "IsInf",
    "logical_not": "Not", "nn::hardswish": "HardSwish", "linalg::det": "Det", "alias": "Identity",
    "clone": "Identity", "detach": "Identity", "contiguous": "Identity", "resolve_conj": "Identity",
    "resolve_neg": "Identity", "positive": "Identity",
}  # fmt: skip


def _unary(kind: str) -> Any:
    def write(g: OnnxGraph, x: Val, *rest: Any) -> str:
        floats = kind not in (
            "Identity",
            "Abs",
            "Neg",
            "Sign",
            "Not",
            "Relu",
            "IsNaN",
            "IsInf",
            "Floor",
            "Ceil",
        )
        if kind == "Not":
            return g.op(kind, g.cast(x, fb.bool))
        return g.op(kind, g.cast(x, g.result[0].dtype) if floats else x)

    return write


for _name, _kind in _UNARY.items():
    symbol(_name)(_unary(_kind))


def _of(g: OnnxGraph, f: Any, x: Val) -> str:
    return f(g.cast(x, g.result[0].dtype))


def _one(g: OnnxGraph, value: float) -> str:
    return g.constant(value, g.result[0].dtype)


symbol("rsqrt")(lambda g, x: _of(g, lambda v: g.op("Reciprocal", g.op("Sqrt", v)), x))
symbol("square")(lambda g, x: g.op("Mul", x, x))
symbol("log2")(lambda g, x: g.op("Div", g.op("Log", x), _one(g, math.log(2))))
symbol("log10")(lambda g, x: g.op("Div", g.op("Log", x), _one(g, math.log(10))))
symbol("log1p")(lambda g, x: g.op("Log", g.op("Add", x, _one(g, 1))))
symbol("expm1")(lambda g, x: g.op("Sub", g.op("Exp", x), _one(g, 1)))
symbol("nn::silu")(lambda g, x: g.op("Mul", x, g.op("Sigmoid", x)))
symbol("nn::mish")(lambda g, x: g.op("Mul", x, g.op("Tanh", g.op("Softplus", x))))
symbol("nn::softplus")(lambda g, x, beta=1, threshold=20: _softplus(g, x, beta))
symbol("exp2")(lambda g, x: g.op("Pow", _one(g, 2), x))
symbol("erfc")(lambda g, x: g.op("Sub", _one(g, 1), g.op("Erf", x)))
symbol("trunc", "fix")(lambda g, x: g.op("Mul", g.op("Sign", x), g.op("Floor", g.op("Abs", x))))
symbol("frac")(lambda g, x: g.op("Mod", x, _one(g, 1), fmod=1))
symbol("deg2rad")(lambda g, x: g.op("Mul", x, _one(g, math.pi / 180)))
symbol("rad2deg")(lambda g, x: g.op("Mul", x, _one(g, 180 / math.pi)))
symbol("hardshrink")(lambda g, x, lambd=0.5: g.op("Shrink", x, lambd=float(lambd)))
symbol("nn::softshrink")(lambda g, x, lambd=0.5: g.op("Shrink", x, lambd=float(lambd), bias=float(lambd)))
symbol("threshold")(lambda g, x, at, value: g.op("Where", g.op("Greater", x, _one(g, at)), x, _one(g, value)))
symbol("isfinite")(lambda g, x: g.op("Not", g.op("Or", g.op("IsNaN", x), g.op("IsInf", x))))
symbol("logit")(lambda g, x, eps=None: _logit(g, x, eps))
symbol("nn::log_sigmoid")(lambda g, x: g.op("Neg", g.op("Softplus", g.op("Neg", x))))
symbol("nn::hardsigmoid")(lambda g, x: g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
symbol("nn::relu6")(lambda g, x: g.op("Clip", x, _one(g, 0), _one(g, 6)))
symbol("nn::hardtanh")(lambda g, x, low, high: g.op("Clip", x, _one(g, low), _one(g, high)))


@symbol("nn::elu")
def _elu(g: OnnxGraph, x: Val, alpha: float = 1, scale: float = 1, inner: float = 1) -> str:
    if scale != 1 or inner != 1:
        raise NotImplementedError("elu with a scale")
    return g.op("Elu", x, alpha=float(alpha))


symbol("celu")(lambda g, x, alpha=1.0: g.op("Celu", x, alpha=float(alpha)))
symbol("selu")(lambda g, x: g.op("Selu", x))
symbol("nn::leaky_relu")(lambda g, x, slope=0.01: g.op("LeakyRelu", x, alpha=float(slope)))
symbol("bitwise_not")(lambda g, x: g.op("Not" if x.dtype == fb.bool else "BitwiseNot", x))


def _softplus(g: OnnxGraph, x: Val, beta: float) -> str:
    if beta == 1:
        return g.op("Softplus", x)
    return g.op("Div", g.op("Softplus", g.op("Mul", x, _one(g, beta))), _one(g, beta))


def _logit(g: OnnxGraph, x: Val, eps: float | None) -> str:
    y = x.name if eps is None else g.op("Clip", x, _one(g, eps), _one(g, 1 - eps))
    return g.op("Log", g.op("Div", y, g.op("Sub", _one(g, 1), y)))


@symbol("prelu")
def _prelu(g: OnnxGraph, x: Val, weight: Val) -> str:
    many = weight.shape[0] > 1 and x.rank > 2
    return g.op("PRelu", x, g.op("Reshape", weight, [-1] + [1] * (x.rank - 2)) if many else weight)


@symbol("nn::gelu")
def _gelu(g: OnnxGraph, x: Val, approximate: str = "none") -> str:
    if g.opset >= 20:
        return g.op("Gelu", x, approximate=approximate)
    if approximate == "none":
        inner = g.op("Erf", g.op("Div", x, _one(g, math.sqrt(2))))
    else:
        cube = g.op("Mul", g.op("Mul", g.op("Mul", x, x), x), _one(g, 0.044715))
        inner = g.op("Tanh", g.op("Mul", g.op("Add", x, cube), _one(g, math.sqrt(2 / math.pi))))
    return g.op("Mul", g.op("Mul", x, _one(g, 0.5)), g.op("Add", inner, _one(g, 1)))


# ---------------------------------------------------------------------- two operands
def _common(a: Any, b: Any) -> fb.dtype:
    def stand_in(v: Any) -> Any:
        return fb.empty((1,) * min(v.rank, 1), dtype=v.dtype) if isinstance(v, Val) else v

    return fb.result_type(stand_in(a), stand_in(b))


def _binary(g: OnnxGraph, kind: str, a: Any, b: Any, dtype: fb.dtype | None = None) -> str:
    dtype = dtype or g.result[0].dtype
    return g.op(kind, g.cast(a, dtype), g.cast(b, dtype))


def _scaled(g: OnnxGraph, b: Any, alpha: float) -> Any:
    if alpha == 1:
        return b
    dtype = g.result[0].dtype
    return g.op("Mul", g.cast(b, dtype), g.constant(alpha, dtype))


@symbol("add")
def _add(g: OnnxGraph, a: Any, b: Any, alpha: float = 1) -> str:
    dtype = g.result[0].dtype
    if dtype == fb.bool:
        return g.op("Or", a, b)
    scaled = _scaled(g, b, alpha)
    return g.op("Add", g.cast(a, dtype), g.cast(scaled, dtype, dtype))


@symbol("sub", "subtract")
def _sub(g: OnnxGraph, a: Any, b: Any, alpha: float = 1) -> str:
    dtype = g.result[0].dtype
    return g.op("Sub", g.cast(a, dtype), g.cast(_scaled(g, b, alpha), dtype, dtype))


@symbol("rsub")
def _rsub(g: OnnxGraph, a: Any, b: Any, alpha: float = 1) -> str:
    return _sub(g, b, a, alpha)


@symbol("mul", "multiply")
def _mul(g: OnnxGraph, a: Any, b: Any) -> str:
    return g.op("And", a, b) if g.result[0].dtype == fb.bool else _binary(g, "Mul", a, b)


@symbol("div", "true_divide", "divide")
def _div(g: OnnxGraph, a: Any, b: Any, rounding_mode: str | None = None) -> str:
    dtype = g.result[0].dtype
    if rounding_mode is None or dtype.is_floating_point:
        out = _binary(g, "Div", a, b)
        if rounding_mode == "trunc":
            return g.op("Mul", g.op("Sign", out), g.op("Floor", g.op("Abs", out)))
        return g.op("Floor", out) if rounding_mode == "floor" else out
    if rounding_mode == "trunc":
        return _binary(g, "Div", a, b)
    out = g.op("Floor", _binary(g, "Div", a, b, fb.float64))
    return g.op("Cast", out, to=element_type(dtype))


symbol("floor_divide")(lambda g, a, b: _div(g, a, b, "floor"))
symbol("maximum")(lambda g, a, b: _binary(g, "Max", a, b))
symbol("minimum")(lambda g, a, b: _binary(g, "Min", a, b))
symbol("fmax")(lambda g, a, b: _not_nan(g, "Max", a, b))
symbol("fmin")(lambda g, a, b: _not_nan(g, "Min", a, b))
symbol("xlogy", "special::xlogy")(lambda g, a, b: _xlogy(g, a, b))
symbol("logaddexp")(lambda g, a, b: _logaddexp(g, a, b))
symbol("hypot")(lambda g, a, b: g.op("Sqrt", g.op("Add", g.op("Mul", a, a), g.op("Mul", b, b))))
symbol("heaviside")(lambda g, x, at: _heaviside(g, x, at))
symbol("nan_to_num")(lambda g, x, *values: _nan_to_num(g, x, *values))
symbol("isclose")(lambda g, *args: _isclose(g, *args))
symbol("isneginf")(lambda g, x: g.op("IsInf", x, detect_positive=0))
symbol("isposinf")(lambda g, x: g.op("IsInf", x, detect_negative=0))
symbol("addcdiv")(lambda g, a, b, c, value=1: g.op("Add", a, _scaled(g, g.op("Div", b, c), value)))
symbol("fmod")(
    lambda g, a, b: g.op("Mod", g.cast(a, g.result[0].dtype), g.cast(b, g.result[0].dtype), fmod=1)
)
symbol("logical_and")(lambda g, a, b: _binary(g, "And", a, b, fb.bool))
symbol("logical_or")(lambda g, a, b: _binary(g, "Or", a, b, fb.bool))
symbol("logical_xor")(lambda g, a, b: _binary(g, "Xor", a, b, fb.bool))
symbol("lerp")(
    lambda g, a, b, w: g.op("Add", a, g.op("Mul", g.op("Sub", b, a), g.cast(w, g.result[0].dtype)))
)
symbol("addcmul")(lambda g, a, b, c, value=1: g.op("Add", a, _scaled(g, g.op("Mul", b, c), value)))
for _name, _kind in {"and": "And", "or": "Or", "xor": "Xor"}.items():
    symbol(f"bitwise_{_name}", f"__{_name}__")(
        lambda g, a, b, k=_kind: _binary(g, k if g.result[0].dtype == fb.bool else "Bitwise" + k, a, b)
    )


def _not_nan(g: OnnxGraph, kind: str, a: Any, b: Any) -> str:
    """The extreme of two where NaN counts as missing."""
    dtype = g.result[0].dtype
    a, b = g.cast(a, dtype), g.cast(b, dtype)
    both = g.op(kind, a, b)
    return (
        both
        if not dtype.is_floating_point
        else g.op("Where", g.op("IsNaN", a), b, g.op("Where", g.op("IsNaN", b), a, both))
    )


def _xlogy(g: OnnxGraph, a: Any, b: Any) -> str:
    dtype = g.result[0].dtype
    a, b = g.cast(a, dtype), g.cast(b, dtype)
    product = g.op("Mul", a, g.op("Log", b))
    zero = g.constant(0, dtype)
    return g.op("Where", g.op("And", g.op("Equal", a, zero), g.op("Not", g.op("IsNaN", b))), zero, product)


def _logaddexp(g: OnnxGraph, a: Val, b: Val) -> str:
    far = g.op("Abs", g.op("Sub", a, b))
    return g.op("Add", g.op("Max", a, b), g.op("Log", g.op("Add", g.op("Exp", g.op("Neg", far)), _one(g, 1))))


def _heaviside(g: OnnxGraph, x: Val, at: Val) -> str:
    zero = g.constant(0, x.dtype)
    return g.op("Where", g.op("Equal", x, zero), at, g.cast(g.op("Greater", x, zero), x.dtype, fb.bool))


def _nan_to_num(g: OnnxGraph, x: Val, nan: Any = None, most: Any = None, least: Any = None) -> str:
    if not x.dtype.is_floating_point:
        return g.op("Identity", x)
    limits = fb.finfo(x.dtype)
    most, least = limits.max if most is None else most, limits.min if least is None else least
    out = g.op("Where", g.op("IsNaN", x), _one(g, 0.0 if nan is None else nan), x)
    out = g.op("Where", g.op("IsInf", x, detect_negative=0), _one(g, most), out)
    return g.op("Where", g.op("IsInf", x, detect_positive=0), _one(g, least), out)


def _isclose(
    g: OnnxGraph, a: Val, b: Val, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> str:
    if equal_nan or not a.dtype.is_floating_point:
        raise NotImplementedError("isclose of whole numbers, or with equal_nan")
    room = g.op("Add", g.constant(atol, a.dtype), g.op("Mul", g.constant(rtol, a.dtype), g.op("Abs", b)))
    near = g.op("LessOrEqual", g.op("Abs", g.op("Sub", a, b)), room)
    finite = g.op("Not", g.op("IsInf", b))
    return g.op("Or", g.op("Equal", a, b), g.op("And", near, finite))


@symbol("remainder")
def _remainder(g: OnnxGraph, a: Any, b: Any) -> str:
    if not g.result[0].dtype.is_floating_point:
        return _binary(g, "Mod", a, b)
    dtype = g.result[0].dtype
    a, b = g.cast(a, dtype), g.cast(b, dtype)
    return g.op("Sub", a, g.op("Mul", g.op("Floor", g.op("Div", a, b)), b))


@symbol("pow")
def _pow(g: OnnxGraph, a: Any, b: Any) -> str:
    return _binary(g, "Pow", a, b)


for _names, _kind in {
    "eq": "Equal", "lt less": "Less", "le less_equal": "LessOrEqual", "gt greater": "Greater",
    "ge greater_equal": "GreaterOrEqual",
}.items():  # fmt: skip
    symbol(*_names.split())(lambda g, a, b, k=_kind: _binary(g, k, a, b, _common(a, b)))
symbol("ne", "not_equal")(lambda g, a, b: g.op("Not", _binary(g, "Equal", a, b, _common(a, b))))


@symbol("where")
def _where(g: OnnxGraph, condition: Val, a: Any, b: Any) -> str:
    dtype = g.result[0].dtype
    return g.op("Where", g.cast(condition, fb.bool), g.cast(a, dtype), g.cast(b, dtype))


symbol("where.method")(lambda g, x, condition, other: _where(g, condition, x, other))
symbol("masked_fill")(lambda g, x, mask, value: _where(g, mask, value, x))


@symbol("clamp", "clip")
def _clamp(g: OnnxGraph, x: Val, low: Any = None, high: Any = None) -> str:
    out: Any = x
    if isinstance(low, Val) or isinstance(high, Val):
        out = _binary(g, "Max", out, low) if low is not None else out
        return g.op("Min", out, g.cast(high, g.result[0].dtype)) if high is not None else out
    dtype = g.result[0].dtype
    ends = [None if v is None else g.cast(v, dtype) for v in (low, high)]
    return g.op("Clip", g.cast(x, dtype), *ends)


symbol("clamp_min")(lambda g, x, low: _clamp(g, x, low))
symbol("clamp_max")(lambda g, x, high: _clamp(g, x, None, high))


# ---------------------------------------------------------------------- reductions
def reduce(kind: str) -> Any:
    def write(g: OnnxGraph, x: Val, dim: Any = None, keepdim: bool = False, *rest: Any) -> str:
        dims = [dim] if isinstance(dim, int) and not isinstance(dim, bool) else dim
        if not isinstance(dims, list) or not dims:
            dims, keepdim = None, False
        source = g.cast(x, g.result[0].dtype)
        axes = None if dims is None else g.ints(dims)
        if g.opset < 18 and kind != "ReduceSum":
            return g.op(kind, source, axes=dims, keepdims=int(keepdim))
        return g.op(kind, source, axes, keepdims=int(keepdim))

    return write


for _name, _kind in {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin", "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
}.items():  # fmt: skip
    symbol(_name)(reduce(_kind))


def _extreme(kind: str, arg: str) -> Any:
    def write(g: OnnxGraph, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return reduce(kind)(g, x)
        if isinstance(dim, Val):
            return _binary(g, "Max" if kind == "ReduceMax" else "Min", x, dim)
        return [reduce(kind)(g, x, dim, keepdim), g.op(arg, x, axis=dim, keepdims=int(keepdim))]

    return write


symbol("max")(_extreme("ReduceMax", "ArgMax"))
symbol("min")(_extreme("ReduceMin", "ArgMin"))


def _position(kind: str) -> Any:
    def write(g: OnnxGraph, x: Val, dim: int | None = None, keepdim: bool = False) -> str:
        if dim is None:
            return g.op("Squeeze", g.op(kind, g.op("Reshape", x, [-1]), axis=0, keepdims=1))
        return g.op(kind, x, axis=dim, keepdims=int(keepdim))

    return write


symbol("argmax")(_position("ArgMax"))
symbol("argmin")(_position("ArgMin"))


def _truth(kind: str) -> Any:
    def write(g: OnnxGraph, x: Val, dim: Any = None, keepdim: bool = False) -> str:
        seen, g.result = g.result, [Val("", fb.int32, ())]
        out = reduce(kind)(
            g, Val(g.cast(g.cast(x, fb.bool), fb.int32, fb.bool), fb.int32, x.shape), dim, keepdim
        )
        g.result = seen
        return g.op("Cast", out, to=9)

    return write


symbol("any")(_truth("ReduceMax"))
symbol("all")(_truth("ReduceMin"))


def _var(g: OnnxGraph, x: Val, dim: Any, correction: Any, keepdim: bool) -> str:
    dims = list(range(x.rank)) if not dim else [dim] if isinstance(dim, int) else dim
    correction = 1 if correction is None else int(correction)
    centred = g.op("Sub", x, reduce("ReduceMean")(g, x, dims, True))
    square = Val(g.op("Mul", centred, centred), x.dtype, x.shape)
    total = reduce("ReduceSum")(g, square, dims, keepdim)
    sizes = g.op("Gather", g.op("Shape", x), g.constant([axis_of(d, x.rank) for d in dims]), axis=0)
    count = g.op("ReduceProd", sizes, keepdims=0)
    divisor = g.op("Cast", g.op("Sub", count, g.constant(correction)), to=element_type(x.dtype))
    return g.op("Div", total, divisor)


def _spread_of(name: str, write: Any) -> None:
    symbol(name)(lambda g, x, unbiased: write(g, x, None, unbiased, False))
    symbol(name + ".dim", name + ".correction")(
        lambda g, x, dim=None, correction=None, keepdim=False: write(g, x, dim, correction, keepdim)
    )


def _std(g: OnnxGraph, *args: Any) -> str:
    return g.op("Sqrt", _var(g, *args))


def _with_mean(write: Any) -> Any:
    return lambda g, x, dim, correction, keepdim: [
        write(g, x, dim, correction, keepdim), reduce("ReduceMean")(g, x, dim, keepdim)
    ]  # fmt: skip


_spread_of("var", _var)
_spread_of("std", _std)
_spread_of("var_mean", _with_mean(_var))
_spread_of("std_mean", _with_mean(_std))


@symbol("aminmax")
def _aminmax(g: OnnxGraph, x: Val, dim: int | None = None, keepdim: bool = False) -> list[str]:
    return [reduce(kind)(g, x, dim, keepdim) for kind in ("ReduceMin", "ReduceMax")]


@symbol("count_nonzero")
def _count_nonzero(g: OnnxGraph, x: Val, dim: Any = None) -> str:
    there = g.cast(g.cast(x, fb.bool), fb.int64, fb.bool)
    return reduce("ReduceSum")(g, Val(there, fb.int64, x.shape), dim)


symbol("cumsum")(lambda g, x, dim, *rest: g.op("CumSum", g.cast(x, g.result[0].dtype), g.constant(dim)))


@symbol("linalg::vector_norm")
def norm(g: OnnxGraph, x: Val, p: float = 2, dim: Any = None, keepdim: bool = False, *rest: Any) -> str:
    if p in (1, 2):
        return reduce("ReduceL1" if p == 1 else "ReduceL2")(g, x, dim, keepdim)
    size = Val(g.op("Abs", x), x.dtype, x.shape)
    if abs(p) == math.inf:
        return reduce("ReduceMax" if p > 0 else "ReduceMin")(g, size, dim, keepdim)
    if p == 0:
        raise NotImplementedError("norms of order 0")
    powers = Val(g.op("Pow", size, _one(g, p)), x.dtype, x.shape)
    return g.op("Pow", reduce("ReduceSum")(g, powers, dim, keepdim), _one(g, 1 / p))


# ---------------------------------------------------------------------- products
symbol("matmul", "mm", "bmm", "mv", "dot", "vdot")(lambda g, a, b: g.op("MatMul", a, b))
symbol("outer", "ger")(lambda g, a, b: g.op("Mul", g.op("Unsqueeze", a, [1]), g.op("Unsqueeze", b, [0])))


@symbol("nn::linear")
def _linear(g: OnnxGraph, x: Val, weight: Val, bias: Val | None = None) -> str:
    if x.rank == 2 and bias is not None:
        return g.op("Gemm", x, weight, bias, transB=1)
    out = g.op("MatMul", x, g.op("Transpose", weight, perm=[1, 0]))
    return out if bias is None else g.op("Add", out, bias)


@symbol("addmm", "baddbmm", "addmv")
def _addmm(g: OnnxGraph, add: Val, a: Val, b: Val, beta: float = 1, alpha: float = 1) -> str:
    return g.op("Add", _scaled(g, add, beta), _scaled(g, g.op("MatMul", a, b), alpha))


@symbol("addr")
def _addr(g: OnnxGraph, add: Val, a: Val, b: Val, beta: float = 1, alpha: float = 1) -> str:
    product = g.op("Mul", g.op("Unsqueeze", a, [1]), g.op("Unsqueeze", b, [0]))
    return g.op("Add", _scaled(g, add, beta), _scaled(g, product, alpha))


@symbol("inner")
def _inner(g: OnnxGraph, a: Val, b: Val) -> str:
    if a.rank == 0 or b.rank == 0:
        return g.op("Mul", a, b)
    if b.rank > 2:
        raise NotImplementedError("inner products with more than two dimensions")
    return g.op("MatMul", a, b if b.rank == 1 else g.op("Transpose", b, perm=[1, 0]))


@symbol("einsum")
def _einsum(g: OnnxGraph, equation: str, operands: list[Val], *rest: Any) -> str:
    return g.op("Einsum", *operands, equation=equation)
