"""Gradients of piecewise linear operators depend on their arguments; the derivative is zero, not absent."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

CLASSES = fb.tensor([0, 1, 2, 3])
OPERATORS = {
    "relu": F.relu,
    "relu_": lambda x: F.relu_(x.clone()),
    "leaky_relu": F.leaky_relu,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "threshold": lambda x: F.threshold(x, 0.1, 2.0),
    "hardsigmoid": F.hardsigmoid,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "rrelu": lambda x: F.rrelu(x, training=False),
    "prelu": lambda x: F.prelu(x, fb.tensor([0.25])),
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "max_pool2d": lambda x: F.max_pool2d(x[None], 2),
    "max_pool2d with indices": lambda x: F.max_pool2d(x[None], 2, return_indices=True)[0],
    "max_pool3d": lambda x: F.max_pool3d(x[None, None], 2),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x[None], 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x[None], 2),
    "avg_pool3d": lambda x: F.avg_pool3d(x[None], 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x[None], 2),
    "max_unpool2d": lambda x: F.max_unpool2d(*F.max_pool2d(x[None], 2, return_indices=True), 2),
    "reflect": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "replicate": lambda x: F.pad(x, (1, 1), mode="replicate"),
    "nll_loss": lambda x: F.nll_loss(x[0], CLASSES),
    "multi_margin_loss": lambda x: F.multi_margin_loss(x[0], CLASSES),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_second_derivative_is_zero(name):
    fb.manual_seed(0)
    x = fb.randn(4, 4, 4, requires_grad=True)
    y = OPERATORS[name](x)
    (plain,) = fb.autograd.grad(y.sum(), x, retain_graph=True)
    (g,) = fb.autograd.grad(y.sum(), x, create_graph=True)
    assert g.requires_grad and plain.grad_fn is None
    assert g.equal(plain) and g.shape == x.shape
    (second,) = fb.autograd.grad(g.sum(), x)
    assert second.shape == x.shape and not second.any()


def test_through_a_graph():
    """The zeros pass through what the argument came from."""
    x = fb.randn(3, 4, dtype=fb.float64, requires_grad=True)
    (g,) = fb.autograd.grad(F.relu(x.exp() - 1).sum(), x, create_graph=True)
    (second,) = fb.autograd.grad(g.sum(), x)
    assert second.equal(fb.where(x > 0, x.exp(), 0))
    assert fb.autograd.gradgradcheck(lambda t: F.leaky_relu(t.sin()), (x,))


def test_transforms():
    fb.manual_seed(1)
    x = fb.randn(5, dtype=fb.float64)
    f = lambda t: F.relu(t).square().sum()  # noqa: E731
    zeros = lambda t: F.relu(t).sum()  # noqa: E731
    assert fb.func.hessian(f)(x).equal(fb.diag(2.0 * (x > 0)))
    assert fb.func.hessian(zeros)(x).equal(fb.zeros(5, 5, dtype=fb.float64))
    assert fb.autograd.functional.hessian(zeros, x, strict=True).equal(fb.zeros(5, 5, dtype=fb.float64))
    rows = fb.vmap(fb.func.grad(f))(x.expand(3, 5))
    assert rows.equal(fb.func.grad(f)(x).expand(3, 5))
    each = fb.vmap(fb.func.hessian(zeros))(fb.randn(3, 5, dtype=fb.float64))
    assert each.shape == (3, 5, 5) and not each.any()
    both = fb.vmap(lambda a, b: fb.func.grad(lambda t: (F.relu(t) * b).sum())(a), in_dims=(None, 0))
    assert both(x, fb.eye(5, dtype=fb.float64)).equal(fb.diag((x > 0).double()))
