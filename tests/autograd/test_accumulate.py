"""Gradients that arrive at leaves: taken as they are when nobody else sees them, copied otherwise."""

import flambeau as fb
from flambeau import nn


def test_a_weight_gets_the_product_itself():
    layer = nn.Linear(5, 3)
    x = fb.randn(4, 5)
    layer(x).sum().backward()
    grad = layer.weight.grad
    fb.testing.assert_close(grad, x.sum(0).expand(3, 5))
    assert grad.is_contiguous() and not grad._is_view() and grad._base is None
    kept = grad.clone()
    layer(x).sum().backward()  # added in place
    assert layer.weight.grad is grad
    fb.testing.assert_close(grad, 2 * kept)


def test_a_gradient_somebody_keeps_is_copied():
    layer = nn.Linear(5, 3)
    x = fb.randn(4, 5)
    seen = []
    layer.weight.register_hook(seen.append)
    layer(x).sum().backward()
    layer.weight.grad.zero_()
    fb.testing.assert_close(seen[0], x.sum(0).expand(3, 5))


def test_views_of_what_somebody_keeps_are_copied():
    whole = fb.randn(2, 6)

    class Share(fb.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a.sum() + b.sum()

        @staticmethod
        def backward(ctx, g):
            return whole[0], whole.t()[:, 1]

    a, b = (fb.zeros(6, requires_grad=True) for _ in range(2))
    before = whole.clone()
    Share.apply(a, b).backward()
    a.grad.add_(1)
    b.grad.add_(1)
    assert fb.equal(whole, before)


def test_two_views_of_one_gradient_do_not_meet():
    class Halves(fb.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a.sum() + b.sum()

        @staticmethod
        def backward(ctx, g):
            both = fb.ones(2, 4)
            return both.view(8), both.view(8)

    a, b = (fb.zeros(8, requires_grad=True) for _ in range(2))
    Halves.apply(a, b).backward()
    a.grad.zero_()
    assert b.grad.sum() == 8


def test_what_was_frozen_after_the_forward_gets_nothing():
    for frozen in (lambda w: w.requires_grad_(False), lambda w: w.detach_()):
        layer = nn.Linear(3, 2)
        out = layer(fb.ones(1, 3)).sum()
        frozen(layer.weight)
        out.backward()
        assert layer.weight.grad is None and layer.bias.grad.tolist() == [1, 1]
