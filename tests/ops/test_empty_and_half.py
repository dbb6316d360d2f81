"""Inputs without elements or dimensions, and of small types: values and errors are PyTorch 2.13's."""

import math

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .compare import same

NAN, INF = math.nan, math.inf


def test_batch_norm_of_an_empty_vector():
    for dtype in (fb.float32, fb.bfloat16):
        x = fb.zeros(0, dtype=dtype, requires_grad=True)
        y = F.batch_norm(x, fb.zeros(0, dtype=dtype), fb.ones(0, dtype=dtype))
        y.sum().backward()
        assert x.grad.shape == (0,)


def test_slopes_of_rrelu_are_its_gradient():
    fb.manual_seed(0)
    x = fb.randn(6, requires_grad=True)
    y = F.rrelu(x, training=True)
    (g,) = fb.autograd.grad(y.sum(), x)
    assert fb.allclose(g * x, y)
    same(g, [1.0, 0.162210, 0.198147, 1.0, 0.246113, 0.185049])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: F.cross_entropy(fb.zeros(0, 5), fb.zeros(0, 5)), NAN),
        (lambda: F.cross_entropy(fb.zeros(0, 5), fb.zeros(0, 5), reduction="sum"), 0.0),
        (lambda: fb.tensor(2.0).mT, 2.0),
        (lambda: fb.kron(fb.tensor(2.0), fb.tensor(3.0)), 6.0),
        (
            lambda: F.grid_sample(fb.zeros(0, 3, 4, 4), fb.zeros(0, 2, 2, 2), align_corners=False).shape,
            [0, 3, 2, 2],
        ),
        (
            lambda: F.grid_sample(fb.zeros(2, 0, 4, 4), fb.zeros(2, 2, 2, 2), align_corners=False).shape,
            [2, 0, 2, 2],
        ),
        (lambda: fb.complex(fb.ones(2).half(), fb.ones(2).half()), [1 + 1j, 1 + 1j]),
        (lambda: F.hardtanh(fb.ones(2, dtype=fb.uint8), -0.5, 0.5), [0, 0]),
        (lambda: fb.trapezoid(fb.tensor([200, 200, 200], dtype=fb.uint8)), 528.0),
        (lambda: fb.trapezoid(fb.tensor([1.0, 5, 10]), dx=2), 21.0),
        (
            lambda: fb.zeros(2, 0, dtype=fb.bool) @ fb.zeros(0, 2, dtype=fb.bool),
            [[False, False], [False, False]],
        ),
    ],
)
def test_values(call, expected):
    same(call(), expected)


def test_gradients():
    a, b = fb.zeros((), requires_grad=True), fb.zeros((), requires_grad=True)
    fb.atan2(a, b).backward()
    assert a.grad == 0 and b.grad == 0
    x = fb.tensor([NAN, 1.0, -1.0, INF, -INF], requires_grad=True)
    same(fb.autograd.grad(F.elu(x).sum(), x)[0], [1.0, 1.0, 0.36787945, 1.0, 0.0])


def test_errors():
    with pytest.raises(RuntimeError, match="Got 1-D tensor"):
        _ = fb.ones(2).mT
    with pytest.raises(NotImplementedError, match="addmm_impl_cpu_"):
        fb.ones(1, 1, dtype=fb.bool) @ fb.ones(1, 1, dtype=fb.bool)
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        (fb.zeros(2, requires_grad=True) * 1).resize_(3)


@pytest.mark.parametrize(
    ("call", "dtype", "kind", "message"),
    [
        (
            fb.linalg.cholesky_ex,
            fb.int32,
            RuntimeError,
            "linalg.cholesky: Expected a floating point or complex",
        ),
        (fb.linalg.cholesky, fb.float16, NotImplementedError, "\"cholesky_cpu\" not implemented for 'Half'"),
        (fb.linalg.lu_factor, fb.int32, NotImplementedError, "\"lu_cpu\" not implemented for 'Int'"),
        (fb.linalg.eigh, fb.bool, NotImplementedError, "\"linalg_eigh_cpu\" not implemented for 'Bool'"),
        (
            fb.linalg.inv,
            fb.bfloat16,
            RuntimeError,
            "linalg.inv: Low precision dtypes not supported. Got BFloat16",
        ),
        (fb.linalg.det, fb.int32, RuntimeError, "linalg.det: Expected a floating point or complex"),
        (fb.linalg.qr, fb.int32, RuntimeError, "linalg.qr: Expected a floating point or complex"),
        (fb.linalg.svd, fb.float16, NotImplementedError, "\"linalg_svd_cpu\" not implemented for 'Half'"),
        (fb.argmax, fb.complex64, RuntimeError, "argmax(): does not support complex input"),
        (
            lambda t: t.logcumsumexp(0),
            fb.int32,
            NotImplementedError,
            '"logcumsumexp_out_cpu" not implemented',
        ),
        (lambda t: fb.bincount(t[0]), fb.float32, NotImplementedError, '"bincount_cpu" not implemented'),
    ],
)
def test_refused_types(call, dtype, kind, message):
    with pytest.raises(kind) as e:
        call((fb.eye(3) * 2 + 1).to(dtype))
    assert str(e.value).startswith(message)


# x op 0.9977 and the like: beside half values numbers are not rounded in products, quotients and lerp;
# exponents and the factors of sums are. Golden values of PyTorch.
_BESIDE = {
    fb.bfloat16: {
        "mul": [0.30078125, 0.7734375, 1.265625, -2.3125],
        "zero-dimensional first": [0.298828125, 0.76953125, 1.2578125, -2.296875],
        "div": [0.30078125, 0.7734375, 1.265625, -2.3125],
        "pow": [0.12890625, 0.64453125, 1.4921875, 4.15625],
        "add": [0.796875, -0.05419921875, 1.65625, 0.064453125],
        "sub": [-0.1962890625, 1.6015625, 0.87109375, -4.6875],
        "lerp": [0.43359375, 0.126953125, 1.03125, -0.42578125],
        "lerp by a tensor": [0.43359375, 0.1259765625, 1.03125, -0.423828125],
    },
    fb.float16: {
        "mul": [0.300048828125, 0.771484375, 1.2626953125, -2.306640625],
        "zero-dimensional first": [0.300048828125, 0.771484375, 1.2626953125, -2.306640625],
        "div": [0.300048828125, 0.771484375, 1.2626953125, -2.306640625],
        "pow": [0.129638671875, 0.64599609375, 1.4921875, 4.16015625],
        "add": [0.798828125, -0.05584716796875, 1.6611328125, 0.069580078125],
        "sub": [-0.1973876953125, 1.6025390625, 0.87060546875, -4.6953125],
        "lerp": [0.433837890625, 0.126953125, 1.0283203125, -0.425048828125],
        "lerp by a tensor": [0.433837890625, 0.1268310546875, 1.0283203125, -0.4248046875],
    },
}


@pytest.mark.parametrize("many", [1, 40])
@pytest.mark.parametrize("dtype", list(_BESIDE))
def test_numbers_beside_half_values(dtype, many):
    x = fb.tensor([0.30078125, 0.7734375, 1.265625, -2.3125], dtype=dtype).repeat(many)
    y = fb.tensor([0.69921875, -1.1640625, 0.5546875, 3.34375], dtype=dtype).repeat(many)
    expected = {k: fb.tensor(v, dtype=dtype).repeat(many) for k, v in _BESIDE[dtype].items()}
    single, double = fb.tensor(0.9977), fb.tensor(0.9977, dtype=fb.float64)
    out = fb.empty_like(x)
    fb.mul(x, 0.9977, out=out)
    strided = fb.stack([x, y], 1)[:, 0] * 0.9977
    products = [x * 0.9977, 0.9977 * x, x * single, x * double, x.clone().mul_(0.9977), out, strided]
    products += [*fb._foreach_mul([x], 0.9977), *fb.func.vmap(lambda v: v * 0.9977)(x.reshape(1, -1))]
    for p in products:
        assert fb.equal(p, expected["mul"])
    assert fb.equal(single * x, expected["zero-dimensional first"])
    for q in (x / 1.0023, x / fb.tensor(1.0023), x.clone().div_(1.0023)):
        assert fb.equal(q, expected["div"])
    assert fb.equal(x.abs() ** 1.7, expected["pow"])
    assert fb.equal(x.add(y, alpha=0.7123), expected["add"])
    assert fb.equal(x.sub(y, alpha=0.7123), expected["sub"])
    assert fb.equal(fb.lerp(x, y, 0.3337), expected["lerp"])
    assert fb.equal(fb.lerp(x, y, fb.tensor(0.3337)), expected["lerp by a tensor"])
    special = fb.tensor([float("inf"), float("nan"), -0.0, 0.0], dtype=dtype) * -0.5
    assert str(special.tolist()) == "[-inf, nan, 0.0, -0.0]"


def test_weights_of_lerp_without_dimensions_may_be_of_any_type():
    x, y = fb.ones(2), fb.full((2,), 3.0)
    for w in (fb.tensor(0.5, dtype=fb.float64), fb.tensor(0.5, dtype=fb.bfloat16)):
        r = fb.lerp(x, y, w)
        assert r.dtype is fb.float32 and r.tolist() == [2, 2]
    assert fb.lerp(x, y, fb.tensor(1)).tolist() == [3, 3]
    w = fb.tensor(0.5, dtype=fb.float64, requires_grad=True)
    (g,) = fb.autograd.grad(fb.lerp(x, y, w).sum(), w)
    assert g.dtype is fb.float64 and g.item() == 4
    with pytest.raises(RuntimeError, match="for `weight` but got dtype double"):
        fb.lerp(x, y, fb.tensor([0.5], dtype=fb.float64))


def test_tensors_on_the_cpu_have_no_number_of_a_device():
    cpu = fb.device("cpu")
    assert fb.device("cpu:0") != cpu and str(fb.device("cpu:0")) == "cpu:0"
    a = fb.empty(2, device="cpu:0").fill_(1)
    b = fb.ones(2)
    for t in (
        a,
        a + b,
        a.add_(b),
        fb.ones(2).to("cpu:0"),
        fb.linspace(0, 1, 3, device="cpu:1"),
        a.clone(),
        a[0],
    ):
        assert t.device == cpu
    assert fb.tensor([1.0], device="cpu:0").device == cpu and fb.fft.fftfreq(3, device="cpu:0").device == cpu
    assert fb.nn.Linear(2, 2, device="cpu:0")(b).device == cpu
    assert fb.empty(1, device="meta:0").device == fb.device("meta")
    with fb.device("cpu:0"):
        assert fb.ones(1).device == cpu


@pytest.mark.parametrize(("dtype", "total"), [(fb.float16, 152.11962890625), (fb.bfloat16, 152.181640625)])
def test_a_number_over_half_values_is_not_rounded_to_their_type(dtype, total):
    x = (fb.arange(1, 200) / 7).to(dtype)
    assert (3.7 / x).double().sum().item() == total  # PyTorch's, to the last bit
