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
