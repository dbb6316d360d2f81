"""Models in stages; losses and gradients are PyTorch's of the same run."""

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed import pipelining as pp
from flambeau.distributed.pipelining import microbatch


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


def _refused(rank, size):
    with pytest.raises(ValueError, match="must be greater than or equal to the number of stages"):
        pp.Schedule1F1B(pp.PipelineStage(fb.nn.ReLU(), rank, 2, "cpu"), 1)
    with pytest.raises(RuntimeError, match="cannot be larger than number of stages"):
        pp.PipelineStage(fb.nn.ReLU(), 0, 1, "cpu")
    with pytest.raises(NotImplementedError, match="one stage in each process"):
        pp.PipelineStage(fb.nn.ReLU(), rank, 3, "cpu")
    return dist.get_rank()


def test_what_is_refused(together):
    assert together(_refused) == [0, 1]
