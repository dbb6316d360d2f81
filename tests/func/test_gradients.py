"""Derivatives of functions: grad, vjp, jvp, Jacobians, and how they nest."""

import pytest

import flambeau as fb
from flambeau.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

X = fb.tensor([1.0, 2.0])


def test_grad():
    assert grad(lambda x: (x**2).sum())(X).tolist() == [2, 4]
    assert [g.tolist() for g in grad(lambda x, y: (x * y).sum(), argnums=(0, 1))(X, X)] == [[1, 2], [1, 2]]
    assert grad(lambda d: (d["a"] * 2).sum())({"a": X})["a"].tolist() == [2, 2]
    g, aux = grad(lambda x: (x.sum(), x * 3), has_aux=True)(X)
    assert g.tolist() == [1, 1] and aux.tolist() == [3, 6] and not aux.requires_grad
    g, value = grad_and_value(lambda x: (x**2).sum())(X)
    assert value.item() == 5 and not g.requires_grad


def test_nesting():
    assert grad(grad(grad(lambda x: x**4)))(fb.tensor(2.0)).item() == 48
    assert grad(lambda x: grad(lambda y: (x * y * y).sum())(x).sum())(X).tolist() == [4, 8]


def test_captured_parameters_stay_connected():
    w = fb.tensor(3.0, requires_grad=True)
    g = grad(lambda x: (x * x * w).sum())(X)
    assert g.requires_grad
    assert fb.autograd.grad(g.sum(), w)[0].item() == 6
    with fb.no_grad():
        assert not grad(lambda x: (x * x * w).sum())(X).requires_grad


def test_vjp_and_jvp():
    out, pull = vjp(lambda x: x**2, X)
    assert out.tolist() == [1, 4] and pull(X)[0].tolist() == [2, 8]
    out, tangent = jvp(lambda x: x**2, (X,), (fb.ones(2),))
    assert tangent.tolist() == [2, 4] and not tangent.requires_grad
    out, push = linearize(lambda x: x**2, X)
    assert push(fb.ones(2)).tolist() == [2, 4]


def test_jacobians():
    for jacobian in (jacrev, jacfwd):
        assert jacobian(lambda x: x**2)(X).tolist() == [[2, 0], [0, 4]]
        rows = jacobian(lambda x, y: (x * y, x), argnums=(0, 1))(X, X)
        assert rows[0][1].tolist() == [[1, 0], [0, 2]] and rows[1][1].tolist() == [[0, 0], [0, 0]]
    assert hessian(lambda x: (x**3).sum())(X).tolist() == [[6, 0], [0, 12]]


def test_per_sample_gradients():
    net = fb.nn.Linear(2, 1)
    params = dict(net.named_parameters())
    xs, ys = fb.randn(4, 2), fb.randn(4, 1)

    def loss(p, x, y):
        return ((functional_call(net, p, (x,)) - y) ** 2).mean()

    found = vmap(grad(loss), in_dims=(None, 0, 0))({k: v.detach() for k, v in params.items()}, xs, ys)
    for i in range(4):
        expected = fb.autograd.grad(loss(params, xs[i], ys[i]), list(params.values()))
        assert fb.allclose(found["weight"][i], expected[0]) and fb.allclose(found["bias"][i], expected[1])


def test_ensembles():
    nets = [fb.nn.Linear(2, 2) for _ in range(3)]
    params, buffers = stack_module_state(nets)
    x = fb.randn(5, 2)
    out = vmap(lambda p, b: functional_call(nets[0], (p, b), (x,)))(params, buffers)
    assert fb.allclose(out, fb.stack([n(x) for n in nets]), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: grad(lambda x: x)(X), RuntimeError, "to return a scalar Tensor, got tensor with 1 dims"),
        (lambda: grad(lambda x: 3)(X), RuntimeError, "to return a Tensor, got <class 'int'>"),
        (lambda: grad(lambda x: x.sum(), argnums=2)(X), RuntimeError, "Got argnum=2, but only 1 positional"),
        (lambda: jvp(lambda x: x, X, X), RuntimeError, "Expected primals to be a tuple"),
        (lambda: vjp(lambda x: x, X)[1]((X, X)), RuntimeError, "Expected pytree structure of cotangents"),
        (lambda: stack_module_state([]), RuntimeError, "Expected at least one model, got 0"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_forward_derivative_of_rrelu_without_training():
    x = fb.tensor([-1.0, 2.0], dtype=fb.float64)
    _, product = fb.func.jvp(lambda t: fb.nn.functional.rrelu(t, training=False), (x,), (fb.ones_like(x),))
    assert product.tolist() == pytest.approx([11 / 48, 1.0])
