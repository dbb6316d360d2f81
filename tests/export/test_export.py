"""`torch.export`: graphs, signatures, dynamic sizes, files; texts as PyTorch 2.13 has them."""

import io
import zipfile
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._dynamo.exc import UserError
from flambeau.export import AdditionalInputs, Dim, ShapesCollection, dims, export, load, save, unflatten
from flambeau.export.graph_signature import InputKind, OutputKind

GOLDEN = Path(__file__).parents[1] / "golden"


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
    counter, norm = Counter(), nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=True))
    pair = (fb.randn(3, 8), fb.randn(8))
    for module, given, names in (
        (counter, pair, ["n"]),
        (norm, (fb.randn(5, 4),), ["1.running_mean", "1.running_var", "1.num_batches_tracked"]),
    ):
        plain = export(module, given)
        core = plain.run_decompositions()
        outputs = core.graph_signature.output_specs
        assert {s.target for s in outputs if s.kind is OutputKind.BUFFER_MUTATION} == set(names)
        assert module is counter or not any("_." in str(n.target) for n in core.graph.nodes)
        ours, theirs = load(written(core)).module(), plain.module()
        for _ in range(2):  # the state goes on from call to call
            fb.testing.assert_close(ours(*given), theirs(*given))


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


def changed(file, change):
    """The archive with the description of its program changed."""
    source, target = zipfile.ZipFile(file), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            archive.writestr(
                name, change(content.decode()) if name == "archive/models/model.json" else content
            )
    target.seek(0)
    return target


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ops.aten.relu.default", "os.system.default"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.__class__.default"),
        ('"relu"', '"x); import os #"'),
        ('"x"', '"x=print(1)"'),
    ],
)
def test_a_file_runs_no_code(old, new):
    file = written(export(Model(), (fb.randn(2, 4),)))
    with pytest.raises((ValueError, RuntimeError)):
        load(changed(file, lambda text: text.replace(old, new)))


def test_damaged_files(tmp_path):
    whole = written(export(Model(), (fb.randn(2, 4),))).getvalue()
    for size in (0, 20, len(whole) // 2):
        with pytest.raises(RuntimeError, match=r"export.load: the file is damaged"):
            load(io.BytesIO(whole[:size]))
    for old, new in (('"l.weight"', '"l.wait"'), ('"nodes"', '"notes"'), ('"target"', '"aim"')):
        with pytest.raises((RuntimeError, ValueError), match=r"damaged|no tensor for 'l.wait'"):
            load(changed(io.BytesIO(whole), lambda text, old=old, new=new: text.replace(old, new)))


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
    with pytest.raises(NotImplementedError, match=r"not a \.pt2 archive"):
        load(file)
    with pytest.raises(NotImplementedError, match="version 9"):
        load(
            changed(
                written(export(Model(), (fb.randn(2, 4),))), lambda t: t.replace('"major": 8', '"major": 9')
            )
        )


# PyTorch 2.13 wrote these: a linear layer, batch norm, buffers in and out of the state, a constant, an
# argument that is a number, a dictionary; with a dynamic batch in training, in evaluation for four rows as
# core operators, and in training as core operators, where what is written into buffers became outputs
def test_a_file_of_pytorch():
    extra = {"note.txt": ""}
    ep = load(GOLDEN / "exported.pt2", extra_files=extra)
    assert extra["note.txt"] == "kept along" and list(map(str, ep.range_constraints.values())) == [
        "VR[3, 64]"
    ]
    module = ep.module()
    x, scale = fb.arange(15.0).reshape(5, 3) / 7 - 1, {"s": fb.tensor(3.0)}
    result, most, rows, low = module(x, 3, scale=scale)
    fb.testing.assert_close(most, fb.tensor([7.65264702, 4.82632303, 2, 3.62113595, 5.74227142]))
    fb.testing.assert_close(result["y"][0], fb.tensor([5.74063969, 5.74240303, 1.5, 5.73948526]))
    assert result["parts"][2] is None and rows == 5 and low.shape == (5, 2) and low.isneginf().all()
    assert module.n.num_batches_tracked == 1 and module.shift == 0.5 and "shift" not in ep.state_dict
    stack = next(n for n in ep.graph.nodes if n.name == "linear").meta["nn_module_stack"]
    assert list(stack.values()) == [("", "__main__.Net"), ("l", "torch.nn.modules.linear.Linear")]
    with pytest.raises(AssertionError, match="Guard failed"):
        module(x[:2], 3, scale=scale)
    again = load(written(ep)).module()(x, 3, scale=scale)
    assert again[1].equal(module(x, 3, scale=scale)[1])
    tree = unflatten(ep)
    assert [name for name, _ in tree.named_children()] == ["l", "n"]
    fb.testing.assert_close(tree(x, 3, scale=scale)[1], most)


def test_core_operators_of_pytorch():
    x, scale = fb.arange(12.0).reshape(4, 3) / 7 - 1, {"s": fb.tensor(3.0)}
    most = load(GOLDEN / "exported_core.pt2").module()(x, 3, scale=scale)[1]
    written_ = load(GOLDEN / "exported_written.pt2").module()
    mean, count = written_.n.running_mean.clone(), int(written_.n.num_batches_tracked)
    written_(x, 3, scale=scale)
    assert written_.n.num_batches_tracked == count + 1 and not mean.equal(written_.n.running_mean)
    assert len(most) == 4 and most.isfinite().all()


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)
        self.register_buffer("b", fb.ones(3))

    def forward(self, x, twice=False):
        y = fb.relu(self.l(x)) + self.b
        return (y, y * 2) if twice else y


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.a, self.k = nn.Linear(3, 3), Part(), fb.ones(3) * 2

    def forward(self, x, *, scale):
        p, q = self.a(self.a(x), True)
        return {"o": self.w(nn.functional.linear(p, self.a.l.weight)) * scale["s"] + q + self.k}


def test_unflatten():
    model, x, scale = Whole(), fb.randn(2, 3), {"s": fb.tensor(2.0)}
    ep = export(model, (x,), {"scale": scale})
    assert [e.fqn for e in ep.module_call_graph] == ["", "w", "a", "a.l"]
    second = next(n for n in ep.graph.nodes if n.name == "linear_1").meta["nn_module_stack"]
    assert list(second) == ["L__self__", "L__self__a@1", "L__self__a.l@1"]
    for program in (ep, load(written(ep)), ep.run_decompositions()):
        tree = unflatten(program)
        assert [n for n, _ in tree.named_modules()] == ["", "w", "a", "a.l", "a@1"]
        assert dict(tree.named_parameters()).keys() == dict(model.named_parameters()).keys()
        fb.testing.assert_close(tree(x + 1, scale=scale), model(x + 1, scale=scale))
        assert "a@1" in str(tree.graph) and "aten.mul" in str(tree.get_submodule("a@1").graph)
    tree.a = nn.Identity()  # a part may be replaced
    with (
        pytest.warns(UserWarning, match="does not match"),
        pytest.raises(TypeError, match="flat args adapter"),
    ):
        unflatten(ep)(x)
    with pytest.raises(RuntimeError, match="Guard failed"):
        unflatten(ep)(x[0], scale=scale)


def test_shapes_of_the_tensors_themselves():
    model, x = Model(), fb.randn(4, 4)
    shapes = ShapesCollection()
    shapes[x] = {0: Dim("b")}
    assert export(model, (x,), dynamic_shapes=shapes).module()(fb.randn(7, 4))["z"].shape == (7, 3)
    with pytest.raises(ValueError, match="not found in args"):
        shapes.dynamic_shapes(model, (x.clone(),))
    more = AdditionalInputs()
    more.add((fb.randn(6, 4),))
    assert more.dynamic_shapes(model, (x,)) == {"x": (Dim.DYNAMIC, None)}
    ep = export(model, (x,), dynamic_shapes=more)
    more.verify(ep)
    assert list(map(str, ep.range_constraints.values())) == ["VR[2, int_oo]"]


def test_dim():
    assert repr(Dim("b", min=2)) == "Dim('b', min=2)" and repr(Dim.AUTO) == "DimHint(AUTO)"
    a, b = dims("a", "b", max=9)
    assert (a.__name__, b.max) == ("a", 9) and repr(2 * a + 1) == "2*a + 1"
    program = export(Model(), (fb.randn(2, 4),), dynamic_shapes=({0: 2 * a},))
    assert list(map(str, program.range_constraints)) == ["s0", "2*s0"]
