"""autograd.Function: operators with a derivative of their own."""

import functools
import gc
import weakref

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


class _OwnTangents(Function):
    """Two results; its `jvp` is a hundred times the truth, so that its use shows."""

    @staticmethod
    def forward(x, k, y):
        return x * k * y, x + y

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.k, y = inputs
        ctx.save_for_forward(x, y)
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * ctx.k * y + h, None, g * ctx.k * x + h

    @staticmethod
    def jvp(ctx, a, k, b):
        assert k is None
        x, y = ctx.saved_tensors
        return 100 * ctx.k * (a * y + b * x), a + b


class TestForwardMode:
    X, Y = fb.tensor([1.0, 2.0]), fb.tensor([3.0, 4.0])

    def _call(self, x, y):
        return _OwnTangents.apply(x, 2.0, y)

    def test_jvp_is_the_functions_own(self):
        _, (a, b) = fb.func.jvp(self._call, (self.X, self.Y), (self.X, self.Y))
        assert a.tolist() == [1200.0, 3200.0] and b.tolist() == [4.0, 6.0]
        with fb.autograd.forward_ad.dual_level():
            x = fb.autograd.forward_ad.make_dual(self.X, self.X)
            a = fb.autograd.forward_ad.unpack_dual(self._call(x.sin(), self.Y)[0]).tangent
        assert fb.allclose(a, 200 * self.Y * self.X * self.X.cos())

    def test_tangents_are_differentiable(self):
        def pushed(x):
            return fb.func.jvp(lambda t: self._call(t, self.Y)[0] * t, (x,), (self.X,))[1].sum()

        found = fb.func.grad(pushed)(self.X)
        assert fb.allclose(found, 202 * self.Y * self.X)

    def test_gradients_inside_are_the_backwards(self):
        def gradient(x):
            return fb.func.grad(lambda t: self._call(t * t, self.Y)[0].sum())(x)

        _, tangent = fb.func.jvp(gradient, (self.X,), (self.X,))
        assert fb.allclose(tangent, 4 * self.Y * self.X)

    def test_without_a_backward(self):
        class Square(Function):
            @staticmethod
            def forward(x):
                return x * x

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_forward(*inputs)

            @staticmethod
            def jvp(ctx, t):
                return 2 * t * ctx.saved_tensors[0]

        assert fb.func.jvp(Square.apply, (self.Y,), (self.X,))[1].tolist() == [6.0, 16.0]
        assert fb.func.jacfwd(Square.apply)(self.X).tolist() == [[2.0, 0.0], [0.0, 4.0]]

    def test_under_vmap(self):
        class Batched(_OwnTangents):
            generate_vmap_rule = True

        def pushed(x, t):
            return fb.func.jvp(lambda v: Batched.apply(v, 2.0, self.Y)[0], (x,), (t,))[1]

        rows = fb.stack([self.X, self.Y])
        assert fb.allclose(fb.func.vmap(pushed)(rows, rows), 200 * rows * self.Y)

    def test_wrong_number_of_tangents(self):
        class Short(_OwnTangents):
            @staticmethod
            def jvp(ctx, a, k, b):
                return a

        with pytest.raises(RuntimeError, match=r"forward gradients \(expected 2 but got 1\)"):
            fb.func.jvp(lambda x: Short.apply(x, 2.0, self.Y), (self.X,), (self.X,))


class KeepsItsResult(Function):
    @staticmethod
    def forward(ctx, a):
        ctx.result = a * 2
        return ctx.result

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_a_result_among_the_attributes_of_its_own_node_is_collected():
    y = KeepsItsResult.apply(fb.ones(3, requires_grad=True))
    y.sum().backward()
    seen = weakref.ref(y)
    del y
    gc.collect()
    assert seen() is None


def _wrapped(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


@pytest.mark.parametrize("wrap", [lambda f: f, _wrapped])
def test_setup_context_is_told_the_defaults_of_forward(wrap):
    class Scaled(Function):
        @staticmethod
        @wrap
        def forward(x, factor=2):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.factor = inputs

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    x = fb.tensor([1.0, 2.0], requires_grad=True)
    Scaled.apply(x).sum().backward()
    Scaled.apply(x, 5).sum().backward()
    assert x.grad.tolist() == [7, 7]
