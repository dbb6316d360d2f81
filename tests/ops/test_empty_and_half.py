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
