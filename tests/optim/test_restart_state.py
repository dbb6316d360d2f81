"""The state of warm restarts as PyTorch 2.13 keeps it: whole in the first cycle, a float after a jump."""

import flambeau as fb


def test_place_in_a_cycle():
    optimizer = fb.optim.SGD([fb.nn.Parameter(fb.ones(1))], lr=1.0)
    schedule = fb.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 2)
    seen = [schedule.T_cur]
    for epoch in (None, 2.5, 7):
        schedule.step(epoch)
        seen.append(schedule.T_cur)
    assert [repr(t) for t in seen] == ["0", "1", "0.5", "1.0"]


def test_a_kernel_of_other_rank_is_printed_without_defaults():
    assert repr(fb.nn.Conv2d(4, 8, (3,))) == "Conv2d(4, 8, kernel_size=(3,), stride=(1, 1))"


def test_averaged_descent_goes_on_from_a_loaded_state_of_doubles():
    """Loading makes the rates doubles; they stay numbers of the default dtype (PyTorch 2.13's values)."""
    for foreach in (False, True):
        p = fb.nn.Parameter(fb.tensor([1.0, 2.0], dtype=fb.float64))
        optimizer = fb.optim.ASGD([p], lr=0.05, foreach=foreach)
        for k in range(6):
            p.grad = fb.tensor([0.3, 0.7], dtype=fb.float64) * (k + 1)
            optimizer.step()
            if k == 2:
                resumed = fb.optim.ASGD([p], lr=0.05, foreach=foreach)
                resumed.load_state_dict(optimizer.state_dict())
                optimizer = resumed
        assert fb.allclose(
            p.detach(), fb.tensor([0.68497656709044497, 1.2649553229921893], dtype=fb.float64), rtol=1e-14
        )
        assert optimizer.state[p]["eta"].item() == 0.049998875707387924
