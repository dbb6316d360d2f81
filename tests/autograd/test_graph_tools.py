"""Saved-tensor hooks, hooks on several gradients, forward mode, anomaly detection, checkpointing."""

import pytest

import flambeau as fb
from flambeau.autograd import forward_ad as fwd
from flambeau.autograd import graph
from flambeau.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


def test_saved_tensor_hooks():
    packed = []

    def pack(t):
        packed.append(t)
        return len(packed) - 1

    x = fb.tensor([1.0, 2.0], requires_grad=True)
    with graph.saved_tensors_hooks(pack, lambda i: packed[i]):
        y = x.exp()
    y.sum().backward()
    assert len(packed) == 1 and fb.allclose(x.grad, x.exp())


def test_disabled_hooks_raise():
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            pass


def test_multi_grad_hook():
    a, b = fb.ones(1, requires_grad=True), fb.ones(1, requires_grad=True)
    seen = []
    handle = graph.register_multi_grad_hook((a, b), lambda grads: seen.append([g.item() for g in grads]))
    (a * 2 + b * 3).sum().backward()
    handle.remove()
    (a * 2 + b * 3).sum().backward()
    assert seen == [[2, 3]]


def test_multi_grad_hook_waits_only_for_what_the_backward_reaches():
    a, b = fb.ones(2, requires_grad=True), fb.ones(2, requires_grad=True)
    c, d = a * b, a * b
    seen = []
    graph.register_multi_grad_hook((a, b, c, d), lambda grads: seen.append([g is not None for g in grads]))
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    assert seen == [[True, True, True, False], [True, False, True, False]]
    with pytest.raises(RuntimeError, match="A leaf node was passed to _will_engine_execute_node"):
        fb.autograd.grad(c.sum(), (a,))


def test_engine_calls_back_when_the_backward_is_done():
    queue = fb.autograd.Variable._execution_engine.queue_callback
    x = fb.ones(2, requires_grad=True)
    seen = []

    def last():
        seen.append("last")

    def first():
        seen.append(x.grad.tolist())
        queue(last)

    def hook(g):
        queue(first)
        queue(lambda: seen.append("second"))
        seen.append("hook")

    x.register_hook(hook)
    x.sum().backward()
    assert seen == ["hook", [1, 1], "second", "last"]
    with pytest.raises(RuntimeError, match="Final callbacks can only be installed during backward pass"):
        queue(last)

    def fails():
        raise ValueError("in a callback")

    y = fb.ones(2, requires_grad=True)
    y.register_hook(lambda g: queue(fails))
    with pytest.raises(ValueError, match="in a callback"):
        y.sum().backward()


def test_hook_after_accumulation_may_return_its_leaf():
    def grad_of(hook):
        v = fb.zeros(3, requires_grad=True)
        v.register_post_accumulate_grad_hook(hook)
        v.sum().backward()
        return v

    assert grad_of(lambda p: p.add_(p.grad, alpha=-0.5)).tolist() == [-0.5, -0.5, -0.5]
    with pytest.raises(RuntimeError, match="Tensor post accumulate grad hooks should return None"):
        grad_of(lambda p: p.clone())
    with pytest.raises(TypeError, match="expected Variable, but hook returned 'int'"):
        grad_of(lambda p: 1)


def test_gradient_edge():
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn and isinstance(edge.node, graph.Node)
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(x.detach())


def test_forward_mode():
    x = fb.tensor([1.0, 2.0])
    with fwd.dual_level():
        y = fwd.make_dual(x, fb.tensor([1.0, 10.0])).square()
        primal, tangent = fwd.unpack_dual(y)
        assert primal.tolist() == [1, 4] and tangent.tolist() == [2, 40]
        assert fwd.unpack_dual(x).tangent is None
    with pytest.raises(RuntimeError, match="no level exists"):
        fwd.make_dual(x, x)


def test_anomaly_mode_switches_back():
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), fb.autograd.detect_anomaly():
        assert fb.is_anomaly_enabled()
    assert not fb.is_anomaly_enabled()
    with fb.autograd.set_detect_anomaly(True):
        x = fb.zeros(1, requires_grad=True)
        with pytest.raises(RuntimeError, match="returned nan values"):
            (x.sqrt() * 0).sum().backward()


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint_gives_the_same_gradients(reentrant):
    fb.manual_seed(0)
    net = fb.nn.Sequential(fb.nn.Linear(3, 4), fb.nn.Dropout(0.5), fb.nn.ReLU(), fb.nn.Linear(4, 2))
    x = fb.randn(5, 3, requires_grad=True)
    fb.manual_seed(1)
    expected = fb.autograd.grad(net(x).square().sum(), [x, *net.parameters()])
    fb.manual_seed(1)
    checkpoint(net, x, use_reentrant=reentrant).square().sum().backward()
    found = [x.grad, *(p.grad for p in net.parameters())]
    assert all(fb.equal(a, b) for a, b in zip(found, expected))
    x.grad = None
    fb.manual_seed(1)
    checkpoint_sequential(net, 2, x, use_reentrant=reentrant).square().sum().backward()
    assert fb.equal(x.grad, expected[0])


def test_checkpoint_that_changes_its_mind():
    calls = []

    def f(x):
        calls.append(1)
        return x.sin().exp() if len(calls) == 1 else x.sin()

    x = fb.ones(3, requires_grad=True)
    with pytest.raises(CheckpointError, match="A different number of tensors was saved"):
        checkpoint(f, x, use_reentrant=False).sum().backward()
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(fb.sin, x)
