"""Symbolic functions of PyTorch's older exporter, registered for operators."""

import pytest

import flambeau as fb
from flambeau.onnx import operators, symbolic_helper, symbolic_opset9, symbolic_opset11, symbolic_opset12

pytest.importorskip("onnx.helper")  # without the package this folder has its name
onnx = pytest.importorskip("onnx")


@pytest.fixture
def register():
    made = []

    def add(name, function, opset=9):
        fb.onnx.register_custom_op_symbolic(name, function, opset)
        made.append((name, opset))

    yield add
    for name, opset in made:
        fb.onnx.unregister_custom_op_symbolic(name, opset)


def kinds(program):
    return [(n.domain, n.op_type) for n in program.model_proto.graph.node]


@fb.library.custom_op("census::scaled", mutates_args=())
def scaled(x: fb.Tensor, by: float) -> fb.Tensor:
    return x * by


@scaled.register_fake
def _(x, by):
    return fb.empty_like(x)


def test_an_operator_of_ones_own(register):
    @symbolic_helper.parse_args("v", "f")
    def write(g, x, by):
        assert symbolic_helper._get_tensor_sizes(x) == [2, 3] and x.type().scalarType() == "Float"
        return g.op("mine::Scaled", x, by_f=by, modes_i=[1, 2])

    register("census::scaled", write)
    made = fb.onnx.export(lambda x: scaled(x, 2.5).relu(), (fb.ones(2, 3),), custom_opsets={"mine": 7})
    assert kinds(made) == [("mine", "Scaled"), ("", "Relu")]
    (node, _) = made.model_proto.graph.node
    assert {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} == {
        "by": 2.5,
        "modes": [1, 2],
    }
    assert {o.domain: o.version for o in made.model_proto.opset_import}["mine"] == 7


def test_an_operator_of_the_exporter(register):
    ort = pytest.importorskip("onnxruntime")
    register("aten::gelu", lambda g, x, approximate: g.op("Mul", x, symbolic_opset9.sigmoid(g, x)))
    made = fb.onnx.export(fb.nn.GELU(), (fb.ones(2, 3),))
    assert kinds(made) == [("", "Sigmoid"), ("", "Mul")]
    session = ort.InferenceSession(made.model_proto.SerializeToString())
    x = fb.arange(6.0).view(2, 3)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert fb.allclose(fb.from_numpy(found), x * x.sigmoid())


def test_functions_to_call(register):
    ort = pytest.importorskip("onnxruntime")

    def write(g, x, by):
        x = symbolic_opset9.masked_fill(
            g, x, g.op("Greater", x, g.op("Constant", value_t=fb.tensor(2.0))), by
        )
        x = symbolic_opset9.softmax(g, x, -1)
        x = symbolic_opset12.dropout(g, symbolic_opset11.unsqueeze(g, x, -1), 0.5, False)
        assert x.type().sizes() == [2, 3, 1]
        return symbolic_opset11.select(g, symbolic_opset11.squeeze(g, x, 2), 0, 1)

    register("census::scaled", write)
    made = fb.onnx.export(lambda x: scaled(x, 0.5), (fb.ones(2, 3),))
    session = ort.InferenceSession(made.model_proto.SerializeToString())
    x = fb.arange(6.0).view(2, 3)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert fb.allclose(fb.from_numpy(found), x.masked_fill(x > 2, 0.5).softmax(-1)[1])


def test_versions(register):
    register("census::scaled", lambda g, x, by: g.op("Neg", x), 9)
    register("census::scaled", lambda g, x, by: g.op("Abs", x), 18)
    register("census::scaled", lambda g, x, by: g.op("Exp", x), 22)
    for opset, kind in ((16, "Neg"), (18, "Abs"), (23, "Exp")):
        made = fb.onnx.export(lambda x: scaled(x, 0.5), (fb.ones(2),), opset_version=opset)
        assert kinds(made) == [("", kind)]


def test_what_is_refused():
    with pytest.raises(
        fb.onnx.OnnxExporterError, match="The symbolic name must match the format domain::name"
    ):
        fb.onnx.register_custom_op_symbolic("abc", lambda g, x: x, 11)
    with pytest.raises(fb.onnx.OnnxExporterError, match="Unsupported: ONNX export of operator op, msg"):
        symbolic_helper._unimplemented("op", "msg")
    with pytest.raises(AttributeError, match="has no attribute 'no_such'"):
        symbolic_opset9.no_such  # noqa: B018
    with pytest.raises(AssertionError, match="mismatch between the number of arguments"):
        symbolic_helper.parse_args("v", "i")(lambda g, x, i: x)(None, 1, 2, 3)


def test_tables_and_sizes():
    assert symbolic_helper.cast_pytorch_to_onnx["Half"] == fb.onnx.TensorProtoDataType.FLOAT16
    assert [int(n) for n in symbolic_helper.scalar_type_to_onnx] == [
        2, 3, 5, 6, 7, 10, 1, 11, 0, 14, 15, 9, 3, 2, 6, 16,
    ]  # fmt: skip
    assert operators.shape_as_tensor(fb.ones(2, 3)).tolist() == [2, 3]
    assert operators.reshape_from_tensor_shape(fb.ones(2, 3), fb.tensor([3, 2])).shape == (3, 2)
    assert fb.onnx.utils.register_custom_op_symbolic is fb.onnx.register_custom_op_symbolic
