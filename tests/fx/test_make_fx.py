import flambeau as fb
from flambeau.fx.experimental.proxy_tensor import get_proxy_mode, make_fx


def lines(g):
    return [
        line.split(";")[0].strip() for line in g.code.splitlines() if " = torch." in line or "return" in line
    ]


def test_operators_are_written_down_with_their_names():
    g = make_fx(lambda x, y: fb.relu(x @ y).sum())(fb.randn(2, 3), fb.randn(3, 4))
    assert lines(g) == [
        "mm = torch.ops.aten.mm.default(x_1, y_1)",
        "relu = torch.ops.aten.relu.default(mm)",
        "sum_1 = torch.ops.aten.sum.default(relu)",
        "return sum_1",
    ]
    a, b = fb.randn(2, 3), fb.randn(3, 4)
    assert fb.equal(g(a, b), fb.relu(a @ b).sum())


def test_a_backward_is_part_of_the_graph():
    def f(x):
        return fb.autograd.grad((x.sin() * 2).sum(), x)[0]

    g = make_fx(f)(fb.randn(3, requires_grad=True))
    assert [n.name for n in g.graph.nodes if n.op == "call_function"] == [
        "sin", "mul", "sum_1", "ones_like", "expand", "mul_1", "cos", "mul_2",
    ]  # fmt: skip
    x = fb.randn(3)
    assert fb.equal(g(x), 2 * x.cos())


def test_parameters_become_attributes_and_tuples_items():
    layer = fb.nn.Linear(3, 2)
    g = make_fx(lambda x: layer(x).max(1))(fb.randn(4, 3))
    assert [n for n, _ in g.named_parameters()] == ["_param_constant0", "_param_constant1"]
    x = fb.randn(4, 3)
    values, indices = g(x)
    assert fb.equal(values, layer(x).max(1).values) and fb.equal(indices, layer(x).max(1).indices)


def test_containers_in_and_out():
    def f(d):
        return {"s": d["a"] + d["b"], "t": [d["a"] * 2]}

    g = make_fx(f)({"a": fb.ones(2), "b": fb.ones(2)})
    assert "d_1, d_2, = fx_pytree.tree_flatten_spec([d], self._in_spec)" in g.code
    out = g({"a": fb.ones(2), "b": fb.full((2,), 3.0)})
    assert out["s"].tolist() == [4, 4] and out["t"][0].tolist() == [2, 2]


def test_decompositions_are_traced_and_fakes_have_no_numbers():
    table = {fb.ops.aten.sigmoid.default: lambda x: fb.exp(x)}
    g = make_fx(lambda x: fb.sigmoid(x), decomposition_table=table)(fb.ones(2))
    assert lines(g)[0] == "exp = torch.ops.aten.exp.default(x_1)"
    assert lines(make_fx(lambda x: x + 1, tracing_mode="fake")(fb.ones(2)))[0] == (
        "add = torch.ops.aten.add.Tensor(x_1, 1)"
    )
    assert get_proxy_mode() is None
