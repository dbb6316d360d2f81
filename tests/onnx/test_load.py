"""Models in ONNX as modules: against the numbers that ONNX's own operator tests have, and as modules
are used."""

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn

# operators whose tests are run as they come with the package onnx
OPERATORS = """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Celu Clip Col2Im Compress Concat Conv
    ConvTranspose CumSum
    DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf Expand EyeLike Flatten GRU Gather GatherElements
    GatherND
    Gelu Gemm GridSample GroupNormalization HardSigmoid Hardmax Identity If InstanceNormalization IsInf LRN
    LSTM
    LayerNormalization LeakyRelu LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mod
    NegativeLogLikelihoodLoss NonZero OneHot PRelu Pad Pow QuantizeLinear RNN Range ReduceL2 ReduceMax
    ReduceMean
    ReduceProd ReduceSum Reshape Resize ReverseSequence Round Scan ScatterElements ScatterND Selu Shape
    Shrink Slice
    Softmax SoftmaxCrossEntropyLoss SpaceToDepth Split Squeeze Tile TopK Transpose Trilu Unique Unsqueeze
    Where
""".split()
# what is refused, with the operators' own words
REFUSED = (
    "antialias", "tf_crop_and_resize", "in blocks", "uneven padding", "a cast to ONNX's type", "Scan: "
    "the ONNX operator",
    "other than pictures", "along other axes",
)  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_numbers_of_onnx_itself(operator, onnx):
    from onnx.backend.test.case.node import collect_testcases

    run = 0
    for case in collect_testcases(operator):
        arrays = [list(part) for part in case.data_sets[0]]
        if not all(isinstance(a, np.ndarray) and a.dtype.kind in "biuf" for part in arrays for a in part):
            continue  # sequences, strings, numbers of 8 bits and fewer
        try:
            module = torch.onnx.load(case.model)
            with torch.no_grad():
                made = module(*(torch.from_numpy(np.array(a)) for a in arrays[0]))
        except torch.onnx.OnnxExporterError:
            continue  # another operator of the model is missing
        except NotImplementedError as error:
            assert any(words in str(error) for words in REFUSED), (case.name, str(error))
            continue
        for g, w in zip(made if isinstance(made, tuple) else (made,), arrays[1], strict=True):
            assert (tuple(g.shape), g.numpy().dtype) == (w.shape, w.dtype), case.name
            np.testing.assert_allclose(g.numpy(), w, rtol=1e-3, atol=1e-5, err_msg=case.name)
        run += 1
    assert run


def test_a_module_comes_back_with_its_state_dict(onnx, tmp_path):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    ).eval()
    x = torch.randn(2, 1, 6, 6)
    path = tmp_path / "m.onnx"
    torch.onnx.export(model, (x,), path)
    read = torch.onnx.load(path)
    torch.testing.assert_close(read(x), model(x))
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("tracked")}
    assert set(state) <= set(read.state_dict())
    for name, value in state.items():
        assert torch.equal(read.state_dict()[name], value)
    trained = {n for n, _ in read.named_parameters()}
    assert trained == {n for n, _ in model.named_parameters()}
    assert "opset=18, nodes=5" in repr(read)


def test_it_can_be_trained_and_called_by_name(onnx):
    program = torch.onnx.export(nn.Linear(3, 1), (torch.ones(1, 3),), dynamic_shapes=({0: "n"},))
    read = torch.onnx.load(program.model_proto)
    x = torch.randn(16, 3)
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.SGD(read.parameters(), lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(read(input=x), y)
        loss.backward()
        optimizer.step()
    assert loss < 1e-2
    with pytest.raises(TypeError, match="missing inputs of the model: input"):
        read()


def test_what_is_missing_is_named(onnx):
    helper = onnx.helper
    infos = [helper.make_tensor_value_info(n, 1, [2]) for n in "xy"]
    nodes = [helper.make_node("Wavelet", ["x"], ["h"], domain="mine"), helper.make_node("Relu", ["h"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:]))
    with pytest.raises(
        torch.onnx.OnnxExporterError, match=r"not supported: mine.Wavelet\n.*flambeau.onnx.reader"
    ):
        torch.onnx.load(model)

    from flambeau.onnx._readers import READERS

    torch.onnx.reader("mine.Wavelet")(lambda x: x * 2)
    try:
        assert torch.onnx.load(model)(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 2.0]
    finally:
        del READERS["mine.Wavelet"]


def test_other_files_are_refused(onnx, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"not a model at all")
    with pytest.raises(torch.onnx.OnnxExporterError, match="is no ONNX model"):
        torch.onnx.load(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError):
        torch.onnx.load(tmp_path / "y.onnx")


def test_names_that_lead_nowhere(onnx, tmp_path):
    helper = onnx.helper
    infos = [helper.make_tensor_value_info(n, 1, [2]) for n in "xy"]

    def load(inputs, output):
        nodes = [helper.make_node("Add", inputs, [output], name="first")]
        model = helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:]))
        content = model.SerializeToString().replace(b"first", b"\xff\xfe\xfd\xfc\xfb", "bytes" in inputs)
        (tmp_path / "x.onnx").write_bytes(content)
        return torch.onnx.load(tmp_path / "x.onnx")

    assert load(["x", "x"], "y")(torch.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(torch.onnx.OnnxExporterError, match="Add 'first' reads 'gone', which nothing"):
        load(["x", "gone"], "y")
    with pytest.raises(torch.onnx.OnnxExporterError, match="output is 'y', which nothing before makes"):
        load(["x", "x"], "z")
    with pytest.raises(torch.onnx.OnnxExporterError, match=r"the name b'\\xff\\xfe.* is no UTF-8"):
        load(["x", "bytes"], "y")


def test_damage_is_told_as_one_error_that_names_the_file(onnx, tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()
    program = torch.onnx.export(model, (torch.ones(1, 1, 4, 4),))
    path = tmp_path / "m.onnx"

    def without_content(m):
        m.graph.initializer[0].ClearField("raw_data")

    def a_type_that_is_none(m):
        m.graph.initializer[0].data_type = 255

    def an_attribute_without_type(m):
        m.graph.node[0].attribute[0].ClearField("type")
        m.graph.node[0].attribute[0].ref_attr_name = "x"

    def no_data_file(m):
        m.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
        m.graph.initializer[0].external_data.add(key="location", value="gone")

    def an_output_without_name(m):
        m.graph.output[0].name = ""

    harms = (without_content, a_type_that_is_none, an_attribute_without_type, no_data_file)
    for harm in (*harms, an_output_without_name):
        proto = type(program.model_proto)()
        proto.CopyFrom(program.model_proto)
        harm(proto)
        path.write_bytes(proto.SerializeToString())
        with pytest.raises(torch.onnx.OnnxExporterError, match=r"m\.onnx"):
            torch.onnx.load(path)
    content = program.model_proto.SerializeToString()
    for at in range(0, len(content), 7):  # wherever it is cut
        path.write_bytes(content[:at])
        with pytest.raises(torch.onnx.OnnxExporterError, match=r"m\.onnx"):
            torch.onnx.load(path)
