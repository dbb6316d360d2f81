"""Interpreters, transformers, patterns, and passes."""

import pytest

import flambeau as torch
from flambeau import fx, nn
from flambeau.fx.experimental.optimization import fuse, remove_dropout
from flambeau.fx.passes.shape_prop import ShapeProp


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(2, 2)

    def forward(self, x, w1, w2):
        v = torch.relu(x) + w1
        return torch.relu(self.l(v)) + w2


def test_interpreter():
    gm = fx.symbolic_trace(Chain())
    seen = []

    class Noting(fx.Interpreter):
        def run_node(self, n):
            seen.append(n.name)
            return super().run_node(n)

    args = torch.ones(2), torch.ones(2), torch.ones(2)
    assert torch.equal(Noting(gm).run(*args), gm(*args))
    assert seen == ["x", "w1", "w2", "relu", "add", "l", "relu_1", "add_1", "output"]
    with pytest.raises(
        RuntimeError, match="Expected positional argument for parameter x, but one was not passed in!"
    ):
        fx.Interpreter(gm).run()
    with pytest.raises(RuntimeError, match="While executing %l : "):
        fx.Interpreter(gm).run(torch.ones(3), torch.ones(3), 1)


def test_transformer():
    class Other(fx.Transformer):
        def call_function(self, target, args, kwargs):
            return super().call_function(torch.sigmoid if target is torch.relu else target, args, kwargs)

    made = Other(fx.symbolic_trace(Chain())).transform()
    assert [n.name for n in made.graph.nodes][3:] == ["sigmoid", "add", "l", "sigmoid_1", "add_1", "output"]


def test_replace_pattern():
    gm = fx.symbolic_trace(Chain())
    found = fx.replace_pattern(gm, lambda x, y: torch.relu(x) + y, lambda x, y: torch.sigmoid(x) * y)
    assert str(found) == (
        "[Match(anchor=add, nodes_map={add: add, relu: relu, x: x, y: w1}), "
        "Match(anchor=add, nodes_map={add: add_1, relu: relu_1, x: l, y: w2})]"
    )
    assert gm.code == (
        "\n\n\ndef forward(self, x, w1, w2):\n    sigmoid = torch.sigmoid(x);  x = None\n"
        "    mul = sigmoid * w1;  sigmoid = w1 = None\n    l = self.l(mul);  mul = None\n"
        "    sigmoid_1 = torch.sigmoid(l);  l = None\n    mul_1 = sigmoid_1 * w2;  sigmoid_1 = w2 = None\n"
        "    return mul_1\n    "
    )
    gm.graph.lint()


def test_patterns_that_are_used_from_outside_stay():
    gm = fx.symbolic_trace(lambda x: (torch.relu(x) + 1, torch.relu(x).sum()))
    assert len(fx.replace_pattern(gm, lambda x: torch.relu(x) + 1, lambda x: x)) == 1
    gm = fx.symbolic_trace(lambda x: [torch.relu(x)] * 2 if False else (lambda r: (r + 1, r))(torch.relu(x)))
    assert fx.replace_pattern(gm, lambda x: torch.relu(x) + 1, lambda x: x) == []


def test_shape_prop():
    gm = fx.symbolic_trace(Chain())
    ShapeProp(gm).propagate(torch.ones(2, 2), torch.ones(2), torch.ones(2))
    n = next(n for n in gm.graph.nodes if n.name == "l")
    assert str(n.meta["tensor_meta"]) == (
        "TensorMetadata(shape=torch.Size([2, 2]), dtype=torch.float32, requires_grad=True, stride=(2, 1), "
        "memory_format=torch.contiguous_format, is_quantized=False, qparams={})"
    )
    assert 'relu: "f32[2, 2]" = torch.relu(x);' in gm.print_readable(False)


def test_fuse_and_remove_dropout():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout()).eval()
    model[1].running_mean += 0.5
    x = torch.rand(2, 1, 5, 5)
    fused = fuse(model)
    assert [n.target for n in fused.graph.nodes if n.op == "call_module"] == ["0", "2", "3"]
    torch.testing.assert_close(fused(x), model(x))
    assert [n.target for n in remove_dropout(model).graph.nodes if n.op == "call_module"] == ["0", "1", "2"]
