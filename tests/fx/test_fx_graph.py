"""Graphs made and changed by hand, and modules made of them."""

import copy
import operator
import pickle
import sys

import pytest

import flambeau as torch
from flambeau import fx, nn


@pytest.fixture
def graph():
    g = fx.Graph()
    x, y = g.placeholder("x"), g.placeholder("y", torch.Tensor, 3)
    a = g.call_function(torch.add, (x, y))
    b = g.call_method("relu", (a,))
    c, w = g.call_module("lin", (b,)), g.get_attr("w")
    g.output((g.call_function(operator.add, (c, w)), [a, {"k": b}]))
    return g


@pytest.fixture
def root():
    m = nn.Module()
    m.lin, m.w = nn.Linear(2, 2), nn.Parameter(torch.ones(2))
    return m


def node(graph, name):
    return next(n for n in graph.nodes if n.name == name)


CODE = """


def forward(self, x, y : torch.Tensor = 3):
    add = torch.add(x, y);  x = y = None
    relu = add.relu()
    lin = self.lin(relu)
    w = self.w
    add_1 = lin + w;  lin = w = None
    return (add_1, [add, {'k': relu}])
    """


def test_printing(graph, capsys):
    assert str(graph) == (
        "graph():\n"
        "    %x : [num_users=1] = placeholder[target=x]\n"
        "    %y : torch.Tensor [num_users=1] = placeholder[target=y](default=3)\n"
        "    %add : [num_users=2] = call_function[target=torch.add](args = (%x, %y), kwargs = {})\n"
        "    %relu : [num_users=2] = call_method[target=relu](args = (%add,), kwargs = {})\n"
        "    %lin : [num_users=1] = call_module[target=lin](args = (%relu,), kwargs = {})\n"
        "    %w : [num_users=1] = get_attr[target=w]\n"
        "    %add_1 : [num_users=1] = call_function[target=operator.add](args = (%lin, %w), kwargs = {})\n"
        "    return (add_1, [add, {'k': relu}])"
    )
    graph.print_tabular()
    assert capsys.readouterr().out.splitlines()[2].split() == ["placeholder", "x", "x", "()", "{}"]


def test_module(graph, root):
    gm = fx.GraphModule(root, graph, "Foo")
    assert (
        gm.code == CODE
        and gm._get_name() == "Foo"
        and sorted(gm.state_dict()) == ["lin.bias", "lin.weight", "w"]
    )
    out, (a, rest) = gm(torch.tensor([-4.0, 1.0]))
    assert a.tolist() == [-1.0, 4.0] and rest["k"].tolist() == [0.0, 4.0]
    assert torch.equal(out, root.lin(rest["k"]) + 1)
    with pytest.raises(RuntimeError, match="Unsupported type 3 passed for root!"):
        fx.GraphModule(3, graph)
    with pytest.raises(RuntimeError, match="Node lin referenced target lin but that target was not provided"):
        fx.GraphModule({}, graph)


def test_changing(graph, root):
    gm = fx.GraphModule(root, graph)
    a, b = node(graph, "add"), node(graph, "relu")
    with pytest.raises(
        RuntimeError, match=r"Tried to erase Node add but it still had 1 users in the graph: {relu: No"
    ):
        one = fx.Graph()
        n = one.call_function(torch.add, (one.placeholder("x"), 1))
        one.call_method("relu", (n,))
        one.erase_node(n)
    with graph.inserting_before(b):
        new = graph.call_function(torch.relu, (a,))
    assert b.replace_all_uses_with(new) and not b.users
    graph.erase_node(b)
    with graph.inserting_after(new):
        graph.call_function(nn.functional.dropout, (new,), {"p": 0.1})
    assert graph.eliminate_dead_code() and not graph.eliminate_dead_code()
    graph.lint()
    gm.recompile()
    assert [n.name for n in graph.nodes] == ["x", "y", "add", "relu_1", "lin", "w", "add_1", "output"]
    assert "relu_1 = torch.relu(add)" in gm.code and graph.find_nodes(
        op="call_function", target=torch.relu
    ) == [new]


def test_arguments(graph):
    x, y, a, b = (node(graph, n) for n in ("x", "y", "add", "relu"))
    a.update_arg(1, 5)
    a.update_kwarg("alpha", 2)
    assert a.args == (x, 5) and a.kwargs == {"alpha": 2} and not y.users
    a.replace_input_with(x, y)
    assert a.args == (y, 5) and a.all_input_nodes == [y] and x < a and list(x.users) == []
    b.insert_arg(0, y)
    assert b.args == (y, a)
    with pytest.raises(TypeError, match="'immutable_list' object does not support mutation"):
        graph.output_node().args[0][1].append(3)
    found = fx.node.map_arg({"a": (x, 1, [y]), "s": slice(x, None)}, lambda n: n.name)
    assert found == {"a": ("x", 1, ["y"]), "s": slice("x", None)}


def test_lint_and_wrong_nodes(graph):
    other = fx.Graph()
    other.call_function(torch.relu, (node(graph, "x"),))
    with pytest.raises(RuntimeError, match="Argument 'x' of Node 'relu' does not belong to this Graph"):
        other.lint()
    with pytest.raises(AssertionError, match="op 'foo' is not in _legal_ops"):
        graph.create_node("foo", "x")
    with pytest.raises(ValueError, match="target s has type str but a Callable is expected"):
        graph.call_function("s")
    with pytest.raises(AssertionError, match="Attempting to move a Node into a different Graph"):
        node(graph, "x").append(other.placeholder("z"))
    n = graph.call_function(torch.relu, (node(graph, "add_1"),))
    node(graph, "x").append(n)
    with pytest.raises(RuntimeError, match="was used before it has been defined"):
        graph.lint()


def test_names():
    g = fx.Graph()
    names = [
        g.call_method(n).name
        for n in ("x.", "x.", "getattr", "Foo.Bar", "0", "0", "def", "torch", "a_3", "a_3")
    ]
    assert names == ["x_", "x__1", "getattr_1", "foo_bar", "_0", "_0_1", "def_1", "torch_1", "a_3", "a_4"]


def test_in_place_operators_and_attributes():
    g = fx.Graph()
    x = g.placeholder("x")
    for f, args in ((operator.setitem, (x, 0, 1)), (operator.iadd, (x, 1)), (getattr, (x, "a b"))):
        g.call_function(f, args)
    g.output(None)
    assert fx.GraphModule({}, g).code.split("\n")[4:-2] == [
        "    x[0] = 1;  setitem = x;  setitem = None",
        "    x += 1;  iadd = x;  iadd = None",
        "    getattr_1 = getattr(x, 'a b');  x = getattr_1 = None",
    ]
    g.eliminate_dead_code()
    assert [n.name for n in g.nodes] == ["x", "setitem", "output"]


def test_copies_and_files(graph, root, tmp_path, monkeypatch):
    gm = fx.GraphModule(root, graph)
    x = torch.tensor([1.0, -2.0])
    twin = copy.deepcopy(gm)
    assert twin.code == gm.code and twin.w is not gm.w and twin.graph is not gm.graph
    again = pickle.loads(pickle.dumps(gm))
    assert again.code == gm.code and torch.equal(again(x)[0], gm(x)[0])
    torch.save(gm, tmp_path / "gm.pt")
    assert torch.equal(torch.load(tmp_path / "gm.pt", weights_only=False)(x)[0], gm(x)[0])
    gm.to_folder(tmp_path / "written", "Written")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        from written import Written

        assert torch.equal(Written()(x)[0], gm(x)[0])
    finally:
        for name in ("written", "written.module"):
            sys.modules.pop(name, None)


def test_children(root):
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.lin(x)

    gm = fx.symbolic_trace(M())
    assert not hasattr(gm, "unused") and not hasattr(gm, "helper")
    assert (
        gm.add_submodule("x.y", nn.ReLU()) and gm.delete_submodule("x.y") and not gm.delete_submodule("x.z")
    )
    gm.delete_all_unused_submodules()
    assert [n for n, _ in gm.named_modules()] == ["", "lin"]
