"""Modules that are called in an unflattened program as in the original; golden values by PyTorch 2.13."""

import io

import pytest

import flambeau as fb


class Inner(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = fb.nn.Linear(3, 3)

    def forward(self, x, *, scale=None, by=2):
        return {"o": self.l(x) * scale * by, "x": (x,)}


class Outer(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = Inner(), fb.nn.ReLU()

    def forward(self, x):
        found = self.a(x, scale=x.sum(), by=3)
        return self.b(found["o"] + found["x"][0])


class Twice(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.b = fb.nn.Linear(3, 3)

    def forward(self, x):
        return self.b(self.b(x))


def _exported(net=None, kept=("a",), **options):
    net = net or Outer()
    x = fb.randn(2, 3)
    return net, x, fb.export.export(net, (x,), preserve_module_call_signature=kept, **options)


def test_signature():
    _, _, program = _exported()
    entries = {e.fqn: e.signature for e in program.module_call_graph}
    assert list(entries) == ["", "a", "a.l", "b"] and entries["b"] is None
    call = entries["a"]
    assert [getattr(a, "value", None) or a.name for a in call.inputs] == ["x", "sum_1", 3]
    assert [a.name for a in call.outputs] == ["mul_1", "x"]
    assert call.in_spec.num_leaves == 3 and call.forward_arg_names is None
    # the graph is what it is without
    assert "view_as" not in str(program.graph)
    _, _, program = _exported(Twice(), ("b",))
    assert [(e.fqn, e.signature is None) for e in program.module_call_graph] == [
        ("", False), ("b", False), ("b@1", False),
    ]  # fmt: skip


class Other(fb.nn.Module):
    def forward(self, x, *, scale=None, by=2):
        return {"o": x * 0 + by, "x": (x,)}


@pytest.mark.parametrize("through_a_file", [False, True])
def test_called_as_before(through_a_file):
    net, x, program = _exported()
    if through_a_file:
        file = io.BytesIO()
        fb.export.save(program, file)
        program = fb.export.load(io.BytesIO(file.getvalue()))
    again = fb.export.unflatten(program)
    assert fb.allclose(again(x), net(x))
    direct = again.a(x, scale=x.sum(), by=3)
    assert list(direct) == ["o", "x"] and fb.allclose(direct["o"], net.a(x, scale=x.sum(), by=3)["o"])
    calls = [n for n in again.graph.nodes if n.op == "call_module"]
    assert [n.target for n in calls] == ["a", "b"] and list(calls[0].kwargs) == ["scale", "by"]
    again.a = Other()  # another module of the same signature takes its place
    assert fb.allclose(again(x), (x + 3).relu())


def test_several_calls_and_dynamic_sizes():
    net, x, program = _exported(Twice(), ("b",), dynamic_shapes=({0: fb.export.Dim("n", min=1)},))
    again = fb.export.unflatten(program)
    assert fb.allclose(again(x), net(x))
    assert again(fb.ones(5, 3)).shape == (5, 3)


def test_what_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _exported(kept=("nope",))
    _, _, program = _exported()
    with pytest.raises(NotImplementedError, match="preserve_module_call_signature"):
        program.run_decompositions()
