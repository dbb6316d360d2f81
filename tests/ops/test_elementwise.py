"""Elementwise operations: accuracy, special values, integer rules, strides and the three instruction sets."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb

INF, NAN = math.inf, math.nan
ELEMENTARY = {  # name -> (reference in higher precision, interval)
    "exp": (np.exp, (-87, 88)),
    "exp2": (np.exp2, (-126, 127)),
    "expm1": (np.expm1, (-20, 88)),
    "log": (np.log, (1e-30, 1e30)),
    "log2": (np.log2, (1e-30, 1e30)),
    "log10": (np.log10, (1e-30, 1e30)),
    "log1p": (np.log1p, (-0.999, 1e6)),
    "sin": (np.sin, (-1e5, 1e5)),
    "cos": (np.cos, (-1e5, 1e5)),
    "tan": (np.tan, (-100, 100)),
    "asin": (np.arcsin, (-1, 1)),
    "acos": (np.arccos, (-1, 1)),
    "atan": (np.arctan, (-50, 50)),
    "sinh": (np.sinh, (-80, 80)),
    "cosh": (np.cosh, (-80, 80)),
    "tanh": (np.tanh, (-12, 12)),
    "asinh": (np.arcsinh, (-1e6, 1e6)),
    "acosh": (np.arccosh, (1, 1e6)),
    "atanh": (np.arctanh, (-0.9999, 0.9999)),
    "sqrt": (np.sqrt, (0, 1e30)),
}


def points(interval, count=2003):
    rng = np.random.default_rng(7)
    lo, hi = interval
    spread = rng.uniform(lo, hi, count)
    return np.concatenate([spread, np.clip(rng.normal(size=count), lo, hi)])


@pytest.mark.parametrize("name", ELEMENTARY)
def test_float_is_within_two_units(name):
    reference, interval = ELEMENTARY[name]
    x = points(interval).astype(np.float32)
    got = getattr(fb, name)(fb.from_numpy(x)).numpy()
    want = reference(x.astype(np.float64))
    unit = np.spacing(np.abs(want.astype(np.float32))).astype(np.float64)
    units = np.abs(got.astype(np.float64) - want) / unit
    assert units.max() <= 2


@pytest.mark.parametrize("name", ELEMENTARY)
def test_double_is_close(name):
    reference, interval = ELEMENTARY[name]
    x = points(interval)
    got = getattr(fb, name)(fb.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, reference(x), rtol=2e-15, atol=1e-300)


@pytest.mark.parametrize("name", ["exp", "tanh", "sin", "neg", "floor", "isnan", "sigmoid"])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_every_length_and_stride_gives_the_same(name, dtype):
    function = getattr(fb, name)
    base = fb.linspace(-3, 3, 2400).to(dtype)
    whole = function(base)
    for n in (1, 2, 7, 8, 15, 16, 17, 31, 33, 511, 513):
        assert fb.equal(function(base[:n]), whole[:n])
        assert fb.equal(function(base[: 2 * n : 2]), whole[: 2 * n : 2])
    assert fb.equal(function(base.view(40, 60).t()), whole.view(40, 60).t())
    assert fb.equal(function(base[:1].expand(700)), whole[:1].expand(700))


def same(got, want):
    """Equal lists of numbers, NaN and the sign of zero included."""
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b)), (got, want)


@pytest.mark.parametrize(
    "name, want",
    [
        ("exp", [NAN, INF, 0.0, 1.0, 1.0]),
        ("expm1", [NAN, INF, -1.0, 0.0, -0.0]),
        ("log", [NAN, INF, NAN, -INF, -INF]),
        ("log1p", [NAN, INF, NAN, 0.0, -0.0]),
        ("sqrt", [NAN, INF, NAN, 0.0, -0.0]),
        ("sin", [NAN, NAN, NAN, 0.0, -0.0]),
        ("cos", [NAN, NAN, NAN, 1.0, 1.0]),
        ("tanh", [NAN, 1.0, -1.0, 0.0, -0.0]),
        ("asinh", [NAN, INF, -INF, 0.0, -0.0]),
        ("erf", [NAN, 1.0, -1.0, 0.0, -0.0]),
        ("sigmoid", [NAN, 1.0, 0.0, 0.5, 0.5]),
        ("floor", [NAN, INF, -INF, 0.0, -0.0]),
        ("sign", [0.0, 1.0, -1.0, 0.0, 0.0]),
        ("reciprocal", [NAN, 0.0, -0.0, INF, -INF]),
    ],
)
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_special_values(name, want, dtype):
    got = getattr(fb, name)(fb.tensor([NAN, INF, -INF, 0.0, -0.0], dtype=dtype)).tolist()
    if name == "atan":
        got = [round(v, 5) for v in got]
    same(got, want)


def test_rounding():
    x = fb.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6])
    same(x.round().tolist(), [-2, -2, -0.0, 0, 2, 2, 3])
    same(x.trunc().tolist(), [-2, -1, -0.0, 0, 1, 2, 2])
    same(x.ceil().tolist(), [-2, -1, -0.0, 1, 2, 3, 3])
    assert fb.tensor([2345.0, 1550, 1650]).round(decimals=-2).tolist() == [2300, 1600, 1600]


def test_integer_division_and_remainder():
    a, b = fb.tensor([5, -5, 5, -5]), fb.tensor([3, 3, -3, -3])
    assert (a // b).tolist() == [1, -2, -2, 1]
    assert (a % b).tolist() == [2, 1, -1, -2]
    assert fb.fmod(a, b).tolist() == [2, -2, 2, -2]
    assert fb.div(a, b, rounding_mode="trunc").tolist() == [1, -1, -1, 1]
    for broken in (lambda: a // 0, lambda: a % fb.tensor([1, 0, 1, 1]), lambda: fb.fmod(a, 0)):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            broken()


def test_float_division_and_remainder():
    a = fb.tensor([1.0, -1, 0, INF, NAN, 5, -5])
    same((a // 0.0).tolist(), [INF, -INF, NAN, INF, NAN, INF, -INF])
    same((a % INF).tolist(), [1, INF, 0, NAN, NAN, 5, INF])
    same((a // -INF).tolist(), [-1, 0, -0.0, NAN, NAN, -1, 0])
    assert (fb.tensor([1.0]) // 0.1).item() == 9  # the exact quotient lies below 10
    big, small = fb.tensor([1e30], dtype=fb.float64), fb.tensor([0.7], dtype=fb.float64)
    assert fb.fmod(big, small).item() == math.fmod(1e30, 0.7)


def test_integers_wrap_and_shift():
    assert (fb.tensor([2**31 - 1], dtype=fb.int32) + 1).item() == -(2**31)
    assert fb.tensor([-128], dtype=fb.int8).abs().item() == -128
    assert (fb.tensor([1, 2]) << fb.tensor([64, -1])).tolist() == [0, 0]
    assert (fb.tensor([-8, 8]) >> fb.tensor([64, -1])).tolist() == [-1, 0]
    assert fb.gcd(fb.tensor([-12, 0, 7]), fb.tensor([18, 0, 0])).tolist() == [6, 0, 7]
    assert fb.lcm(fb.tensor([-12, 0]), fb.tensor([18, 5])).tolist() == [36, 0]
    assert (fb.tensor([2, -1, 1, 3]) ** fb.tensor([-1, -3, -5, 40])).tolist() == [
        0,
        -1,
        1,
        -6289078614652622815,
    ]
    with pytest.raises(RuntimeError, match="Integers to negative integer powers"):
        fb.tensor([2]) ** -1


def test_powers():
    x = fb.tensor([0.0, -0.0, -8.0, -INF, 2.0])
    same(fb.pow(x, 1 / 3).tolist(), [0, 0, NAN, INF, fb.tensor(2 ** (1 / 3)).item()])
    same(fb.pow(x, -1.0).tolist(), [INF, -INF, -0.125, -0.0, 0.5])
    same(fb.pow(fb.tensor([1.0, NAN, -1.0]), fb.tensor([NAN, 0.0, INF])).tolist(), [1, 1, 1])
    assert fb.float_power(fb.tensor([3]), 2).dtype is fb.float64


def test_extremes_and_nan():
    a, b = fb.tensor([NAN, 1.0, NAN, 2.0]), fb.tensor([1.0, NAN, NAN, 3.0])
    same(fb.maximum(a, b).tolist(), [NAN, NAN, NAN, 3])
    same(fb.fmax(a, b).tolist(), [1, 1, NAN, 3])
    same(
        fb.clamp(fb.tensor([NAN, 1.0, 5.0]), fb.tensor([0.0, NAN, 6.0]), fb.tensor([1.0, 2.0, 3.0])).tolist(),
        [NAN, NAN, 3],
    )
    same(fb.heaviside(fb.tensor([NAN, -1.0, 0.0, 2.0]), fb.tensor(7.0)).tolist(), [0, 0, 7, 1])
    same(fb.xlogy(fb.tensor([0.0, 0, 2]), fb.tensor([NAN, 0, 0])).tolist(), [NAN, 0, -INF])
    same(fb.logaddexp(fb.tensor([INF, -INF, 0]), fb.tensor([INF, -INF, -INF])).tolist(), [INF, -INF, 0])


def test_half_is_computed_in_float_and_rounded_once():
    x = fb.tensor([1.0, 2049.0], dtype=fb.float32).half()
    assert (x + 1).dtype is fb.float16
    y = fb.tensor([300.0], dtype=fb.float16)
    assert y.square().sqrt().item() == INF  # each step is stored as half
    assert fb.nextafter(fb.tensor([1.0]).bfloat16(), fb.tensor([2.0]).bfloat16()).item() == 1.0078125
    assert fb.nextafter(fb.tensor([0.0]).half(), fb.tensor([-1.0]).half()).item() == -(2.0**-24)


def test_conversion_follows_the_processor():
    x = fb.tensor([300.7, -1.0, -300.0, 70000.0, 3e9, NAN])
    assert x.to(fb.uint8).tolist() == [44, 255, 212, 112, 0, 0]
    assert x.to(fb.int16).tolist() == [300, -1, -300, 4464, 0, 0]
    assert x.to(fb.int32).tolist()[3:] == [70000, -(2**31), -(2**31)]
    assert x.to(fb.bool).tolist() == [True] * 6
    assert fb.tensor([1e20]).to(fb.int64).item() == -(2**63)
    assert fb.tensor([1 + 2j]).to(fb.bool).item() is True


def test_complex():
    z = fb.tensor([3 + 4j, 0j])
    assert z.abs().tolist() == [5, 0]
    assert fb.sgn(z)[1].item() == 0
    assert (fb.tensor([1 + 2j]) ** 2).item() == -3 + 4j
    assert abs((fb.tensor([1 + 1j]) / fb.tensor([1 - 1j])).item() - 1j) < 1e-7
    tiny = fb.tensor([1e-20 + 1e-20j], dtype=fb.complex128)
    assert fb.log1p(tiny).item() == fb.expm1(tiny).item() == 1e-20 + 1e-20j
    z.real.fill_(7)  # parts are views
    assert z[0].item() == 7 + 4j


@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda: -fb.tensor([True]),
            RuntimeError,
            "Negation, the `-` operator, on a bool tensor is not supported.",
        ),
        (lambda: fb.ceil(fb.tensor([1j])), NotImplementedError, "ceil is not supported for complex inputs"),
        (
            lambda: fb.erf(fb.tensor([1j])),
            NotImplementedError,
            "\"erf_vml_cpu\" not implemented for 'ComplexFloat'",
        ),
        (
            lambda: fb.bitwise_and(fb.ones(2), fb.ones(2)),
            NotImplementedError,
            "\"bitwise_and_cpu\" not implemented for 'Float'",
        ),
        (
            lambda: fb.clamp(fb.ones(2)),
            RuntimeError,
            "torch.clamp: At least one of 'min' or 'max' must not be None",
        ),
        (
            lambda: fb.heaviside(fb.ones(2), fb.ones(2).double()),
            RuntimeError,
            "heaviside is not yet implemented for tensors with different dtypes.",
        ),
        (
            lambda: fb.arange(3).sqrt_(),
            RuntimeError,
            "result type Float can't be cast to the desired output type Long",
        ),
        (lambda: fb.isclose(fb.ones(1), fb.ones(1).double()), RuntimeError, "Float did not match Double"),
        (
            lambda: fb.lerp(fb.ones(1), fb.ones(1).double(), 0.5),
            RuntimeError,
            "expected dtype float for `end` but got dtype double",
        ),
        (
            lambda: fb.complex(fb.ones(1), fb.ones(1).double()),
            RuntimeError,
            "Expected object of scalar type Float but got scalar type Double for second argument",
        ),
        (
            lambda: fb.div(fb.ones(1), 2, rounding_mode="up"),
            RuntimeError,
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found 'up'",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0].startswith(text)


LEVEL_SCRIPT = """
import flambeau as fb
x = fb.linspace(-4, 4, 1001)
y = fb.linspace(0.1, 9, 1001)
for v in (x, x.double(), x.half(), x.bfloat16()):
    w = y.to(v.dtype)
    print(*[f"{r.double().sum().item():.5g}" for r in (
        v.exp(), v.tanh(), v.sin(), v.erf(), w.log(), v.sigmoid(), v.floor(), v.round(), v + w, v % w,
            v // w, w ** v,
        (v < w), fb.atan2(v, w), fb.nn.functional.gelu(v))])
"""


def run_level(level):
    env = {**os.environ, "FLAMBEAU_CPU": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    lines = subprocess.run(
        [sys.executable, "-c", LEVEL_SCRIPT], env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [[float(v) for v in line.split()] for line in lines]


def test_the_instruction_set_in_use_is_named():
    env = {**os.environ, "FLAMBEAU_CPU": "baseline", "PYTHONPATH": os.pathsep.join(sys.path)}
    program = "import flambeau as fb; print(fb.backends.cpu.get_cpu_capability())"
    named = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert named.stdout.strip() == "DEFAULT"


def test_instruction_sets_agree():
    best = run_level("")
    for level in ("baseline", "avx2"):
        for line, reference in zip(run_level(level), best, strict=True):
            assert line == pytest.approx(reference, rel=2e-4, abs=1e-2)


@pytest.mark.parametrize(
    "shape, order",
    [((70, 2100), (1, 0)), ((64, 256), (1, 0)), ((2, 65, 5, 512), (0, 3, 2, 1)), ((2100, 33), (1, 0))],
)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "complex128"])
def test_operands_across_memory(shape, order, dtype):
    """Large transposed operands go through small squares."""
    a = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    turned = fb.from_numpy(a).permute(*order)
    want = np.ascontiguousarray(a.transpose(order))
    assert np.array_equal(turned.contiguous().numpy(), want)
    assert np.array_equal((fb.from_numpy(want) + turned).numpy(), want + want)


def test_in_place_between_interleaved_columns():
    x = fb.arange(15.0).reshape(3, 5)
    x[:, 2:4] -= x[:, :2]
    assert x.tolist() == [[0, 1, 2, 2, 4], [5, 6, 2, 2, 9], [10, 11, 2, 2, 14]]
    line = fb.arange(6.0)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        line[1:] -= line[:-1]


def test_division_of_whole_numbers_near_what_doubles_hold():
    big = [2**50 - 1, 2**50, -(2**50) - 1, 2**62 + 1, -(2**63), 2**53 + 1, -7, 7, 0]
    small = [3, -3, 7, -(2**31), 2**40 + 1, -1, 2, -2, 5]
    a, b = fb.tensor(big), fb.tensor(small)
    wrap = lambda v: (v + 2**63) % 2**64 - 2**63  # noqa: E731
    assert (a // b).tolist() == [wrap(x // y) for x, y in zip(big, small, strict=True)]
    assert (a % b).tolist() == [x % y for x, y in zip(big, small, strict=True)]
    c = fb.arange(256, dtype=fb.uint8)
    for d in (1, 3, 7, 255):
        assert (c // d).tolist() == [x // d for x in range(256)]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        a // fb.tensor([1] * 8 + [0])


def test_bfloat16_of_every_length_is_rounded_once():
    for n in (1, 15, 31, 32, 33, 65):
        x = fb.arange(n).float() * 0.37 - 3
        h = x.bfloat16()
        assert (h * 1.75).equal((h.float() * 1.75).bfloat16())
        assert (h + h.flip(0)).equal((h.float() + h.flip(0).float()).bfloat16())


def test_erfc_of_small_and_large_numbers():
    x = fb.tensor([-3.0, -0.25, 0.0, 0.25, 0.5, 2.0, 5.0, 9.0])
    known = [1.9999779, 1.2763264, 1.0, 0.72367361, 0.47950012, 4.6777350e-3, 1.5374597e-12, 4.1370317e-37]
    assert fb.allclose(fb.erfc(x), fb.tensor(known), rtol=1e-6, atol=0)


def test_exponential_of_complex_infinities_and_long_vectors():
    z = fb.tensor([complex(0, i) for i in range(19)], dtype=fb.complex128)
    assert fb.allclose(fb.exp(z).abs(), fb.ones(19, dtype=fb.float64))
    inf = float("inf")
    assert fb.exp(fb.tensor([complex(-inf, inf), complex(inf, 0)], dtype=fb.complex128)).tolist() == [
        0,
        complex(inf, 0),
    ]


@pytest.mark.parametrize("dtype", [fb.complex64, fb.complex128])
def test_complex_quotients_in_registers(dtype):
    """Of every length, so that whole registers and the rest agree."""
    near = 3e-7 if dtype == fb.complex64 else 1e-15
    z = [complex(x, y) for x, y in zip((-1.5, -0.75, 0, 0.75, 1.5), (2, 1.25, 0.5, -0.25, -1))]
    sigmoids = [
        -0.04984258297024425 + 0.234807340416369j,
        0.24462302867345226 + 0.29471468658553107j,
        0.5 + 0.12767096061051814j,
        0.6816394883625617 - 0.054648442422025774j,
        0.8680420852755953 - 0.145446730914809j,
    ]
    for n in (1, 3, 8, 16, 21, 37):
        x = fb.tensor((z * 8)[:n], dtype=dtype)
        for got, wanted in ((x.sigmoid(), sigmoids), (x.reciprocal(), [1 / v for v in z])):
            assert all(abs(g - w) <= near * abs(w) for g, w in zip(got.tolist(), wanted * 8))
    edges = fb.tensor(
        [complex(800, 1), complex(-1000, 0), complex(1, math.nan), complex(-800, 1)], dtype=dtype
    )
    assert edges.sigmoid()[:2].tolist() == [1, 0] and edges.sigmoid()[2:].isnan().all()
    assert fb.tensor([complex(1e38, 1e38)], dtype=dtype).reciprocal().abs().item() > 0
