"""Backends of one's own: the graph they are given, when they are asked, what stays eager."""

import copy

import pytest

import flambeau as fb
from flambeau._dynamo.exc import BackendCompilerFailed, InvalidBackend, Unsupported

nn = fb.nn


class Recorder:
    """A backend that keeps its graphs and counts the calls of what it made."""

    def __init__(self):
        self.graphs, self.inputs, self.calls = [], [], 0

    def __call__(self, module, inputs):
        self.graphs.append(module)
        self.inputs.append(inputs)

        def run(*args):
            self.calls += 1
            return module(*args)

        return run


def test_graph_is_that_of_the_function():
    backend = Recorder()

    @fb.compile(backend=backend)
    def f(a, b):
        x = a / (fb.abs(a) + 1)
        return x * b

    a, b = fb.randn(3), fb.randn(3)
    for _ in range(3):
        assert fb.equal(f(a, b), a / (fb.abs(a) + 1) * b)
    (module,) = backend.graphs
    assert [(n.op, n.name) for n in module.graph.nodes] == [
        ("placeholder", "l_a_"), ("placeholder", "l_b_"), ("call_function", "abs_1"),
        ("call_function", "add"), ("call_function", "truediv"), ("call_function", "mul"),
        ("output", "output"),
    ]  # fmt: skip
    assert [t is u for t, u in zip(backend.inputs[0], (a, b))] == [True, True]
    assert backend.calls == 3
    f(fb.randn(4), fb.randn(4))  # another shape: another graph
    assert len(backend.graphs) == 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)

    def forward(self, x, scale=2.0):
        y = nn.functional.relu(self.norm(self.layer(x))) * scale
        y[0] = 1
        top, where = y.max(0)
        with fb.no_grad():
            still = y * 2
        return {"top": top, "rest": (1 - y.view(-1), where), "still": still, "scale": scale}


def test_module_with_parameters_buffers_writes_and_gradients():
    net, backend = Net(), Recorder()
    other = copy.deepcopy(net)
    compiled = fb.compile(net, backend=backend)
    for _ in range(3):
        x = fb.randn(5, 4)
        got, want = compiled(x), other(x)
        assert list(got) == list(want)
        assert got["scale"] == 2.0
        assert not got["still"].requires_grad
        (got["rest"][0].sum() + got["top"].sum()).backward()
        (want["rest"][0].sum() + want["top"].sum()).backward()
        for a, b in zip(net.parameters(), other.parameters()):
            assert fb.equal(a.grad, b.grad)
        for a, b in zip(net.buffers(), other.buffers()):
            assert fb.equal(a, b)
    assert len(backend.graphs) == 1
    assert backend.calls == 2  # the first call wrote to its buffers while it was recorded
    names = [n.name for n in backend.graphs[0].graph.nodes if n.op == "placeholder"]
    assert names[:2] == ["l_x_", "l_self_modules_layer_parameters_weight_"]
    net.eval()
    assert fb.equal(compiled(x)["top"], other.eval()(x)["top"])
    assert len(backend.graphs) == 2


def test_what_no_graph_holds_stays_eager():
    backend = Recorder()

    def f(x):
        return x * 2 if x.sum() > 0 else x * 3

    compiled = fb.compile(f, backend=backend)
    assert compiled(fb.ones(2)).tolist() == [2, 2]
    assert compiled(-fb.ones(2)).tolist() == [-3, -3]
    assert not backend.graphs
    with pytest.raises(Unsupported, match="Data-dependent branching"):
        fb.compile(f, backend=backend, fullgraph=True)(fb.ones(2))
    assert fb.compile(lambda x: x * x.max().item(), backend=backend)(fb.ones(2)).tolist() == [1, 1]
    assert not backend.graphs


def test_random_numbers_are_drawn_once():
    backend = Recorder()
    compiled = fb.compile(lambda x: x + fb.rand(3), backend=backend)
    fb.manual_seed(3)
    got = [compiled(fb.zeros(3)) for _ in range(2)]
    fb.manual_seed(3)
    assert all(fb.equal(g, fb.rand(3)) for g in got)


def test_backend_that_fails_and_registered_names():
    with pytest.raises(BackendCompilerFailed, match="compiler_fn did not return callable"):
        fb.compile(lambda x: x + 1, backend=lambda module, inputs: 3)(fb.ones(2))
    backend = Recorder()
    fb._dynamo.register_backend(backend, name="keeper")
    try:
        assert "keeper" in fb._dynamo.list_backends()
        assert fb.compile(lambda x: x + 1, backend="keeper")(fb.ones(2)).tolist() == [2, 2]
        assert backend.calls == 1
    finally:
        fb.compiler._registered.clear()
    with pytest.raises(InvalidBackend):
        fb.compile(lambda x: x, backend="keeper")


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "RMSprop", "NAdam", "Rprop"])
def test_steps_of_optimizers_are_in_the_graph(name):
    from flambeau._dynamo.testing import CompileCounter

    values = []
    counter = CompileCounter()
    for compiled in (False, True):
        w = fb.nn.Parameter(fb.ones(3))
        o = getattr(fb.optim, name)([w], lr=0.1)
        step = fb.compile(o.step, backend=counter) if compiled else o.step
        for i in range(4):
            w.grad = fb.tensor([1.0, -2.0, 0.5]) * (i - 1.5)
            step()
            if i == 1:
                o.param_groups[0]["lr"] = 0.2
        values.append(w.detach().clone())
    assert fb.equal(*values) and not fb.equal(values[0], fb.ones(3))
    assert counter.frame_count == 2 and counter.op_count >= 2


def test_backends_that_count_and_keep():
    from flambeau._dynamo.testing import CompileCounter, CompileCounterWithBackend, EagerAndRecordGraphs

    for counter in (
        CompileCounter(),
        CompileCounterWithBackend("eager"),
        CompileCounterWithBackend("inductor"),
    ):
        f = fb.compile(lambda x, y: (x + y).sin() * 2, backend=counter)
        assert fb.equal(f(fb.ones(3), fb.ones(3)), fb.full((3,), 2.0).sin() * 2)
        f(fb.ones(3), fb.ones(3))
        assert (counter.frame_count, counter.op_count) == (1, 3)
        counter.clear()
        assert (counter.frame_count, counter.op_count) == (0, 0)
    keeper = EagerAndRecordGraphs()
    fb.compile(lambda x: x * 2, backend=keeper)(fb.ones(2))
    assert [n.op for n in keeper.graphs[0].graph.nodes] == ["placeholder", "call_function", "output"]
