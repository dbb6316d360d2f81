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
