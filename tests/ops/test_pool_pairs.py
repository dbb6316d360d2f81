"""Windows of two neighbours over plain float pictures agree with the same in double, which go another way."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

SIZES = [
    (2, 3, 8, 8),
    (2, 9, 7, 9),
    (1, 4, 33, 70),
    (3, 20, 28, 28),
    (5, 6, 64),
    (2, 3, 4, 6, 34),
    (3, 5, 40),
    (2, 2),
]
POOLS = {
    "max": [F.max_pool1d, F.max_pool2d, F.max_pool3d],
    "average": [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d],
}


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", SIZES)
def test_both_ways(size, kind, ceil):
    dims = max(1, len(size) - 2)
    pool, generator = POOLS[kind][dims - 1], fb.Generator().manual_seed(3)
    for window in (2, (3,) * (dims - 1) + (2,)):
        x = fb.randn(size, generator=generator)
        x[..., 0] = x[..., 1]  # the first of equal ones counts
        if dims > 1 and size[-2] < 3 and window != 2:
            continue
        found, wanted = x.clone().requires_grad_(), x.double().requires_grad_()
        a, b = pool(found, window, ceil_mode=ceil), pool(wanted, window, ceil_mode=ceil)
        g = fb.randn(b.shape, generator=generator)
        a.backward(g)
        b.backward(g.double())
        assert fb.allclose(a.double(), b, atol=1e-6)
        assert fb.allclose(found.grad.double(), wanted.grad, atol=1e-6)
        assert a.is_contiguous()


def test_given_divisor():
    x = fb.arange(32.0).reshape(1, 2, 4, 4).requires_grad_()
    y = F.avg_pool2d(x, 2, divisor_override=3)
    assert fb.allclose(y, F.avg_pool2d(x.double(), 2, divisor_override=3).float())
    y.sum().backward()
    assert fb.allclose(x.grad, fb.full_like(x, 1 / 3))


def test_nan_and_infinity():
    x = fb.randn(1, 1, 4, 40)
    x[0, 0, 0, 3] = float("nan")
    x[0, 0, 2:, 4:6] = -float("inf")
    x.requires_grad_()
    y = F.max_pool2d(x, 2)
    y.sum().backward()
    assert y[0, 0, 0, 1].isnan() and y[0, 0, 1, 2] == -float("inf")
    assert x.grad[0, 0, 0, 3] == 1 and x.grad[0, 0, 2, 4] == 1 and x.grad.sum() == y.numel()


def test_a_view_that_begins_within_another():
    x = fb.randn(3, 2, 6, 38)
    assert fb.equal(F.max_pool2d(x[1:], 2), F.max_pool2d(x[1:].clone(), 2))
    assert fb.allclose(F.avg_pool2d(x[2], 2), F.avg_pool2d(x, 2)[2])


def test_second_derivative():
    x = fb.randn(1, 2, 4, 6, dtype=fb.float64).float().requires_grad_()
    (g,) = fb.autograd.grad((F.avg_pool2d(x, 2) ** 3).sum(), x, create_graph=True)
    (found,) = fb.autograd.grad(g.sum(), x)
    wanted = F.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) * 6 / 4
    assert fb.allclose(found, wanted.detach(), atol=1e-5)
