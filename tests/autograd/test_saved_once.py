"""Functions that free what they saved at the first look, and a deprecated mark."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.autograd import Function

ONCE = r"saved_tensors can only be accessed once when clear_saved_tensors_on_access=True is set on the"


class Product(Function):
    clear_saved_tensors_on_access = True
    again = False

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        if Product.again:
            ctx.saved_tensors  # noqa: B018
        return grad * y, grad * x


class Derived(Product):
    pass


@pytest.mark.parametrize("function", [Product, Derived])
def test_saved_tensors_go_with_the_first_look(function, monkeypatch):
    x, y = fb.full((2,), 2.0, requires_grad=True), fb.full((2,), 3.0, requires_grad=True)
    out = function.apply(x, y)
    out.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match=ONCE):
        out.sum().backward()
    monkeypatch.setattr(Product, "again", True)
    with pytest.raises(RuntimeError, match=ONCE):
        function.apply(x, y).sum().backward()


def test_others_keep_them():
    class Twice(Product):
        clear_saved_tensors_on_access = False

        @staticmethod
        def backward(ctx, grad):
            assert len(ctx.saved_tensors) == len(ctx.saved_tensors) == 2
            return grad * ctx.saved_tensors[1], None

    x = fb.ones(2, requires_grad=True)
    Twice.apply(x, fb.ones(2)).sum().backward()
    assert x.grad.tolist() == [1, 1] and Function.clear_saved_tensors_on_access is False


def test_mark_shared_storage_warns():
    class Marked(Function):
        @staticmethod
        def forward(ctx, x):
            with pytest.warns(FutureWarning, match="`mark_shared_storage` is deprecated"):
                ctx.mark_shared_storage((x, x))
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = fb.ones(1, requires_grad=True)
    Marked.apply(x).backward()
    assert x.grad.tolist() == [2]
