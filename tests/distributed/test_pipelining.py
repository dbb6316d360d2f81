"""Models in stages; losses and gradients are PyTorch's of the same run."""

from itertools import pairwise

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed import pipelining as pp
from flambeau.distributed.pipelining import _orders, microbatch
from flambeau.distributed.pipelining.schedules import get_schedule_class


class Net(fb.nn.Module):
    def __init__(self, mark=False):
        super().__init__()
        self.a, self.b, self.c = fb.nn.Linear(4, 8), fb.nn.Linear(8, 8), fb.nn.Linear(8, 2)
        self.mark = mark

    def forward(self, x):
        x = self.a(x).relu()
        if self.mark:
            pp.pipe_split()
        return self.c(self.b(x).relu())


LOSSES = [0.3444, 0.4006, 0.2697, 0.874]
GRADS = [
    {"a.weight": 0.1369, "a.bias": 0.0477},
    {"b.weight": 0.2563, "b.bias": 0.1304, "c.weight": 0.1867, "c.bias": 0.4852},
]


def _trained(rank, size, schedule):
    fb.manual_seed(0)
    net = Net()
    x, y = fb.randn(8, 4), fb.randn(8, 2)
    pipe = pp.pipeline(net, mb_args=(x[:2],), split_spec={"b": pp.SplitPoint.BEGINNING})
    stage = pipe.build_stage(rank, "cpu")
    run = schedule(stage, 4, loss_fn=fb.nn.functional.mse_loss)
    losses = []
    out = run.step(x) if rank == 0 else run.step(target=y, losses=losses)
    after = run.eval(x) if rank == 0 else run.eval()
    grads = {name: round(p.grad.abs().sum().item(), 4) for name, p in stage.submod.named_parameters()}
    same = after is None or fb.allclose(after, out)
    return (
        None if out is None else round(out.sum().item(), 4),
        [round(v.item(), 4) for v in losses],
        grads,
        same,
    )


@pytest.mark.parametrize("schedule", [pp.ScheduleGPipe, pp.Schedule1F1B], ids=lambda s: s.__name__)
def test_a_traced_model(together, schedule):
    first, last = together(lambda rank, size: _trained(rank, size, schedule))
    assert first == (None, [], pytest.approx(GRADS[0], abs=2e-4), True)
    assert last == (-3.385, pytest.approx(LOSSES, abs=2e-4), pytest.approx(GRADS[1], abs=2e-4), True)


def _by_hand(rank, size):
    fb.manual_seed(rank)
    module = [fb.nn.Linear(4, 4), fb.nn.ReLU(), fb.nn.Linear(4, 2)][rank]
    stage = pp.PipelineStage(module, rank, 3, fb.device("cpu"))
    run = pp.Schedule1F1B(stage, 3, loss_fn=lambda out, target: (out - target).pow(2).mean())
    x = fb.arange(24.0).view(6, 4) / 10
    for _ in range(2):
        run.step(x) if rank == 0 else run.step(target=fb.ones(6, 2)) if rank == 2 else run.step()
    return [p.grad for p in module.parameters()]


def test_stages_by_hand(together):
    modules = []
    for rank in range(3):
        fb.manual_seed(rank)
        modules.append([fb.nn.Linear(4, 4), fb.nn.ReLU(), fb.nn.Linear(4, 2)][rank])
    whole = fb.nn.Sequential(*modules)
    for _ in range(2):
        (whole(fb.arange(24.0).view(6, 4) / 10) - fb.ones(6, 2)).pow(2).mean().backward()
        # gradients are divided after each step, those of the step before again
        for p in whole.parameters():
            p.grad /= 1
    found = together(_by_hand, 3)
    assert len(found[1]) == 0 and all(g.abs().sum() > 0 for g in (*found[0], *found[2]))
    first = [p.grad / 2 for p in whole.parameters()]  # of one step
    scaled = [g * (1 + 1 / 3) for g in first]
    assert all(fb.allclose(a, b, atol=1e-5) for a, b in zip([*found[0], *found[2]], scaled))


class Crossing(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (fb.nn.Linear(3, 3) for _ in range(3))
        self.register_buffer("by", fb.full((3,), 2.0))

    def forward(self, x, y):
        z = self.first(x) * self.by
        return {"out": self.third(self.second(z)) + z + y, "by": y * self.by}


def test_values_that_later_stages_need():
    net = Crossing()
    x, y = fb.randn(2, 3), fb.randn(2, 3)
    spec = {"first": pp.SplitPoint.END, "third": pp.SplitPoint.BEGINNING}
    pipe = pp.pipeline(net, (x, y), split_spec=spec)
    assert pipe.num_stages == 3 and pipe.info().num_stages == 3
    found, wanted = pipe(x, y), net(x, y)
    assert list(found) == ["out", "by"] and all(fb.equal(found[k], wanted[k]) for k in wanted)
    assert [n for n, _ in pipe.get_stage_module(1).named_parameters()] == ["second.weight", "second.bias"]
    marked = pp.pipeline(Net(mark=True), (fb.ones(2, 4),))
    assert marked.num_stages == 2 and marked(fb.ones(2, 4)).shape == (2, 2)
    with pytest.raises(ValueError, match="Invalid stage index 2"):
        marked.get_stage_module(2)
    with pytest.raises(ValueError, match="Cannot specify both"):
        pp.pipeline(net, (x, y), split_spec=spec, split_policy=lambda g: g)


def test_pieces():
    args, kwargs = microbatch.split_args_kwargs_into_chunks(
        (fb.arange(6), fb.ones(2, 3)), {"k": 1}, 3, (None, microbatch.TensorChunkSpec(1))
    )
    assert [a[0].tolist() for a in args] == [[0, 1], [2, 3], [4, 5]] and args[0][1].shape == (2, 1)
    assert kwargs == [{"k": 1}] * 3
    assert microbatch.merge_chunks([a[0] for a in args]).tolist() == list(range(6))
    with pytest.raises(ValueError, match="cannot be cut into 3 pieces"):
        microbatch.split_args_kwargs_into_chunks((fb.ones(2),), None, 3)


ORDERS = {
    "interleaved": (
        "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3",
        "1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3",
    ),
    "apart": (
        "0F0 0F1 2F0 2F1 2I0 2W0 0F2 2I1 2W1 0F3 0I0 0W0 2F2 0I1 0W1 2F3 2I2 2W2 2I3 2W3 0I2 0W2 0I3 0W3",
        "1F0 1F1 3F0 3I0 3F1 3I1 3W0 1F2 1I0 3W1 1F3 1I1 1W0 3F2 3I2 1W1 3F3 3I3 3W2 1I2 3W3 1I3 1W2 1W3",
    ),
    "breadth": (
        "0F0 0F1 0F2 0F3 2F0 2F1 2F2 2F3 2B3 2B2 2B1 2B0 0B3 0B2 0B1 0B0",
        "1F0 1F1 1F2 1F3 3F0 3F1 3F2 3F3 3B3 3B2 3B1 3B0 1B3 1B2 1B1 1B0",
    ),
    "v": (
        "0F0 0F1 0F2 3F0 3I0 3W0 3F1 3I1 3W1 0F3 0I0 0W0 3F2 3I2 3W2 0I1 0W1 3F3 3I3 3W3 0I2 0W2 0I3 0W3",
        "1F0 2F0 1F1 2F1 2I0 2W0 1F2 1I0 1W0 2F2 2I1 2W1 1F3 1I1 1W1 2F3 2I2 2W2 1I2 2I3 1I3 1W2 2W3 1W3",
    ),
    "dual": (
        "0F0 0F1 0F2 3F0 3I0 3W0 3F1 (0F3;3B1)OVERLAP_F_B (3F2;0B0)OVERLAP_F_B 3B2 (3F3;0B1)OVERLAP_F_B 3B3 "
        "0I2 0W2 0I3 0W3",
        "1F0 2F0 1F1 2F1 1F2 2B0 (2F2;1B0)OVERLAP_F_B (1F3;2B1)OVERLAP_F_B (2F3;1B1)OVERLAP_F_B 2B2 1B2 2I3 "
        "1I3 2W3 1W3",
    ),
}


def test_orders_are_those_of_pytorch():
    made = {
        "interleaved": _orders.in_all(_orders.interleaved, 2, 4, 4),
        "apart": _orders.in_all(_orders.interleaved, 2, 4, 4, True),
        "breadth": _orders.in_all(_orders.looped_breadth_first, 2, 4, 4),
        "v": _orders.in_all(_orders.zero_bubble_v, 2, 4),
        "dual": _orders.in_all(_orders.dual_pipe, 2, 4),
    }
    for name, wanted in ORDERS.items():
        assert tuple(" ".join(map(str, made[name][rank])) for rank in range(2)) == wanted, name
    # fewer microbatches than the V is deep: the last process, as PyTorch without its pauses
    found = " ".join(map(str, _orders.zero_bubble_v(3, 4, 4)))
    assert found == (
        "3F0 4F0 3F1 4F1 3F2 4F2 3F3 4F3 4I0 4W0 3I0 3W0 4I1 4W1 3I1 3W1 4I2 4W2 3I2 3W2 4I3 4W3 3I3 3W3"
    )


def _parts():
    fb.manual_seed(3)
    widths = (4, 6, 5, 6, 3)
    return [fb.nn.Sequential(fb.nn.Linear(a, b), fb.nn.Tanh()) for a, b in pairwise(widths)]


def _in_several_stages(rank, size, name, places):
    parts = _parts()
    stages = [pp.PipelineStage(parts[k], k, 4, "cpu") for k in places[rank]]
    run = getattr(pp, name)(stages, 4, loss_fn=fb.nn.functional.mse_loss)
    fb.manual_seed(4)
    x, y = fb.randn(8, 4), fb.randn(8, 3)
    losses = []
    given = (x,) if 0 in places[rank] else ()
    out = run.step(*given, target=y if 3 in places[rank] else None, losses=losses)
    after = run.eval(*given)
    same = (out is None and after is None) or fb.allclose(out, after)
    grads = {k: [p.grad for p in parts[k].parameters()] for k in places[rank]}
    return out, losses, grads, same


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("ScheduleInterleaved1F1B", [(0, 2), (1, 3)]),
        ("ScheduleLoopedBFS", [(0, 2), (1, 3)]),
        ("ScheduleInterleavedZeroBubble", [(0, 2), (1, 3)]),
        ("ScheduleZBVZeroBubble", [(0, 3), (1, 2)]),
        ("ScheduleDualPipeV", [(0, 3), (1, 2)]),
    ],
)
def test_several_stages_in_a_process(together, name, places):
    whole = fb.nn.Sequential(*_parts())
    fb.manual_seed(4)
    x, y = fb.randn(8, 4), fb.randn(8, 3)
    wanted = whole(x)
    fb.nn.functional.mse_loss(wanted, y).backward()
    found = together(lambda rank, size: _in_several_stages(rank, size, name, places))
    last = next(r for r, own in enumerate(places) if 3 in own)
    assert found[1 - last][0] is None and found[1 - last][1] == []
    assert fb.allclose(found[last][0], wanted, atol=1e-6) and len(found[last][1]) == 4
    assert all(same for *_, same in found)
    for _, _, grads, _ in found:
        for k, own in grads.items():
            for a, p in zip(own, whole[k].parameters(), strict=True):
                assert fb.allclose(a, p.grad, atol=1e-6)


def _refused(rank, size):
    with pytest.raises(ValueError, match="must be greater than or equal to the number of stages"):
        pp.Schedule1F1B(pp.PipelineStage(fb.nn.ReLU(), rank, 2, "cpu"), 1)
    with pytest.raises(RuntimeError, match="cannot be larger than number of stages"):
        pp.PipelineStage(fb.nn.ReLU(), 0, 1, "cpu")
    with pytest.raises(NotImplementedError, match="dw_builder"):
        pp.PipelineStage(fb.nn.ReLU(), rank, 3, "cpu", dw_builder=lambda: None)
    stages = [pp.PipelineStage(fb.nn.ReLU(), k, 4, "cpu") for k in (rank, rank + 2)]
    with pytest.raises(ValueError, match="Zero bubble requires the number of microbatches to be a multiple"):
        pp.ScheduleInterleavedZeroBubble(stages, 5)
    with pytest.raises(ValueError, match="ZBV requires exactly 2 stages per rank, but got 1"):
        pp.ScheduleZBVZeroBubble(stages[:1], 4)
    with pytest.raises(ValueError, match="got 3 microbatches and 4 stages"):
        pp.ScheduleDualPipeV(stages, 3)
    with pytest.raises(AssertionError, match="these are"):
        pp.ScheduleZBVZeroBubble(stages, 4)
    with pytest.raises(ValueError, match="Unknown schedule name 'nope'"):
        get_schedule_class("nope")
    assert get_schedule_class("interleaved1f1b") is pp.ScheduleInterleaved1F1B
    return dist.get_rank()


class Sizes(fb.nn.Module):
    def forward(self, x):
        n = x.shape[0]
        x = x * 2
        pp.pipe_split()
        return x.reshape(n * 2, -1)


def _numbers_go_along(rank, size):
    stage = pp.pipeline(Sizes(), mb_args=(fb.ones(2, 4),)).build_stage(rank, "cpu")
    run = pp.ScheduleGPipe(stage, 2)
    out = run.step(fb.ones(6, 4)) if rank == 0 else run.step()
    return out if out is None else (tuple(out.shape), out.sum().item())


def test_numbers_that_later_stages_need(together):
    assert together(_numbers_go_along) == [None, ((12, 2), 48.0)]


def test_cutting_changes_no_state():
    net = fb.nn.Sequential(fb.nn.BatchNorm1d(4), fb.nn.Dropout(), fb.nn.Linear(4, 2))
    before = {name: t.clone() for name, t in net.state_dict().items()}
    random = fb.get_rng_state()
    pp.pipeline(
        net, mb_args=(fb.randn(8, 4, generator=fb.Generator()),), split_spec={"2": pp.SplitPoint.BEGINNING}
    )
    assert all(fb.equal(t, before[name]) for name, t in net.state_dict().items())
    assert fb.equal(fb.get_rng_state(), random)


def test_specs_of_another_length_are_refused():
    x, spec = fb.ones(4, 4), microbatch.TensorChunkSpec(1)
    for args, specs in [((x, x), (spec,)), ((x,), (spec, spec)), (([x, x, x],), ((spec, spec),))]:
        with pytest.raises(ValueError, match="specs of dimensions for"):
            microbatch.split_args_kwargs_into_chunks(args, None, 2, specs)
    with pytest.raises(ValueError, match="specs of dimensions for"):
        microbatch.merge_chunks([(x, x, x), (x, x, x)], (spec, spec))
    assert [tuple(t.shape) for t in microbatch._pieces([x, x], spec, 2)[0]] == [(4, 2), (4, 2)]


def test_what_is_refused(together):
    assert together(_refused) == [0, 1]
