"""What groups, states and saved states look like in the less usual cases."""

import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim import lr_scheduler


def test_states_laid_out_as_the_gradient():
    p = fb.ones(4, 3).t().requires_grad_()
    for make, key in ((optim.Rprop, "step_size"), (optim.Muon, "momentum_buffer")):
        p.grad = fb.ones(3, 4)
        optimizer = make([p])
        optimizer.step()
        assert optimizer.state[p][key].stride() == (4, 1)


def test_a_parameter_twice_is_numbered_by_its_last_place():
    p, q = fb.ones(2, requires_grad=True), fb.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.Adam([{"params": [p, p]}, {"params": [q]}])
    p.grad = q.grad = fb.ones(2)
    optimizer.step()
    saved = optimizer.state_dict()
    assert [group["params"] for group in saved["param_groups"]] == [[1, 1], [2]]
    assert sorted(saved["state"]) == [1, 2]


def test_muon_knows_no_maximize():
    moved = []
    for extra in ({}, {"maximize": True}):
        p = fb.eye(2).requires_grad_()
        p.grad = fb.tensor([[1.0, 2.0], [3.0, 4.0]])
        optim.Muon([{"params": [p], **extra}], lr=0.1).step()
        moved.append(p.tolist())
    assert moved[0] == moved[1]


def test_lbfgs_with_a_group_added_later():
    p = fb.ones(2, requires_grad=True)
    optimizer = optim.LBFGS([p])
    optimizer.add_param_group({"params": [fb.ones(2, requires_grad=True)]})
    with pytest.raises(AssertionError, match="Expected exactly one param_group, but got 2"):
        optimizer.step(lambda: p.sum())


def test_lbfgs_keeps_a_rate_that_is_a_tensor():
    p = fb.tensor([1.0, -2.0, 0.5], requires_grad=True)
    optimizer = optim.LBFGS([p], lr=fb.tensor(0.1), max_iter=4)
    schedule = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)

    def closure():
        optimizer.zero_grad()
        loss = (p**4).sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(3):
        losses.append(optimizer.step(closure).item())
        schedule.step()
    # The length of the last move is the rate itself, so that the schedule changes it too.
    assert losses == pytest.approx([17.0625, 9.809988021850586, 7.7920379638671875], rel=1e-5)
    assert optimizer.state[p]["t"] is optimizer.param_groups[0]["lr"]


def test_schedules_refuse_a_group_added_later():
    optimizer = optim.SGD([fb.ones(2, requires_grad=True)], lr=0.1)
    schedule = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    optimizer.step()
    optimizer.add_param_group({"params": [fb.ones(2, requires_grad=True)]})
    with pytest.raises(ValueError, match="is shorter than argument 1"):
        schedule.step()


def test_fused_wants_floating_parameters():
    p = fb.ones(2, dtype=fb.complex64, requires_grad=True)
    p.grad = fb.ones(2, dtype=fb.complex64)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating point"):
        optim.SGD([p], lr=0.1, fused=True).step()


def test_order_of_refusals():
    p = fb.ones(3, requires_grad=True)
    p.grad = fb.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match="Adam does not support sparse gradients"):
        optim.Adam([p], capturable=True).step()
    p.grad = fb.ones(3)
    with pytest.raises(AssertionError, match=r"'privateuseone', 'xla'\]"):
        optim.Adam([p], capturable=True).step()
    with pytest.raises(AssertionError, match=r"'privateuseone'\]\."):
        optim.Adam([p], capturable=True, foreach=True).step()
