"""Modules and functions whose annotations name what only a type checker imports."""

import sys
import textwrap
from types import ModuleType

import pytest

import flambeau as fb
import flambeau.fx.experimental.proxy_tensor
from flambeau._annotations import annotations_of, copy_annotations, signature_of

SOURCE = """
import flambeau as fb

class Net(fb.nn.Module):
    def __init__(self, width: "Absent" = 2, *, device: "Absent" = None):
        super().__init__()
        self.layer = fb.nn.Linear(2, width, device=device)

    def forward(self, x: fb.Tensor, scale: "Absent | None" = None, **more: "Absent") -> "Absent":
        return self.layer(x) if scale is None else self.layer(x) * scale

class Twice(fb.autograd.Function):
    @staticmethod
    def forward(x: "Absent", factor: "Absent" = 2) -> "Absent":
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None

def plain(x: fb.Tensor, scale: "Absent" = 3, *, shift: "Absent" = 1) -> "Absent":
    return x * scale + shift

class Piped(fb.utils.data.IterDataPipe):
    def __init__(self, items: "Absent"):
        self.items = items

    def __iter__(self):
        yield from self.items

class Held(fb.nn.Module):
    kept: int
    other: "Absent"

    def __init__(self):
        super().__init__()
        self.kept = 3
        self.layer = fb.nn.Linear(2, 2)

    def forward(self, x: fb.Tensor):
        return self.layer(x) * self.kept
"""


@pytest.fixture(params=["text", "evaluated late"])
def written(request: pytest.FixtureRequest, tmp_path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with its annotations as text, and since Python 3.14 as they are written there."""
    if request.param == "text":
        source = SOURCE
    elif sys.version_info < (3, 14):
        pytest.skip("annotations are evaluated at once")
    else:
        source = SOURCE.replace('"Absent | None"', "Absent | None").replace('"Absent"', "Absent")
    name = f"annotated_{request.param.replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop(name, None)
    return __import__(name)


def test_signatures_and_copies(written: ModuleType) -> None:
    signature = signature_of(written.plain)
    assert list(signature.parameters) == ["x", "scale", "shift"]
    assert signature.parameters["x"].annotation is fb.Tensor
    assert signature.parameters["scale"].annotation == signature.return_annotation == "Absent"
    assert list(signature_of(written.Net).parameters) == ["width", "device"]
    assert list(signature_of(written.Net().forward).parameters) == ["x", "scale", "more"]
    stated = {"x": fb.Tensor, "scale": "Absent", "shift": "Absent", "return": "Absent"}
    assert annotations_of(written.plain) == stated
    assert annotations_of(written.Held) == {"kept": int, "other": "Absent"}
    assert annotations_of(3) == {}

    def taken() -> None: ...

    copy_annotations(written.plain, taken)
    assert annotations_of(taken) == stated
    written.plain.__annotations__ = {"x": float}
    copy_annotations(written.plain, taken)
    assert annotations_of(taken) == {"x": float}


def test_functions_with_setup_context(written: ModuleType) -> None:
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    written.Twice.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_fx(written: ModuleType) -> None:
    net, x = written.Net(), fb.rand(3, 2)
    traced = fb.fx.symbolic_trace(net, concrete_args={"scale": None})
    assert fb.equal(traced(x), net(x))
    traced = fb.fx.symbolic_trace(written.plain)
    assert fb.equal(traced(x, 3, 1), written.plain(x))
    assert [n.type for n in traced.graph.nodes if n.op == "placeholder"] == [fb.Tensor, "Absent", "Absent"]
    made = fb.fx.experimental.proxy_tensor.make_fx(lambda x: written.plain(x))(x)
    assert fb.equal(made(x), written.plain(x))
    found = fb.fx.operator_schemas.normalize_function(
        written.plain, (x,), {}, normalize_to_only_use_kwargs=True
    )
    assert list(found.kwargs) == ["x", "scale", "shift"]


def test_programs(written: ModuleType) -> None:
    net, x = written.Net(), fb.rand(3, 2)
    assert fb.equal(fb.export.export(net, (x,)).module()(x), net(x))
    assert fb.equal(fb.jit.trace(net, (x,))(x), net(x))
    assert fb.equal(fb.compile(net)(x), net(x))
    held = written.Held()
    assert fb.equal(fb.jit.script(held)(x), held(x))


def test_backends_are_told_the_names(written: ModuleType) -> None:
    seen = []

    def backend(module, inputs):
        seen.extend(n.name for n in module.graph.nodes if n.op == "placeholder")
        return module.forward

    x = fb.rand(2)
    assert fb.equal(fb.compile(written.plain, backend=backend)(x), x * 3 + 1)
    assert "l_x_" in seen


def test_onnx(written: ModuleType, tmp_path) -> None:
    pytest.importorskip("onnx.helper")  # a folder of tests may go by the shorter name
    import onnx

    fb.onnx.export(written.Net(), (fb.rand(3, 2),), tmp_path / "net.onnx", dynamo=False)
    assert [i.name for i in onnx.load(tmp_path / "net.onnx").graph.input] == ["x"]


def test_the_rest(written: ModuleType) -> None:
    assert fb.nn.utils.skip_init(written.Net, 3).layer.weight.shape == (3, 2)
    from flambeau.ao.quantization.utils import get_fqn_to_example_inputs

    x = fb.rand(3, 2)
    outer = fb.nn.Sequential(written.Net())
    assert [v.shape for v in get_fqn_to_example_inputs(outer, (x,))["0.layer"]] == [x.shape]
    assert "Piped" in repr(written.Piped([1]))
