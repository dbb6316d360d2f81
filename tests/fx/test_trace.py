"""Graphs and code of traced programs, letter by letter those of torch 2.13."""

import json
from pathlib import Path

import pytest
from fx.traced import described, programs

import flambeau as torch
from flambeau import fx, nn

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
PROGRAMS = programs(torch)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_as_torch(name):
    assert described(torch, PROGRAMS[name]) == GOLDEN[name]


@fx.wrap
def doubled(x):
    return x.sum().item() * 2 + len(x)


fx.wrap("len")


def test_wrapped_functions_are_one_node():
    traced = fx.symbolic_trace(lambda x: doubled(x) + len(x))
    assert [n.name for n in traced.graph.nodes] == ["x", "doubled", "len_1", "add", "output"]
    assert 'torch.fx._symbolic_trace.wrap("len")' in traced.code
    assert traced(torch.ones(3)) == 12
    assert fx.symbolic_trace(traced).code == traced.code
    assert doubled(torch.ones(3)) == 9  # not wrapped any more


def test_wrap_is_for_the_top_level():
    with pytest.raises(NotImplementedError, match="wrap must be called at the top level of a module"):
        fx.wrap("doubled")
    with pytest.raises(RuntimeError, match="Unsupported type for global function"):
        fx.wrap(3)


def test_concrete_arguments():
    def f(x, flag=True, y=None):
        return x + 1 if flag else x if y is None else y

    traced = fx.symbolic_trace(f, concrete_args={"flag": False, "y": None})
    assert traced.code == (
        "\n\n\ndef forward(self, x, flag_1 = True, y_1 = None):\n    eq = flag_1 == False;  flag_1 = None\n"
        "    _assert = torch._assert(eq, 'flag has been specialized to have value False but got "
        "another value');  "
        "eq = _assert = None\n"
        "    _assert_is_none = torch.fx._symbolic_trace._assert_is_none(y_1, 'y has been "
        "specialized to have value "
        "None but got another value');  y_1 = _assert_is_none = None\n    return x\n    "
    )
    assert traced(3, False) == 3
    with pytest.raises(AssertionError, match="flag has been specialized"):
        traced(3, True)


def test_structures_of_arguments():
    class M(nn.Module):
        def forward(self, x, y):
            return {"a": x[0] + y, "b": [x[1]]}

    traced = fx.symbolic_trace(M(), concrete_args={"x": [fx.PH, fx.PH]})
    assert traced.code == (
        "\n\n\ndef forward(self, x, y):\n"
        "    self, x_1, x_2, y, = fx_pytree.tree_flatten_spec([self, x, y], self._in_spec)\n"
        "    add = x_1 + y;  x_1 = y = None\n    return pytree.tree_unflatten([add, x_2], "
        "self._out_spec)\n    "
    )
    assert traced([torch.ones(1), 5], 2) == {"a": torch.full((1,), 3.0), "b": [5]}


def test_tracers_of_ones_own():
    class Deep(fx.Tracer):
        def is_leaf_module(self, m, name):
            return False

    graph = Deep().trace(nn.Sequential(nn.Linear(2, 2)))
    assert [n.target for n in graph.nodes if n.op == "get_attr"] == ["0.weight", "0.bias"]

    class Known(fx.Tracer):
        def to_bool(self, obj):
            return True

        def iter(self, obj):
            return iter([obj[0]])

        def keys(self, obj):
            return ["a"]

    graph = Known().trace(lambda x: ([v * 1 for v in x], dict(**x), 1 if x else 2))
    assert str(graph.output_node().args[0]) == "([mul], {'a': getitem_1}, 1)"


def test_modules_that_are_not_children():
    class M(nn.Module):
        def forward(self, x):
            return nn.ReLU()(x)

    with pytest.raises(NameError, match="module is not installed as a submodule"):
        fx.symbolic_trace(M())


def test_nothing_stays_patched():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(fx.proxy.TraceError):
        fx.symbolic_trace(lambda x: x if x else model(x))
    assert "__call__" not in vars(nn.Module) and "__getattr__" not in vars(nn.Module)
    assert nn.functional.relu(torch.tensor(-1.0)) == 0 and not fx._symbolic_trace.is_fx_tracing()


def test_proxies_by_hand():
    graph = fx.Graph()
    x = fx.Proxy(graph.placeholder("x"))
    graph.output((torch.relu(x) + x.shape[0]).node)
    assert fx.GraphModule({}, graph)(torch.tensor([-1.0, 2.0])).tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="Found multiple different tracers"):
        torch.add(x, fx.Proxy(graph.placeholder("y")))


def test_a_specification_with_a_registered_class():
    from flambeau.fx._pytree import tree_flatten_spec
    from flambeau.utils import _pytree

    class Pair:
        def __init__(self, first, second):
            self.first, self.second = first, second

    _pytree.register_pytree_node(Pair, lambda p: ([p.first, p.second], None), lambda parts, _: Pair(*parts))
    _, spec = _pytree.tree_flatten({"x": Pair(1, (2, 3))})
    assert tree_flatten_spec({"x": Pair(4, (5, 6))}, spec) == [4, 5, 6]
