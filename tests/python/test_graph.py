"""Nodes, hooks, autograd.Function and modes as Python sees them."""

import pytest

import flambeau as torch


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


def test_nodes():
    x = leaf(1.0, 2.0)
    y = (x * 2).sum()
    n = y.grad_fn
    assert type(n).__name__ == n.name() == "SumBackward0" and repr(n).startswith("<SumBackward0 object at 0x")
    m = n.next_functions[0][0]
    assert m is n.next_functions[0][0] and m.name() == "MulBackward0" and m._saved_other is not None
    a = m.next_functions[0][0]
    assert (
        a.name() == "torch::autograd::AccumulateGrad" and a.variable is x and m.next_functions[1] == (None, 0)
    )
    m.metadata["k"] = 1
    assert m.metadata == {"k": 1}


def test_tensor_hooks():
    x = leaf(1.0, 2.0)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [30, 30] and seen == [[3, 3]]
    handle.remove()
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    z = x * 1
    z.register_hook(lambda g: 3)
    with pytest.raises(TypeError, match="expected Variable, but hook returned 'int'"):
        z.sum().backward()
    with pytest.raises(
        RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"
    ):
        torch.ones(1).register_hook(print)


def test_other_hooks():
    x = leaf(1.0)
    order = []
    x.register_post_accumulate_grad_hook(lambda p: order.append(p.grad.item()))
    y = x * 2
    y.grad_fn.register_prehook(lambda g: order.append("pre"))
    y.grad_fn.register_hook(lambda gi, go: order.append("post"))
    y.backward()
    assert order == ["pre", "post", 2.0]


def test_retain_grad():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    z = y * 3
    (z.sum()).backward()
    assert y.grad.tolist() == [3, 3] and y.retains_grad
    w = leaf(1.0) * 2
    w.retain_grad()
    v = w * 2
    del w  # the hook outlives its tensor
    v.backward()


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, k):
        ctx.save_for_backward(a)
        ctx.k = k
        assert ctx.needs_input_grad == (True, False)
        return a * k

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g * ctx.k + 0 * a, None


def test_function():
    x = leaf(1.0, 2.0)
    y = Scale.apply(x, 3)
    assert y.grad_fn.name() == "ScaleBackward" and y.grad_fn.next_functions[0][0].variable is x
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.sum().backward()
    with torch.no_grad():
        torch.ones(1)


@pytest.mark.parametrize(
    "result, message",
    [
        (
            lambda g: (g, g),
            "function BadBackward returned an incorrect number of gradients (expected 1, got 2)",
        ),
        (lambda g: 3, "expected Variable or None (got int)"),
        (
            lambda g: torch.ones(5),
            "Function BadBackward returned an invalid gradient at index 0 - got [5] but expected shape compatible with [2]",  # noqa: E501
        ),
    ],
)
def test_wrong_backward(result, message):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return result(g)

    with pytest.raises(RuntimeError) as e:
        Bad.apply(leaf(1.0, 2.0)).sum().backward()
    assert str(e.value).split("\n")[0] == message


def test_function_views_dirty_and_flags():
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Bump(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.mark_dirty(a)
            return a.add_(1)

        @staticmethod
        def backward(ctx, g):
            return g * 5

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.mark_non_differentiable(b)
            ctx.set_materialize_grads(False)
            return a * 1, b

        @staticmethod
        def backward(ctx, g, h):
            assert h is None
            return g, None

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x and y.requires_grad
    y.backward()
    assert x.grad.item() == 2
    q = leaf(1.0)
    z = q * 1
    assert Bump.apply(z) is z
    z.backward()
    assert q.grad.item() == 5
    with pytest.raises(
        RuntimeError,
        match="a leaf Variable that requires grad has been used in an in-place operation.",  # noqa: RUF043
    ):
        Bump.apply(leaf(1.0))
    a, b = Two.apply(leaf(1.0), torch.ones(1))
    assert not b.requires_grad
    a.backward()


def test_modes():
    x = leaf(1.0)
    with torch.no_grad():
        assert not (x * 2).requires_grad and not torch.is_grad_enabled()
    with torch.inference_mode():
        y = x * 2
    assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward."):  # noqa: RUF043
        y * x
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), torch.tensor):
        z = x * x
    z.backward()
    assert x.grad.item() == 2


def test_threads_load_and_run_at_once():
    import subprocess
    import sys

    program = """
import threading
import flambeau as torch

def work():
    for _ in range(5):
        a = torch.rand(100, 100, requires_grad=True)
        (a @ a).relu().sum().backward()

        class F(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2

        F.apply(a).sum().backward()

threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stderr == ""
