"""`torch.export`: graphs, signatures, dynamic sizes, files; texts as PyTorch 2.13 has them."""

import io
import json
import zipfile

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._dynamo.exc import UserError
from flambeau.export import Dim, dims, export, load, save
from flambeau.export.graph_signature import InputKind


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)
        self.register_buffer("b", fb.ones(3))
        self.c = fb.tensor([1.0, 2, 3])

    def forward(self, x, y=None):
        z = fb.relu(self.l(x)) + self.b * self.c
        return {"z": z, "w": (z.reshape(z.shape[0], -1), x.sum())}


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", fb.zeros(()))

    def forward(self, x, y):
        self.n.add_(1)
        z = x.mean(1).clone()
        z[0] = 0
        z += 1
        return z + self.n, fb.cat([z, y]), x.shape[0]


def test_graph_and_signature():
    ep = export(Model(), (fb.randn(2, 4),))
    assert ep.graph_module.code.strip() == (
        "def forward(self, p_l_weight, p_l_bias, b_b, c_c, x):\n"
        "    linear = torch.ops.aten.linear.default(x, p_l_weight, p_l_bias);  p_l_weight = p_l_bias = None\n"
        "    relu = torch.ops.aten.relu.default(linear);  linear = None\n"
        "    mul = torch.ops.aten.mul.Tensor(b_b, c_c);  b_b = c_c = None\n"
        "    add = torch.ops.aten.add.Tensor(relu, mul);  relu = mul = None\n"
        "    reshape = torch.ops.aten.reshape.default(add, [2, -1])\n"
        "    sum_1 = torch.ops.aten.sum.default(x);  x = None\n"
        "    return (add, reshape, sum_1)"
    )
    signature = ep.graph_signature
    assert signature.parameters == ("l.weight", "l.bias") and signature.buffers == ("b",)
    assert signature.lifted_tensor_constants == ("c",) and signature.user_inputs == ("x",)
    assert signature.user_outputs == ("add", "reshape", "sum_1")
    assert str(signature.input_specs[2]) == "b_b: BUFFER target='b' persistent=True"
    assert list(ep.state_dict) == ["l.weight", "l.bias", "b"] and list(ep.constants) == ["c"]
    assert signature.input_specs[0].kind is InputKind.PARAMETER
    node = next(n for n in ep.graph.nodes if n.name == "add")
    assert node.target is fb.ops.aten.add.Tensor and node.meta["val"].shape == (2, 3)


def test_text():
    lines = str(export(Model(), (fb.randn(2, 4),))).split("\n")
    assert lines[0] == "ExportedProgram:" and lines[1] == "    class GraphModule(torch.nn.Module):"
    assert lines[2] == (
        '        def forward(self, p_l_weight: "f32[3, 4]", p_l_bias: "f32[3]", b_b: "f32[3]", '
        'c_c: "f32[3]", x: "f32[2, 4]"):'
    )
    assert '            relu: "f32[2, 3]" = torch.ops.aten.relu.default(linear);  linear = None' in lines
    assert lines[-2:] == ["Range constraints: {}", ""]


def test_module_is_called_as_the_original():
    model = Model()
    module = export(model, (fb.randn(2, 4),)).module()
    x = fb.randn(2, 4)
    got, wanted = module(x), model(x)
    assert fb.equal(got["z"], wanted["z"]) and fb.equal(got["w"][1], wanted["w"][1])
    assert module.l.weight is model.l.weight
    got["z"].sum().backward()
    assert model.l.weight.grad is not None
    with pytest.raises(AssertionError, match=r"Guard failed: x\.size\(\)\[0\] == 2"):
        module(fb.randn(3, 4))
    with pytest.raises(ValueError, match=r"Trying to flatten user inputs with exported input tree spec"):
        module(x, x)
    with pytest.raises(NotImplementedError, match="not supported for exported modules"):
        module.eval()


def test_named_dimension():
    model = Model()
    ep = export(model, (fb.randn(2, 4),), dynamic_shapes={"x": {0: Dim("B", min=2, max=64)}})
    assert str(ep.range_constraints) == "{s0: VR[2, 64]}"
    assert str(next(n for n in ep.graph.nodes if n.name == "linear").meta["val"]) == "f32[s0, 3]"
    x = fb.randn(7, 4)
    assert fb.equal(ep.module()(x)["w"][0], model(x)["w"][0])
    with pytest.raises(AssertionError, match=r"Guard failed: x\.size\(\)\[0\] <= 64"):
        ep.module()(fb.randn(65, 4))
    with pytest.raises(UserError, match="Constraints violated"):
        export(model, (fb.randn(2, 4),), dynamic_shapes=({1: Dim("k")},))
    with pytest.raises(UserError, match=r"its top-level keys must be the arg names \['x'\]"):
        export(model, (fb.randn(2, 4),), dynamic_shapes={"x": None, "y": None})


def test_automatic_dimensions_and_writes():
    ep = export(
        Counter(), (fb.randn(3, 8), fb.randn(8)), dynamic_shapes=({0: Dim.AUTO, 1: Dim.AUTO}, {0: Dim.AUTO})
    )
    assert "torch.ops.aten.add_.Tensor(b_n, 1)" in ep.graph_module.code
    module, twin = ep.module(), Counter()
    for k in range(2):
        x, y = fb.randn(4 + k, 6), fb.randn(9)
        got, wanted = module(x, y), twin(x, y)
        assert all(fb.equal(a, b) for a, b in zip(got[:2], wanted[:2])) and got[2] == 4 + k
    assert module.n.item() == 2


def test_what_cannot_be_exported():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UserError, match="reads the value of a tensor"):
        export(Branches(), (fb.ones(2),))
    with pytest.raises(ValueError, match=r"Expected `mod` to be an instance of `torch\.nn\.Module`"):
        export(lambda x: x, (fb.ones(2),))
    with pytest.raises(UserError, match="Expecting `args` to be a tuple of example positional inputs"):
        export(Model(), fb.ones(2, 4))
    with pytest.raises(RuntimeError, match="Unable to call ExportedProgram directly"):
        export(Model(), (fb.ones(2, 4),))(fb.ones(2, 4))


def test_decompositions():
    model = Model()
    ep = export(model, (fb.randn(2, 4),), dynamic_shapes=({0: Dim("B")},)).run_decompositions()
    targets = [str(n.target) for n in ep.graph.nodes if n.op == "call_function"]
    assert targets[:3] == ["aten.permute.default", "aten.addmm.default", "aten.relu.default"]
    x = fb.randn(5, 4)
    assert fb.allclose(ep.module()(x)["z"], model(x)["z"], atol=1e-6)
    own = export(model, (x,)).run_decompositions({fb.ops.aten.relu.default: lambda t: t.clamp(min=0)})
    assert "relu" not in own.graph_module.code and "aten.linear" in own.graph_module.code
    with pytest.raises(NotImplementedError, match="writes in place"):
        export(Counter(), (fb.randn(3, 8), fb.randn(8))).run_decompositions()


def written(ep, **options):
    file = io.BytesIO()
    save(ep, file, **options)
    file.seek(0)
    return file


def test_files():
    model = Model()
    ep = export(model, (fb.randn(2, 4),), dynamic_shapes=({0: Dim("B")},))
    extra = {"note": ""}
    again = load(written(ep, extra_files={"note": "hello"}), extra_files=extra)
    assert extra["note"] == "hello" and str(again) == str(ep)
    x = fb.randn(5, 4)
    assert fb.equal(again.module()(x)["z"], model(x)["z"])
    assert isinstance(again.state_dict["l.weight"], nn.Parameter)


@pytest.mark.parametrize(
    ("place", "value"),
    [("target", "os.system.default"), ("name", "x); import os #"), ("op", "call_module")],
)
def test_a_file_runs_no_code(place, value):
    source = zipfile.ZipFile(written(export(Model(), (fb.randn(2, 4),))))
    description = json.loads(source.read("program.json"))
    next(n for n in description["nodes"] if n["op"] == "call_function")[place] = value
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(name, json.dumps(description) if name == "program.json" else source.read(name))
    file.seek(0)
    with pytest.raises((ValueError, RuntimeError)):
        load(file)


def test_damaged_files(tmp_path):
    whole = written(export(Model(), (fb.randn(2, 4),))).getvalue()
    for size in (0, 20, len(whole) // 2):
        with pytest.raises(RuntimeError, match=r"export.load: the file is damaged"):
            load(io.BytesIO(whole[:size]))
    source = zipfile.ZipFile(io.BytesIO(whole))
    text = source.read("program.json").decode()
    for old, new in (('"l.weight"', '"l.wait"'), ('"nodes"', '"notes"'), ('"op"', '"pop"')):
        assert old in text
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as target:
            for name in source.namelist():
                changed = text.replace(old, new)
                target.writestr(name, changed if name == "program.json" else source.read(name))
        file.seek(0)
        with pytest.raises((RuntimeError, ValueError), match=r"damaged|no tensor for 'l.wait'"):
            load(file)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt2"
    ep = export(Model(), (fb.randn(2, 4),))
    save(ep, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save(ep, path, extra_files={"note": 1})
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_foreign_file():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("archive/version", "0")
    file.seek(0)
    with pytest.raises(NotImplementedError, match=r"\.pt2 archives are not read"):
        load(file)


def test_dim():
    assert repr(Dim("b", min=2)) == "Dim('b', min=2)" and repr(Dim.AUTO) == "DimHint(AUTO)"
    a, b = dims("a", "b", max=9)
    assert (a.__name__, b.max) == ("a", 9) and repr(2 * a + 1) == "2*a + 1"
    with pytest.raises(NotImplementedError, match="derived dimension"):
        export(Model(), (fb.randn(2, 4),), dynamic_shapes=({0: 2 * a},))
