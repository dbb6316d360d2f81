"""What a program writes into its arguments and buffers it writes when it is loaded again."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

import flambeau as torch
from flambeau import nn


def loaded(program):
    stream = io.BytesIO()
    torch.jit.save(program, stream)
    return torch.jit.load(stream)


def whole(x):
    x.zero_()
    return x + 1


def row(x):
    x[1] = 7
    return x * 1


def column(x):
    x[:, 1].fill_(3)
    y = x.t()
    y.mul_(2)
    return x * 1


def parts(x):
    a, b = x.chunk(2, 1)
    b.copy_(a)
    x.diagonal().add_(1)
    return torch.zeros(2)


def places(x):
    x[x > 2] = 0
    x.index_put_((torch.tensor([0]),), torch.tensor(5.0))
    return x * 1


def result_of(x):
    torch.mul(x, 3, out=x)
    return x * 1


def no_schema_says_so(x):
    x.ldexp_(torch.ones(2))
    return x * 1


WRITES = [whole, row, column, parts, places, result_of, no_schema_says_so]


@pytest.mark.parametrize("f", WRITES)
@pytest.mark.parametrize("made", ["trace", "script"])
def test_arguments(f: Callable, made: str):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    wanted, given = x.clone(), x.clone()
    result = f(wanted)
    program = loaded(torch.jit.script(f) if made == "script" else torch.jit.trace(f, (x.clone(),)))
    assert torch.equal(program(given), result)
    assert torch.equal(given, wanted) and not torch.equal(given, x)


def test_a_list_of_arguments():
    def f(xs):
        xs[0].add_(1)
        xs[1][0] = 5
        return xs[0] * 1

    a, b = torch.ones(2), torch.ones(3)
    loaded(torch.jit.trace(f, ([torch.ones(2), torch.ones(3)],)))([a, b])
    assert a.tolist() == [2, 2] and b.tolist() == [5, 1, 1]


def test_an_operator_of_the_program():
    @torch.library.custom_op("jit_writes::keep", mutates_args={"y"})
    def keep(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        y.add_(x)
        return x.clone()

    def f(x, y):
        keep(x, y)
        return x + 1

    y = torch.ones(2)
    loaded(torch.jit.trace(f, (torch.ones(2), torch.ones(2))))(torch.ones(2), y)
    assert y.tolist() == [2, 2]


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", torch.zeros(2))

    def forward(self, x):
        self.n.add_(x.sum(0))
        self.n[0] *= 2
        return x + self.n


class Within(nn.Module):
    """Uses layers of which only what they keep matters."""

    def __init__(self):
        super().__init__()
        self.count, self.norm = Counts(), nn.BatchNorm1d(2)
        self.mean, self.each = (
            nn.BatchNorm1d(2, momentum=None),
            nn.InstanceNorm1d(2, track_running_stats=True),
        )

    def forward(self, x):
        self.norm(x)
        self.mean(x)
        self.each(x.reshape(1, 2, 2))
        self.count(x)
        return x * 1


@pytest.mark.parametrize("made", ["trace", "script"])
@pytest.mark.parametrize("kind", [Counts, Within])
def test_buffers(kind, made):
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    own, scripted = kind(), made == "script"
    again = loaded(torch.jit.script(kind()) if scripted else torch.jit.trace(kind(), (x,), check_trace=False))
    state = {k: v.clone() for k, v in again.state_dict().items()}
    own.load_state_dict(state)
    for scale in (1, 2, 3):
        assert torch.allclose(again(x * scale), own(x * scale))
    for name, value in own.state_dict().items():
        if scripted or not name.startswith("mean."):  # its factor was a number of the trace
            assert torch.allclose(again.state_dict()[name], value), name
        kept = name.endswith(("weight", "bias", "each.num_batches_tracked"))
        assert kept or not torch.equal(value, state[name])


def test_a_layer_that_is_not_trained_counts_nothing():
    program = loaded(torch.jit.script(nn.Sequential(nn.BatchNorm1d(2))).eval())
    program(torch.ones(3, 2))
    assert program.state_dict()["0.num_batches_tracked"] == 0
    program.train()(torch.rand(3, 2))
    assert program.state_dict()["0.num_batches_tracked"] == 1


def test_exported_programs_write_too():
    module = Within()
    module.mean = nn.Identity()  # its factor is a number read from a tensor
    program = torch.export.export(module, (torch.rand(2, 2),)).module()
    before = {k: v.clone() for k, v in program.state_dict().items()}
    program(torch.rand(2, 2) + 3)
    for name in ("norm.running_mean", "norm.num_batches_tracked", "count.n", "each.running_var"):
        assert not torch.equal(program.state_dict()[name], before[name]), name


def test_steps_that_lead_nowhere_are_left_out():
    def f(x):
        torch.exp(x)
        nn.functional.batch_norm(x, x[0] * 1, x[0] * 1, training=False)
        return x + 1

    program = loaded(torch.jit.trace(f, (torch.rand(2, 2),)))
    assert "exp" not in program.code and "batch_norm" not in program.code


def test_the_shape_of_an_argument_changes():
    def f(x):
        y = x * 1
        x.unsqueeze_(0)
        return x + y

    with pytest.warns(torch.jit.TracerWarning, match="shape of an argument"):
        traced = torch.jit.trace(f, torch.ones(2, 3), check_trace=False)
    found = traced(torch.arange(6.0).reshape(2, 3))
    assert found.tolist() == [[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]]
    assert torch.equal(loaded(traced)(torch.arange(6.0).reshape(2, 3)), found)
