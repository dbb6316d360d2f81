"""The nodes and values of a traced program; kinds, schemas and sizes are PyTorch's."""

import flambeau as fb


def net():
    return fb.nn.Sequential(fb.nn.Linear(2, 3), fb.nn.ReLU(), fb.nn.Flatten(0))


def test_the_graph_of_a_call():
    graph, out, inputs = fb.jit._get_trace_graph(net(), (fb.ones(1, 2),), return_inputs=True)
    assert isinstance(graph, fb._C.Graph) and out.shape == (3,) and len(inputs) == 3
    nodes = list(graph.nodes())
    assert [n.kind() for n in nodes] == [
        "aten::linear", "aten::relu", "prim::Constant", "prim::Constant", "aten::flatten",
    ]  # fmt: skip
    assert nodes[0].schema() == "aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor"
    assert [n.output().toIValue() for n in nodes] == [None, None, 0, -1, None]
    assert [n.output().type().sizes() for n in nodes] == [[1, 3], [1, 3], None, None, [3]]
    assert nodes[2].attributeNames() == ["value"] and nodes[2].schema() == "(no schema)"
    assert nodes[2].i("value") == 0 and nodes[2].output().type().kind() == "IntType"
    first = next(graph.inputs())
    assert isinstance(first, fb._C.Value) and first.isCompleteTensor() and not first.requires_grad()
    seen = first.type()
    assert (seen.sizes(), seen.strides(), seen.scalarType(), seen.dtype()) == (
        [1, 2],
        [2, 1],
        "Float",
        fb.float32,
    )
    assert [v.requires_grad() for v in graph.inputs()] == [False, True, True]
    assert first.node() is graph.param_node() and graph.param_node().kind() == "prim::Param"
    (use,) = first.uses()
    assert use.user is nodes[0] and use.offset == 0
    assert [v.type().sizes() for v in graph.outputs()] == [
        [3]
    ] and graph.return_node().kind() == "prim::Return"
    assert len(fb.jit._get_trace_graph(fb.nn.Linear(2, 3), fb.ones(1, 2))) == 2


def test_the_graph_of_a_program():
    traced = fb.jit.trace(lambda x: fb.cat([x, x]).split(1)[0] + 1.5, fb.ones(2, 2))
    graph = traced.graph
    assert "aten::cat" in graph and str(graph) == graph.copy()
    assert [n.kind() for n in graph.nodes()][:3] == ["prim::ListConstruct", "prim::Constant", "aten::cat"]
    assert graph.findNode("aten::split").output().type().kind() == "ListType"
    assert graph.findNode("prim::ListUnpack").outputsSize() == 4 and graph.findNode("aten::mul") is None
    assert len(graph.findAllNodes("prim::ListConstruct")) == 1
    assert graph.findNode("aten::cat").inputsAt(0).type().annotation_str() == "List[Tensor]"
    assert next(graph.inputs()).type().sizes() is None  # the program is not run for this


def test_types_that_programs_name():
    assert fb.jit.annotations.List[int].__args__ == (int,) and fb.jit.annotations.Future is fb.jit.Future
