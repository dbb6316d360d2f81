"""torch.jit: traced programs run, train, move, and come back from files; scripted ones run their Python."""

import copy
import io
import subprocess
import sys
import zipfile

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.jit._program import TracedProgram


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = x.reshape(x.size(0), x.size(1), -1).mean(-1)
        return self.fc(x) * self.scale, x


def test_a_traced_module_follows_sizes_and_weights():
    torch.manual_seed(0)
    model = Net().eval()
    traced = torch.jit.trace(model, torch.randn(2, 3, 6, 6))
    for shape in [(2, 3, 6, 6), (5, 3, 6, 6), (1, 3, 12, 7)]:
        x = torch.randn(shape)
        torch.testing.assert_close(traced(x), model(x))
    with torch.no_grad():
        model.fc.weight.mul_(2)
    torch.testing.assert_close(traced(x), model(x))
    assert list(traced.state_dict()) == list(model.state_dict())
    assert traced.fc.weight is model.fc.weight
    assert repr(traced) == (
        "Net(\n  original_name=Net\n  (conv): Conv2d(original_name=Conv2d)\n"
        "  (norm): BatchNorm2d(original_name=BatchNorm2d)\n  (fc): Linear(original_name=Linear)\n)"
    )
    assert isinstance(traced, torch.jit.ScriptModule) and "self.fc.weight" in traced.code
    assert traced.graph.startswith("graph(%self, %x):") and "aten::relu" in traced.graph


def test_a_traced_module_trains():
    torch.manual_seed(0)
    model = Net()
    x = torch.randn(4, 3, 6, 6)
    means = model.norm.running_mean.clone()
    traced = torch.jit.trace(copy.deepcopy(model), x, check_trace=True)
    assert not torch.equal(traced.norm.running_mean, means)  # as one call of the module leaves it
    model(x)
    torch.testing.assert_close(traced.norm.running_mean, model.norm.running_mean)
    for m in (model, traced):
        m(x)[0].square().sum().backward()
    for p, q in zip(model.parameters(), traced.parameters()):
        torch.testing.assert_close(p.grad, q.grad)


def test_saved_and_loaded():
    model = Net().eval()
    traced = torch.jit.trace(model, torch.randn(2, 3, 6, 6))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={"note": "hello"})
    with zipfile.ZipFile(buffer) as archive:
        texts = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".py")]
    assert any("class Net(Module)" in t and "def forward(self" in t for t in texts)
    buffer.seek(0)
    extra = {"note": ""}
    loaded = torch.jit.load(buffer, _extra_files=extra)
    assert extra["note"] == b"hello"
    x = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(loaded(x), model(x))
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert all(p.requires_grad for p in loaded.parameters()) and not loaded.training
    assert repr(loaded).startswith(
        "RecursiveScriptModule(\n  original_name=Net\n  (conv): RecursiveScriptModule(orig"
    )
    torch.testing.assert_close(copy.deepcopy(loaded)(x), model(x))
    loaded.double()
    assert loaded(x.double())[0].dtype == torch.float64


def test_a_file_runs_without_the_source(tmp_path):
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x, pair):
            return {"sum": x @ self.w + pair[0], "both": [x, pair[1].sin()]}

    x, pair = torch.ones(3, 2), (torch.ones(3), torch.zeros(1))
    torch.jit.trace(Local(), (x, pair)).save(tmp_path / "local.pt")
    program = (
        "import flambeau as torch, sys; m = torch.jit.load(sys.argv[1]);r = m(torch.ones(3, 2), "
        "(torch.ones(3), torch.zeros(1)));print(r['sum'].tolist(), len(r['both']))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "local.pt")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split("\n")[0] == "[4.0, 4.0, 4.0] 2"


def test_traced_functions():
    scale = torch.tensor([1.0, 2.0])

    def f(x, n=3):
        return (x * scale).sum(-1) + n

    traced = torch.jit.trace(f, torch.ones(2, 2))
    assert isinstance(traced, torch.jit.ScriptFunction) and traced.name == "f"
    assert traced(torch.ones(4, 2)).tolist() == [6.0] * 4
    x = torch.ones(1, 2, requires_grad=True)
    traced(x).backward()
    assert x.grad.tolist() == [[1.0, 2.0]]
    again = torch.jit.load(io.BytesIO(traced.save_to_buffer()))
    assert again(torch.ones(4, 2)).tolist() == [6.0] * 4
    with pytest.raises(RuntimeError, match="takes other arguments"):
        traced(torch.ones(2), torch.ones(2))


def test_sizes_that_cannot_be_followed_are_refused():
    def halves(x):
        return x[: x.shape[0] // 2 + 1] if x.shape[0] > 2 else x

    traced = torch.jit.trace(halves, torch.ones(2, 3))
    assert traced(torch.ones(2, 3)).shape == (2, 3)
    with pytest.raises(RuntimeError, match="recorded for size 2 of dimension 0, not 4"):
        traced(torch.ones(4, 3))


def test_numbers_that_leave_the_graph_are_warned_of():
    with pytest.warns(torch.jit.TracerWarning, match="might cause the trace to be incorrect"):
        traced = torch.jit.trace(lambda x: x * x.sum().item(), torch.ones(3))
    assert traced(torch.ones(3) * 2).tolist() == [6.0] * 3


def test_random_numbers_and_checks():
    traced = torch.jit.trace(nn.Dropout(0.5), torch.ones(20))
    torch.manual_seed(1)
    a = traced(torch.ones(20))
    torch.manual_seed(1)
    assert torch.equal(a, nn.functional.dropout(torch.ones(20)))
    calls = []

    def moody(x):
        calls.append(1)
        return x * len(calls)

    with pytest.raises(torch.jit.TracingCheckError, match="does not match the Python function"):
        torch.jit.trace(moody, torch.ones(2))


def test_several_methods():
    class Two(nn.Module):
        def forward(self, x):
            return x + 1

        def other(self, x, y):
            return x * y

    traced = torch.jit.trace_module(
        Two(), {"forward": torch.ones(2), "other": (torch.ones(2), torch.ones(2))}
    )
    assert traced(torch.ones(2)).tolist() == [2.0, 2.0]
    assert traced.other(torch.ones(2), torch.full((2,), 3.0)).tolist() == [3.0, 3.0]
    loaded = torch.jit.load(io.BytesIO(traced.save_to_buffer()))
    assert loaded.other(torch.ones(2), torch.full((2,), 3.0)).tolist() == [3.0, 3.0]


def test_frozen():
    model = Net()
    traced = torch.jit.trace(model.eval(), torch.randn(2, 3, 6, 6))
    x = torch.randn(2, 3, 6, 6)
    want = model(x)
    frozen = torch.jit.freeze(traced)
    with torch.no_grad():
        model.fc.weight.zero_()
    torch.testing.assert_close(frozen(x), want)
    assert not list(frozen.parameters()) and type(frozen).__name__ == "RecursiveScriptModule"
    torch.testing.assert_close(torch.jit.load(io.BytesIO(frozen.save_to_buffer()))(x), want)
    with pytest.raises(RuntimeError, match="only implemented for modules in eval mode"):
        torch.jit.freeze(traced.train())
    with pytest.raises(RuntimeError, match="expects a ScriptModule"):
        torch.jit.freeze(model)


def test_scripted_programs_run_their_python():
    @torch.jit.script
    def power(x, n: int = 3):
        for _ in range(n):
            x = x * 2
        return x

    assert isinstance(power, torch.jit.ScriptFunction) and power.name == "power"
    assert power(torch.ones(1)).item() == 8 and power(torch.ones(1), n=1).item() == 2
    assert "for _ in range(n):" in power.code
    with pytest.raises(NotImplementedError, match=r"torch\.jit\.trace makes one"):
        print(power.graph)
    buffer = io.BytesIO()
    torch.jit.save(power, buffer)
    assert torch.jit.load(buffer)(torch.ones(1), 2).item() == 4

    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.step = nn.Linear(2, 2), 3

        @torch.jit.export
        def other(self, x):
            return x * self.step

        def forward(self, x):
            return self.fc(x) if self.training else x

    model = Counter()
    scripted = torch.jit.script(model)
    x = torch.ones(1, 2)
    torch.testing.assert_close(scripted(x), model(x))
    assert scripted.other(x).tolist() == [[3.0, 3.0]] and scripted.step == 3
    assert scripted.eval()(x) is x and not model.training
    assert repr(scripted).startswith(
        "RecursiveScriptModule(\n  original_name=Counter\n  (fc): RecursiveScriptModule("
    )
    assert list(scripted.state_dict()) == ["fc.weight", "fc.bias"]


def test_errors_of_files(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        torch.jit.load(tmp_path / "none.pt")
    with pytest.raises(AttributeError, match="has no attribute 'save'"):
        torch.jit.save(nn.Linear(1, 1), io.BytesIO())
    torch.save({"a": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(RuntimeError, match=r"torch\.load reads checkpoints"):
        torch.jit.load(tmp_path / "checkpoint.pt")
    with pytest.raises(RuntimeError, match="not a ZIP archive"):
        torch.jit.load(io.BytesIO(b"nothing"))


@pytest.mark.parametrize("change", [lambda x: x.mul_(3), lambda x: x.data.mul_(3)])
def test_trace_of_a_function_that_writes_to_its_input(change):
    def f(x):
        change(x)
        return x * 2

    x = torch.ones(2, 3)
    traced = torch.jit.trace(f, (x,))
    assert x[0, 0] == 3  # run once to be recorded; the check works on copies
    y = torch.ones(2, 3)
    assert traced(y)[0, 0] == 6
    assert y[0, 0] == 3


def changed_program(change):
    """A traced program whose description was changed by ``change(description)``."""
    described = torch.jit.trace(lambda x: (x.sum(0) + 1).relu(), torch.ones(2, 3))._program
    description = copy.deepcopy(described.describe())
    change(description)
    return TracedProgram(constants=described.constants, **description)


CHANGES = [
    lambda p: p["layout"].update(slots=-1),
    lambda p: p["layout"].update(slots=2**62),
    lambda p: p["layout"].update(outputs=[10**6]),
    lambda p: p["layout"].update(slots=p["layout"]["slots"] + 1, outputs=[p["layout"]["slots"]]),
    lambda p: p["steps"][0][1].__setitem__(0, ["int", 5]),
    lambda p: p["steps"][0][1].__setitem__(0, ["none", None]),
    lambda p: p["steps"][0][1].__setitem__(0, ["tensor", -1]),
    lambda p: p["steps"][0][1].__setitem__(0, ["tensor", p["steps"][-1][4][0]]),
    lambda p: p["steps"][0][1].__setitem__(1, ["tensor", p["layout"]["inputs"][0]]),
    lambda p: p["steps"][0][1].__setitem__(3, ["dtype", 99]),
    lambda p: p["steps"][0].__setitem__(4, [1, 1, 1, 1, 1]),
    lambda p: p["steps"][0].__setitem__(2, [0, 0]),
    lambda p: p["steps"][0].__setitem__(3, True),
    lambda p: p["steps"].pop(0),
]


@pytest.mark.parametrize("change", CHANGES)
def test_programs_that_cannot_be(change):
    with pytest.raises((ValueError, RuntimeError)) as raised:
        changed_program(change).run([(torch.ones(2, 3),), {}], {}.__getitem__)
    assert "vector" not in str(raised.value) and "std::" not in str(raised.value)


def test_traced_programs_without_sizes_take_any_number_of_dimensions():
    act = torch.jit.trace(lambda x: torch.tanh(x) * 2, (torch.ones(10),))
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(act(x), torch.tanh(x) * 2)
    sized = torch.jit.trace(lambda x: x.reshape(x.shape[0], 1), (torch.ones(10),))
    with pytest.raises(RuntimeError, match="1 dimensions, not 2"):
        sized(torch.ones(2, 3))


class _Silent(tuple):
    """A tuple that does not say its length."""

    def __len__(self):
        raise NotImplementedError


def test_tracing_past_tuples_without_length():
    class Holds(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = _Silent((1, 2))

        def forward(self, x):
            return x * 2

    assert torch.jit.trace(Holds(), (torch.ones(2),))(torch.ones(2)).tolist() == [2, 2]


def test_graph_modules_scripted_raise_what_programs_raise():
    def checked(x):
        torch._assert(x.shape[-1] == 2, "invalid input shape")
        return x * 2

    scripted = torch.jit.script(torch.fx.symbolic_trace(checked))
    assert scripted(torch.ones(2)).tolist() == [2, 2]
    with pytest.raises(torch.jit.Error, match="AssertionError: invalid input shape"):
        scripted(torch.ones(3))
    with pytest.raises(RuntimeError, match="missing a required argument"):
        scripted()
