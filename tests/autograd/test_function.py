"""autograd.Function: operators with a derivative of their own."""

import pytest

import flambeau as fb
from flambeau.autograd import Function
from flambeau.autograd.function import once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class CubeApart(Cube):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)


@pytest.mark.parametrize("function", [Cube, CubeApart])
def test_first_and_second_derivative(function):
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    y = function.apply(x)
    assert type(y.grad_fn).__name__ == function.__name__ + "Backward"
    (g,) = fb.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [3, 12]
    assert fb.autograd.grad(g.sum(), x)[0].tolist() == [6, 12]


def test_needs_input_grad_and_none_gradients():
    class Pair(Function):
        @staticmethod
        def forward(ctx, a, b, factor):
            ctx.needs = ctx.needs_input_grad
            return a * factor + b

        @staticmethod
        def backward(ctx, g):
            assert ctx.needs == (True, False, False)
            return g * 2, None, None

    a, b = fb.ones(2, requires_grad=True), fb.ones(2)
    Pair.apply(a, b, 2).sum().backward()
    assert a.grad.tolist() == [2, 2]


def test_materialized_gradients():
    class Two(Function):
        materialize = True

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(Two.materialize)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            Two.seen = h
            return g

    x = fb.ones(2, requires_grad=True)
    Two.apply(x)[0].sum().backward()
    assert Two.seen.tolist() == [0, 0]
    Two.materialize = False
    Two.apply(x)[0].sum().backward()
    assert Two.seen is None


def test_mark_dirty_and_non_differentiable():
    class AddOne(Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    class Order(Function):
        @staticmethod
        def forward(ctx, x):
            values, index = x.sort()
            ctx.mark_non_differentiable(index)
            return values, index

        @staticmethod
        def backward(ctx, g, _):
            return g

    x = fb.zeros(2, requires_grad=True)
    y = x * 1
    assert AddOne.apply(y) is y
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    values, index = Order.apply(x)
    assert values.requires_grad and not index.requires_grad


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    x = fb.ones(2, requires_grad=True)
    (g,) = fb.autograd.grad(Once.apply(x * 1).sum(), x, create_graph=True)
    assert g.tolist() == [2, 2]
    weight = fb.ones(2, requires_grad=True)
    (g,) = fb.autograd.grad((Once.apply(x) * weight).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.sum().backward()


def test_what_is_missing_is_said():
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = fb.ones(1, requires_grad=True)
    with pytest.raises(NotImplementedError, match="You must implement either the backward or vjp method"):
        Half.apply(x).backward()
    with pytest.raises(NotImplementedError, match="You must implement the forward function"):
        Function.apply(x)
    with pytest.warns(DeprecationWarning), pytest.raises(RuntimeError, match="Legacy autograd function"):
        Half()(x)
