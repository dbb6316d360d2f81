"""The engine: deep and parallel graphs, backward inside backward, in-place rules, hooks, accumulation."""

import threading

import pytest

import flambeau as fb


def test_a_million_operations():
    x = fb.ones((), dtype=fb.float64, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y  # freeing the graph must not recurse either


def test_threads_build_and_run_their_own_graphs():
    found, errors = {}, []

    def work(k):
        try:
            for _ in range(20):
                x = fb.full((8,), float(k), requires_grad=True)
                y = x
                for _ in range(50):
                    y = y * 1.0 + x
                (y.sum() * k).backward()
                found[k] = x.grad.tolist()
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert found == {k: [51.0 * k] * 8 for k in range(1, 5)}


def test_threads_share_a_leaf():
    x = fb.zeros(4, requires_grad=True)
    threads = [
        threading.Thread(target=lambda: [(x * 2).sum().backward() for _ in range(50)]) for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert x.grad.tolist() == [400.0] * 4


def test_backward_inside_a_hook():
    inner = fb.tensor([3.0], requires_grad=True)

    def hook(g):
        with fb.enable_grad():
            loss = (inner * inner).sum()
        loss.backward()
        return g * inner.grad

    x = fb.tensor([2.0], requires_grad=True)
    y = x * 5
    y.register_hook(hook)
    y.sum().backward()
    assert inner.grad.item() == 6 and x.grad.item() == 30


def test_backward_inside_a_function_many_levels_deep():
    class Deeper(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x, level):
            ctx.level = level
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with fb.enable_grad():
                y = x.detach().requires_grad_()
                z = Deeper.apply(y, ctx.level - 1) if ctx.level else y * y
                (d,) = fb.autograd.grad(z, y)
            return g * d, None

    x = fb.tensor(3.0, requires_grad=True)
    Deeper.apply(x, 60).backward()
    assert x.grad.item() == 6


def test_in_place_through_views():
    base = fb.arange(6.0).reshape(2, 3).requires_grad_()
    y = base * 1
    y[0].mul_(3)
    view = y[:, 1]
    view.pow_(2)
    y.sum().backward()
    assert base.grad.tolist() == [[3, 18, 3], [1, 8, 1]]
    assert type(y.grad_fn).__name__ == "CopySlices"


def test_in_place_on_the_base_changes_the_view():
    x = fb.ones(3, requires_grad=True)
    y = x * 1
    v = y[1:]
    y.mul_(4)
    v.sum().backward()
    assert x.grad.tolist() == [0, 4, 4]


def test_in_place_rules():
    leaf = fb.ones(2, requires_grad=True)
    with pytest.raises(
        RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"
    ):
        leaf.add_(1)
    with pytest.raises(
        RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"
    ):
        leaf[0].add_(1)
    with pytest.raises(RuntimeError, match="Output 0 of Unbind is a view and is being modified inplace"):
        (leaf * 1).unbind()[0].add_(1)
    with fb.no_grad():
        leaf.add_(1)
    assert leaf.tolist() == [2, 2] and leaf.is_leaf


def test_a_changed_saved_tensor_is_named():
    x = fb.ones(2, 3, requires_grad=True)
    y = x.exp()
    z = y.sum()
    y.add_(1)
    with pytest.raises(RuntimeError) as e:
        z.backward()
    assert str(e.value).startswith(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        "[torch.FloatTensor [2, 3]], which is output 0 of Exp, "
    )
    assert "is at version 1; expected version 0 instead." in str(e.value)


def test_the_graph_is_freed_unless_kept():
    x = fb.tensor(2.0, requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_hooks_run_in_order_and_can_be_removed():
    seen = []
    x = fb.tensor(1.0, requires_grad=True)
    y = x * 2
    first = y.register_hook(lambda g: seen.append(("first", g.item())) or g * 10)
    y.register_hook(lambda g: seen.append(("second", g.item())))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(("leaf", t.grad.item())))
    y.backward(retain_graph=True)
    first.remove()
    y.backward()
    assert seen == [("first", 1), ("second", 10), ("leaf", 20), ("second", 1), ("leaf", 22)]


def test_retained_gradients_come_after_hooks():
    x = fb.tensor(1.0, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 3)
    y.backward()
    assert y.grad.item() == 3 and x.grad.item() == 6


def test_gradients_are_added_in_place():
    x = fb.ones(1000, requires_grad=True)
    x.sum().backward()
    grad, where = x.grad, x.grad.data_ptr()
    x.sum().backward()
    assert x.grad is grad and grad.data_ptr() == where and grad[0].item() == 2


def test_a_fresh_gradient_is_taken_over():
    x = fb.ones(1000, requires_grad=True)
    y = x * 2
    places = []
    x.register_hook(lambda g: places.append(g.data_ptr()))
    y.backward(fb.ones(1000))
    assert x.grad.data_ptr() == places[0]


def test_a_gradient_somebody_holds_is_copied():
    x = fb.ones(3, requires_grad=True)
    g = fb.ones(3)
    (x + 0).backward(g)
    (x + 0).backward(g)
    assert g.tolist() == [1, 1, 1] and x.grad.tolist() == [2, 2, 2]


def test_results_without_derivative_have_no_history_in_second_order():
    x = fb.tensor([0.3, -5.0, 12.0], dtype=fb.float64, requires_grad=True)
    m, e = fb.frexp(x)
    (g,) = fb.autograd.grad(m.sum(), x, create_graph=True)
    assert not e.requires_grad and not g.requires_grad
    assert g.tolist() == [2.0, 0.125, 0.0625]


def test_what_nobody_asked_for_is_not_computed():
    from flambeau.utils.flop_counter import FlopCounterMode

    x, w = fb.rand(4, 5, requires_grad=True), fb.rand(6, 5, requires_grad=True)
    y = fb.nn.functional.linear(x, w)
    flops = []
    for inputs in ([x], [w], [x, w]):
        with FlopCounterMode(display=False) as counter:
            y.sum().backward(inputs=inputs, retain_graph=True)
        flops.append(counter.get_total_flops())
    assert flops == [240, 240, 480]


def test_a_backward_inside_a_backward_gives_what_is_asked_of_it():
    class Square(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * x * w

        @staticmethod
        def backward(ctx, g):
            x, w = (t.detach().requires_grad_() for t in ctx.saved_tensors)
            with fb.enable_grad():
                y = x * x * w
            return fb.autograd.grad(y, [x, w], g)

    x, w = fb.tensor(3.0, requires_grad=True), fb.tensor(5.0, requires_grad=True)
    (g,) = fb.autograd.grad(Square.apply(x, w), x)
    assert g.item() == 30


class _Nested(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x, depth):
        ctx.x, ctx.depth = x.detach(), depth
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        if ctx.depth < 0:
            raise ValueError("the bottom")
        if not ctx.depth:
            return g, None
        with fb.enable_grad():
            y = ctx.x.clone().requires_grad_()
            _Nested.apply(y, ctx.depth - 1 if ctx.depth != 100 else -1).sum().backward()
        return g + y.grad, None


class _Repeated(_Nested):
    @staticmethod
    def backward(ctx, g):
        if not ctx.depth:
            return g, None
        with fb.enable_grad():
            y = ctx.x.clone().requires_grad_()
            _Repeated.apply(y, ctx.depth - 1).sum().backward()
        return g + y.grad, None


def test_backward_within_backward_goes_on_in_threads_of_its_own():
    x = fb.ones(2, requires_grad=True)
    _Nested.apply(x, 90).sum().backward()
    assert x.grad.tolist() == [91.0, 91.0]


def test_nested_backwards_by_the_thousand():
    x = fb.ones(2, requires_grad=True)
    _Repeated.apply(x, 1100).sum().backward()
    assert x.grad.tolist() == [1101.0, 1101.0]


def test_an_error_of_a_nested_backward_reaches_its_caller():
    x = fb.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="the bottom"):
        _Nested.apply(x, 200).sum().backward()
