"""Hooks, checkpoints and numbers of recorded tensors: refusals and warnings as PyTorch's."""

import pytest

import flambeau as fb
from flambeau.autograd import graph
from flambeau.utils.checkpoint import checkpoint


def test_hooks_of_nodes_return_tuples():
    a = fb.ones(2, requires_grad=True)
    y = a.exp()
    y.grad_fn.register_hook(lambda inputs, outputs: inputs[0] * 10)
    with pytest.raises(TypeError, match="expected tuple, but hook returned 'Tensor'"):
        y.sum().backward()
    y = a.exp()
    y.grad_fn.register_prehook(lambda outputs: ())
    with pytest.raises(RuntimeError, match=r"an incorrect number of values \(got 0, but expected 1\)"):
        y.sum().backward()

    def longer(g):
        return g.repeat(2)

    a = fb.ones(2, requires_grad=True)
    a.register_hook(longer)
    with pytest.raises(RuntimeError, match="hook 'longer' has changed the size of value"):
        a.exp().sum().backward()


def test_pack_hooks_may_not_write():
    a = fb.ones(2, requires_grad=True)
    with (
        graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t),
        pytest.raises(RuntimeError, match="A saved tensor pack hook is modifying its input in place"),
    ):
        (a * 1).sin()


def test_reentrant_checkpoints_refuse_chosen_inputs():
    a = fb.ones(2, requires_grad=True)
    y = checkpoint(fb.sin, a, use_reentrant=True)
    with pytest.raises(
        RuntimeError, match=r"When use_reentrant=True, torch\.utils\.checkpoint is incompatible with"
    ):
        fb.autograd.grad(y.sum(), a)
    checkpoint(fb.sin, a, use_reentrant=True).sum().backward()
    assert fb.allclose(a.grad, fb.ones(2).cos())


def test_an_assignment_is_one_change():
    y = fb.zeros(3)
    y[0] = 1.0
    y[1] = fb.ones(())
    assert y._version == 2


def test_a_number_of_a_recorded_tensor_warns_once():
    import subprocess
    import sys

    program = (
        "import warnings, flambeau as fb\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    a = fb.ones(1, requires_grad=True)\n"
        "    int(a), a.item(), float(a), float(a), complex(a)\n"
        "print([str(w.message).splitlines()[0] for w in told])\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    text = "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior."
    assert out.strip() == repr([text])
