"""Arithmetic and functions of every element."""

from __future__ import annotations

from benchmarks.workload import both_ways, of_size, workload

GROUP = "elementwise"
SMALL, MIDDLE, LARGE = 10_000, 1_000_000, 50_000_000


def row(name, make, sizes=(MIDDLE,), target=1.0, **more):
    """One workload a size: `make(torch, a, b)`, of two random vectors, gives what is timed."""
    for size in sizes:
        of_size(GROUP, name, size, make, target, **more)


row("add", lambda torch, a, b: lambda: a + b, (SMALL, MIDDLE))
row("add", lambda torch, a, b: lambda: a + b, (LARGE,), 3)
row("mul by a number", lambda torch, a, b: lambda: a * 2.0, (SMALL, MIDDLE, LARGE))
row("exp", lambda torch, a, b: lambda: torch.exp(a), (SMALL, LARGE))
row("exp", lambda torch, a, b: lambda: torch.exp(a), target=2.5)
row("tanh", lambda torch, a, b: lambda: torch.tanh(a), (SMALL,))
row("tanh", lambda torch, a, b: lambda: torch.tanh(a), target=2.5)
row("gelu", lambda torch, a, b: lambda: torch.nn.functional.gelu(a), (SMALL, MIDDLE, LARGE))
row("gelu tanh", lambda torch, a, b: lambda: torch.nn.functional.gelu(a, approximate="tanh"))
row("relu", lambda torch, a, b: lambda: torch.relu(a), (SMALL, MIDDLE, LARGE))
row("clamp", lambda torch, a, b: lambda: a.clamp(0.2, 0.8), (SMALL, MIDDLE))
row("sub", lambda torch, a, b: lambda: a - b)
row("div", lambda torch, a, b: lambda: a / b, (SMALL, MIDDLE))
row("neg", lambda torch, a, b: lambda: -a)
row("abs", lambda torch, a, b: lambda: (a - 0.5).abs())
row("sqrt", lambda torch, a, b: lambda: torch.sqrt(a))
row("rsqrt", lambda torch, a, b: lambda: torch.rsqrt(a + 0.1))
row("reciprocal", lambda torch, a, b: lambda: torch.reciprocal(a + 0.1))
row("square", lambda torch, a, b: lambda: a**2)
row("a ** 3", lambda torch, a, b: lambda: a**3)
row("a ** 0.3", lambda torch, a, b: lambda: a**0.3)
row("a ** b", lambda torch, a, b: lambda: a**b)
row("log", lambda torch, a, b: lambda: torch.log(a), (SMALL, MIDDLE))
row("log1p", lambda torch, a, b: lambda: torch.log1p(a))
row("expm1", lambda torch, a, b: lambda: torch.expm1(a))
row("sin", lambda torch, a, b: lambda: torch.sin(a))
row("cos", lambda torch, a, b: lambda: torch.cos(a))
row("atan2", lambda torch, a, b: lambda: torch.atan2(a, b))
row("erf", lambda torch, a, b: lambda: torch.erf(a))
row("erfc", lambda torch, a, b: lambda: torch.erfc(a))
row("sigmoid", lambda torch, a, b: lambda: torch.sigmoid(a), (SMALL, MIDDLE))
row("silu", lambda torch, a, b: lambda: torch.nn.functional.silu(a))
row("elu", lambda torch, a, b: lambda: torch.nn.functional.elu(a))
row("atanh", lambda torch, a, b: lambda: torch.atanh(a * 0.99))
row("asin", lambda torch, a, b: lambda: torch.asin(a))
row("isin of ten", lambda torch, a, b: (lambda few: lambda: torch.isin(a, few))(a[:10].clone()))
row("special.i1e", lambda torch, a, b: lambda: torch.special.i1e(a))
row("special.ndtri", lambda torch, a, b: lambda: torch.special.ndtri(a * 0.98 + 0.01))
row("erfinv", lambda torch, a, b: lambda: torch.erfinv(a * 0.99))
row("lgamma", lambda torch, a, b: lambda: torch.lgamma(a + 0.5))
row("digamma", lambda torch, a, b: lambda: torch.digamma(a + 0.5))
row("nextafter", lambda torch, a, b: lambda: torch.nextafter(a, b))
row("softplus", lambda torch, a, b: lambda: torch.nn.functional.softplus(a))
row("leaky_relu", lambda torch, a, b: lambda: torch.nn.functional.leaky_relu(a - 0.5, 0.1))
row("hardswish", lambda torch, a, b: lambda: torch.nn.functional.hardswish(a))
row("floor", lambda torch, a, b: lambda: torch.floor(a))
row("round", lambda torch, a, b: lambda: torch.round(a))
row("remainder", lambda torch, a, b: lambda: a % 0.3, tolerance=2e-3)
row("floor_divide", lambda torch, a, b: lambda: a // 0.3, tolerance=2e-3)
row("maximum", lambda torch, a, b: lambda: torch.maximum(a, b))
row("lerp", lambda torch, a, b: lambda: torch.lerp(a, b, 0.3))
row("addcmul", lambda torch, a, b: lambda: torch.addcmul(a, a, b, value=0.5))
row("add with alpha", lambda torch, a, b: lambda: torch.add(a, b, alpha=0.5))
row("in-place mul_", lambda torch, a, b: lambda: a.mul_(1.0))
row("in-place add_", lambda torch, a, b: lambda: a.add_(b, alpha=0.0))
row("a > b", lambda torch, a, b: lambda: a > b, (SMALL, MIDDLE))
row("a == 0.5", lambda torch, a, b: lambda: a == 0.5)
row("isnan", lambda torch, a, b: lambda: torch.isnan(a))
row("isfinite", lambda torch, a, b: lambda: torch.isfinite(a))
row("mask & mask", lambda torch, a, b: (lambda m, n: lambda: m & n)(a > 0.5, b > 0.5), (SMALL, MIDDLE))
row("where", lambda torch, a, b: (lambda m: lambda: torch.where(m, a, b))(a > b), (SMALL, MIDDLE, LARGE))
row("where with a number", lambda torch, a, b: (lambda m: lambda: torch.where(m, a, 0.0))(a > b))
row("masked_fill", lambda torch, a, b: (lambda m: lambda: a.masked_fill(m, 0.0))(a > b))
row("every second of both", lambda torch, a, b: lambda: a[::2] + b[::2])
row("mse_loss", lambda torch, a, b: lambda: torch.nn.functional.mse_loss(a, b))
row("bce with logits", lambda torch, a, b: lambda: torch.nn.functional.binary_cross_entropy_with_logits(a, b))
row("smooth_l1_loss", lambda torch, a, b: lambda: torch.nn.functional.smooth_l1_loss(a, b))


# ---------------------------------------------------------------- other dtypes
def typed(name, dtype, make, tolerance=1e-3):
    """A workload on a million elements of another type."""

    @workload(GROUP, f"{dtype} {name}, 1e6", tolerance=tolerance)
    def prepare(torch):
        kind = getattr(torch, dtype)
        if kind.is_floating_point:
            a, b = torch.rand(MIDDLE).to(kind), torch.rand(MIDDLE).to(kind)
        elif kind.is_complex:
            a, b = torch.randn(MIDDLE, dtype=kind), torch.randn(MIDDLE, dtype=kind)
        else:
            a, b = torch.randint(1, 100, (MIDDLE,), dtype=kind), torch.randint(1, 100, (MIDDLE,), dtype=kind)
        return make(torch, a, b)


for dtype in ("float16", "bfloat16"):
    typed("add", dtype, lambda torch, a, b: lambda: a + b)
    typed("mul by a number", dtype, lambda torch, a, b: lambda: a * 2.0)
    typed("exp", dtype, lambda torch, a, b: lambda: torch.exp(a))
    typed("gelu", dtype, lambda torch, a, b: lambda: torch.nn.functional.gelu(a))
    typed("relu", dtype, lambda torch, a, b: lambda: torch.relu(a))
    typed("a > b", dtype, lambda torch, a, b: lambda: a > b)
    typed("asin", dtype, lambda torch, a, b: lambda: torch.asin(a))
    typed("to float32", dtype, lambda torch, a, b: lambda: a.float())
for dtype in ("int64", "int32", "uint8"):
    typed("add", dtype, lambda torch, a, b: lambda: a + b)
    typed("mul by a number", dtype, lambda torch, a, b: lambda: a * 2)
    typed("a > b", dtype, lambda torch, a, b: lambda: a > b)
    typed("to float32", dtype, lambda torch, a, b: lambda: a.float())
    typed("floor_divide", dtype, lambda torch, a, b: lambda: a // b)
typed("remainder by a number", "int64", lambda torch, a, b: lambda: a % 7)
typed("true division", "int64", lambda torch, a, b: lambda: a / b)
typed("maximum", "int64", lambda torch, a, b: lambda: torch.maximum(a, b))
typed("shift", "int64", lambda torch, a, b: lambda: a << 2)
typed("add", "float64", lambda torch, a, b: lambda: a + b)
typed("exp", "float64", lambda torch, a, b: lambda: torch.exp(a))
typed("tanh", "float64", lambda torch, a, b: lambda: torch.tanh(a))
for dtype in ("complex64", "complex128"):
    typed("add", dtype, lambda torch, a, b: lambda: a + b)
    typed("mul", dtype, lambda torch, a, b: lambda: a * b)
    typed("div", dtype, lambda torch, a, b: lambda: a / b, tolerance=1e-2)
    typed("abs", dtype, lambda torch, a, b: lambda: a.abs())
    typed("exp", dtype, lambda torch, a, b: lambda: torch.exp(a))
typed("angle", "complex64", lambda torch, a, b: lambda: a.angle())
typed("conj", "complex64", lambda torch, a, b: lambda: a.conj().resolve_conj())
typed("to float16", "float64", lambda torch, a, b: lambda: a.half())
row("polar", lambda torch, a, b: lambda: torch.polar(a, b))
row("to float64", lambda torch, a, b: lambda: a.double())
row("to float16", lambda torch, a, b: lambda: a.half())
row("to bfloat16", lambda torch, a, b: lambda: a.bfloat16())
row("to int64", lambda torch, a, b: lambda: a.long())
row("bool to float32", lambda torch, a, b: (lambda m: lambda: m.float())(a > b))


# ---------------------------------------------------------------- broadcasting
def of_matrix(name, make):
    """A workload on a matrix of 1000 x 1000 random floats."""

    @workload(GROUP, f"{name}, 1000x1000")
    def prepare(torch):
        return make(torch, torch.rand(1000, 1000))


of_matrix("a + row", lambda torch, a: (lambda r: lambda: a + r)(a[0].clone()))
of_matrix("a + column", lambda torch, a: (lambda c: lambda: a + c)(a[:, :1].clone()))
of_matrix("row * column", lambda torch, a: (lambda r, c: lambda: r * c)(a[0].clone(), a[:, :1].clone()))
of_matrix("a + a.t()", lambda torch, a: lambda: a + a.t())
of_matrix("a.t() * 2.0", lambda torch, a: lambda: a.t() * 2.0)


@workload(GROUP, "a * channel, 32x64x28x28")
def channels(torch):
    a, scale = torch.rand(32, 64, 28, 28), torch.rand(64, 1, 1)
    return lambda: a * scale


@workload(GROUP, "a + bias, 100000x10")
def narrow(torch):
    a, bias = torch.rand(100_000, 10), torch.rand(10)
    return lambda: a + bias


# ---------------------------------------------------------------- forward and backward
def both(name, function):
    """Forward and backward of a function of a million floats."""

    @workload(GROUP, f"{name} both ways, 1e6")
    def prepare(torch):
        return both_ways(torch, torch.rand(MIDDLE), lambda x: function(torch, x))


both("tanh", lambda torch, x: torch.tanh(x))
both("gelu", lambda torch, x: torch.nn.functional.gelu(x))
both("silu", lambda torch, x: torch.nn.functional.silu(x))
both("relu", lambda torch, x: torch.relu(x))
both("exp", lambda torch, x: torch.exp(x))
both("x * x + x", lambda torch, x: x * x + x)
both("x / (1 + x)", lambda torch, x: x / (1 + x))
