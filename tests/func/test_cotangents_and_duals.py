"""One backward for many cotangents under `vmap`, and dual tensors in modes and under writing."""

from __future__ import annotations

import pytest

import flambeau as fb
import flambeau.autograd.forward_ad as fwAD
from flambeau.func import linearize, vmap

X = fb.arange(1.0, 5.0)
V = fb.arange(12.0).reshape(3, 4)


def test_only_the_cotangent_is_batched():
    x = X.clone().requires_grad_()
    y = x.sin()
    rows = vmap(lambda v: fb.autograd.grad(y, x, v, retain_graph=True)[0])(V)
    assert fb.allclose(rows, V * X.cos())
    rows = vmap(lambda v: fb.autograd.grad([y], [x], grad_outputs=[v], retain_graph=True)[0])(V)
    assert fb.allclose(rows, V * X.cos())


def test_linearized_function_of_many_tangents():
    _, push = linearize(fb.sin, X)
    assert fb.allclose(vmap(push)(V), V * X.cos())
    with pytest.raises(RuntimeError, match="tangent:0 with shape"):
        push(V)


def test_length_of_a_sample():
    assert vmap(lambda a: a * len(a))(V).equal(V * 4)
    with pytest.raises(TypeError, match=r"len\(\) of a 0-d tensor"):
        vmap(len)(X)


def test_no_input_to_map_over():
    with pytest.raises(ValueError, match="Expected at least one Tensor to vmap over"):
        vmap(fb.sin, in_dims=(None,))(X)


def test_duals_do_not_need_gradient_mode():
    with fb.no_grad():
        with fwAD.dual_level():
            dual = fwAD.make_dual(X, 2 * X)
            assert fwAD.unpack_dual(dual * dual).tangent.equal(4 * X * X)
        assert not fb.is_grad_enabled()


def test_duals_may_be_written_to():
    with fwAD.dual_level():
        x = X.clone()
        dual = fwAD.make_dual(x, fb.ones(4))
        assert fwAD.unpack_dual(dual).tangent.equal(fb.ones(4))
        dual.mul_(3)
        dual[0] = 7.0
        value, tangent = fwAD.unpack_dual(dual)
        assert tangent.tolist() == [0.0, 3.0, 3.0, 3.0]
        assert value.tolist() == x.tolist() == [7.0, 6.0, 9.0, 12.0]
        with pytest.raises(RuntimeError, match="already has a forward gradient"):
            fwAD.make_dual(dual, X)


def test_duals_are_written_to():
    def pushed(f):
        with fwAD.dual_level():
            a = fwAD.make_dual(fb.tensor([1.0, 2.0]), fb.tensor([1.0, 3.0]))
            return [t.tolist() for t in fwAD.unpack_dual(f(a))]

    def through_a_view(a):
        a[0].mul_(a[1])
        return a

    def later(a):
        square = a * a
        a.zero_()
        return square

    assert pushed(lambda a: a.mul_(a)) == [[1, 4], [2, 12]]
    assert pushed(lambda a: a.div_(a)) == [[1, 1], [0, 0]]
    assert pushed(through_a_view) == [[2, 2], [5, 3]]
    assert pushed(later) == [[1, 4], [2, 12]]


class WithoutSetup(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


def test_functions_under_transforms_need_setup_context():
    x = fb.tensor([1.0, 2.0])
    call = WithoutSetup.apply
    for transformed in (
        lambda: fb.func.grad(lambda x: call(x).sum())(x),
        lambda: fb.func.vjp(call, x),
        lambda: fb.func.jvp(call, (x,), (x,)),
        lambda: fb.func.jacrev(call)(x),
        lambda: fb.func.jacfwd(call)(x),
        lambda: fb.func.hessian(lambda x: call(x).sum())(x),
        lambda: fb.func.vmap(call)(x),
    ):
        with pytest.raises(RuntimeError, match="must override the setup_context staticmethod"):
            transformed()
    y = x.clone().requires_grad_()
    assert fb.autograd.grad(call(y).sum(), y)[0].tolist() == [2, 4]


def test_functions_of_the_package_have_setup_context():
    x = fb.tensor([1.0, 2.0])
    layer = fb.nn.Linear(2, 1, bias=False)
    layer.weight.data.fill_(3.0)
    layer.register_full_backward_hook(lambda module, g, _: (g[0] * 2,))
    assert fb.func.grad(lambda x: layer(x).sum())(x).tolist() == [6, 6]

    def sampled(a):
        return fb.distributions.Dirichlet(a).rsample()[0]

    assert fb.func.grad(sampled)(x).shape == (2,)
    with pytest.raises(RuntimeError, match="must override the setup_context staticmethod"):
        fb.func.grad(lambda x: fb.nn.CrossMapLRN2d(3)(x).sum())(fb.ones(1, 2, 1, 1))
    # a derivative of a backward that says it has none
    with pytest.raises(NotImplementedError, match="You must implement the jvp function"):
        fb.func.jvp(sampled, (x,), (x,))


def test_functionalize():
    whole = fb.ones(2)
    first, second = fb.func.functionalize(lambda a, b: (a.add_(1), b.mul_(5)))(whole, whole[:1])
    # copied back one after the other: what shares memory outside does not share it inside
    assert (first.tolist(), second.tolist(), whole.tolist()) == ([2, 2], [5], [5, 2])
    x = fb.ones(2, requires_grad=True)
    assert fb.func.functionalize(lambda a: a)(x) is x
    fb.func.functionalize(lambda a: a.clone().mul_(3).sum(), remove="mutations_and_views")(x).backward()
    assert x.grad.tolist() == [3, 3]
    nested = fb.func.functionalize(lambda tree, by=0.0: tree["a"][0].add_(by))
    z = fb.ones(1)
    nested({"a": [z]}, by=2.0).mul_(10)
    assert z.tolist() == [3]
    with pytest.raises(RuntimeError, match="received invalid argument for remove=views"):
        fb.func.functionalize(lambda a: a, remove="views")
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        fb.func.functionalize(lambda a: a.add_(1))(x)


def test_cotangents_in_a_list():
    class Two(fb.autograd.Function):
        boxed_grads_call = True

        @staticmethod
        def forward(ctx, x, y):
            return x * 2, y * 3

        @staticmethod
        def backward(ctx, cotangents):
            assert type(cotangents) is list
            return cotangents[0] * 2, cotangents[1] * 3

    x = fb.ones(2, requires_grad=True)
    first, second = Two.apply(x, x)
    (first.sum() + second.sum()).backward()
    assert x.grad.tolist() == [5, 5]


def test_forward_derivative_of_a_power_of_zero():
    base, exponent = fb.tensor([0.0, 0.0, 2.0]), fb.tensor([0.0, 2.0, 3.0])
    ones = fb.ones(3)
    value, tangent = fb.func.jvp(fb.pow, (base, exponent), (ones, ones))
    assert value.tolist() == [1, 0, 8]
    assert tangent.tolist() == pytest.approx([0, 0, 17.545177])
    assert fb.func.jvp(lambda e: fb.pow(0.0, e), (exponent,), (ones,))[1].tolist() == [0, 0, 0]
