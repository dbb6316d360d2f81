"""Checkpoints that keep the results of chosen operators."""

import functools

import pytest

import flambeau as torch
from flambeau.utils.checkpoint import (
    CheckpointPolicy,
    GraphExecGroup,
    checkpoint,
    create_selective_checkpoint_contexts,
)
from flambeau.utils.flop_counter import FlopCounterMode

mm = torch.ops.aten.mm.default


def keeping(policy):
    return functools.partial(create_selective_checkpoint_contexts, policy)


def f(x, w):
    return torch.mm(x.sin(), w).cos().sum()


def leaves():
    return torch.ones(2, 2, requires_grad=True), torch.ones(2, 2, requires_grad=True)


def test_policy_and_gradients():
    asked = []

    def policy(ctx, op, *args, **kwargs):
        asked.append((ctx.is_recompute, str(op)))
        return CheckpointPolicy.MUST_SAVE if op == mm else CheckpointPolicy.PREFER_RECOMPUTE

    x, w = leaves()
    checkpoint(f, x, w, use_reentrant=False, context_fn=keeping(policy)).backward()
    assert asked == [(False, f"aten.{n}.default") for n in ("sin", "mm", "cos", "sum")]
    assert x.grad[0, 0].item() == pytest.approx(-1.0738, abs=1e-4)
    assert w.grad[0, 0].item() == pytest.approx(-1.6724, abs=1e-4)


def test_kept_results_are_not_computed_again():
    counts = []
    for policy in ([mm], []):
        x, w = leaves()
        with FlopCounterMode(display=False) as counter:
            checkpoint(f, x, w, use_reentrant=False, context_fn=keeping(policy)).backward()
        counts.append(counter.get_total_flops())
    assert counts == [48, 64]


def test_once_and_unchanged():
    x, w = leaves()
    out = checkpoint(f, x, w, use_reentrant=False, context_fn=keeping([mm]))
    out.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="Trying to backward an extra time"):
        out.backward()

    def writes(x, w):
        y = torch.mm(x, w)
        z = y.sin()
        y.mul_(2)
        return z.sum()

    out = checkpoint(writes, x, w, use_reentrant=False, context_fn=keeping([mm]))
    with pytest.raises(
        RuntimeError, match="Tensor cached during selective activation checkpoint has been mutated"
    ):
        out.backward()


def test_arguments():
    with pytest.raises(TypeError, match="must be either a function or a list of ops"):
        create_selective_checkpoint_contexts(3)
    with pytest.raises(ValueError, match="Expected op in `op_list` to be an OpOverload but got"):
        create_selective_checkpoint_contexts([torch.ops.aten.mm])


def test_a_group_computes_once():
    runs = []

    def two(x):
        runs.append(1)
        return x.sin().cos(), x.cos().sin()

    x = torch.ones(2, requires_grad=True)
    with GraphExecGroup():
        a, b = checkpoint(two, x, use_reentrant=False, early_stop=False)
        a.sum().backward(retain_graph=True)
        b.sum().backward()
        assert len(runs) == 2
        with pytest.raises(RuntimeError, match="cannot be nested"), GraphExecGroup():
            pass
    runs.clear()
    a, b = checkpoint(two, x, use_reentrant=False, early_stop=False)
    a.sum().backward(retain_graph=True)
    b.sum().backward()
    assert len(runs) == 3
