import pytest

import flambeau as fb
from flambeau import nn
from flambeau.seeing import ModelSummary
from flambeau.seeing._cost import multiply_adds
from flambeau.vision import models


def test_lenet(capsys):
    result = fb.summary(models.LeNet(), fb.rand(2, 1, 28, 28))
    out = capsys.readouterr().out
    assert isinstance(result, ModelSummary) and str(result) in out
    assert result.parameters == result.trainable == sum(p.numel() for p in models.LeNet().parameters())
    # by hand: 6 and 16 channels of 5×5 kernels, then 400·120 + 120·84 + 84·10
    conv = 6 * 28 * 28 * 25 + 16 * 10 * 10 * 6 * 25
    assert result.multiply_adds == 2 * (conv + 400 * 120 + 120 * 84 + 84 * 10)
    assert result.input_bytes == 2 * 28 * 28 * 4 and result.seconds > 0
    first = next(layer for layer in result.layers if layer.kind == "Conv2d")
    assert first.output_shapes == [(2, 6, 28, 28)] and first.output_bytes == 2 * 6 * 28 * 28 * 4
    assert "├─ " in out and "2×6×28×28" in out


def test_resnet18_is_known():
    result = fb.summary(models.resnet18(), (1, 3, 64, 64), show=False)
    assert result.parameters == 11_689_512
    # 1,814,073,344 at 224×224 as published; all but the last layer's 512,000 go with the area
    assert result.multiply_adds == (1_814_073_344 - 512_000) * 64**2 // 224**2 + 512_000
    assert repr(result).startswith("ModelSummary(ResNet: 11,689,512")


def test_the_model_is_left_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    model[2].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    data = fb.rand(8, 4)
    random = fb.get_rng_state()
    fb.summary(model, data, show=False)
    assert model[1].training and not model[2].training
    assert all(fb.equal(value, state[name]) for name, value in model.state_dict().items())
    assert fb.equal(fb.get_rng_state(), random)
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.spare = nn.Linear(2, 2)

    def forward(self, x, y=None):
        return {"first": self.layer(x), "both": self.layer(x if y is None else y)}


def test_shared_frozen_and_unused():
    model = Shared()
    model.layer.bias.requires_grad_(False)
    result = fb.summary(model, {"x": fb.rand(3, 4), "y": fb.rand(2, 4)}, show=False)
    assert [layer.again for layer in result.layers] == [False, False, True]
    assert result.layers[0].output_shapes == [(3, 4), (2, 4)] and result.layers[0].input == "3×4, 2×4"
    assert result.parameters == 26 and result.trainable == 22 and result.not_called == ["spare"]
    assert "again" in str(result) and "80%" in str(result) and "frozen 4" in str(result)


def test_depth():
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.ReLU())))
    assert "ReLU" not in str(fb.summary(model, (2, 2), depth=2, show=False))
    assert "ReLU" in str(fb.summary(model, (2, 2), depth=3, show=False))


@pytest.mark.parametrize(
    "module, size, expected",
    [
        (
            nn.LSTM(8, 16, num_layers=2, bidirectional=True),
            (5, 4, 8),
            20 * 2 * (64 * (8 + 16) + 64 * (32 + 16)),
        ),
        (nn.GRU(8, 16), (5, 4, 8), 20 * 48 * 24),
        (nn.RNN(8, 16), (5, 4, 8), 20 * 16 * 24),
        (nn.LSTMCell(8, 16), (4, 8), 4 * 64 * 24),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (1, 3, 4, 4), 3 * 16 * 5 * 4),
        (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 10), 2 * 6 * 8 * 2 * 3),
        (nn.Bilinear(3, 4, 5), None, 2 * 5 * 3 * 4),
    ],
)
def test_multiply_adds(module, size, expected):
    result = fb.summary(module, size or (fb.rand(2, 3), fb.rand(2, 4)), show=False)
    assert result.multiply_adds == expected


def test_multiply_adds_of_functions():
    a, b = fb.rand(2, 3, 4), fb.rand(2, 4, 5)
    assert multiply_adds("bmm", (a, b), {}, a @ b) == 2 * 3 * 4 * 5
    assert multiply_adds("einsum", ("bij,bjk->bik", a, b), {}, a @ b) == 2 * 3 * 4 * 5
    q = fb.rand(2, 4, 10, 8)
    attention = fb.nn.functional.scaled_dot_product_attention(q, q, q)
    assert multiply_adds("scaled_dot_product_attention", (q, q, q), {}, attention) == 2 * 4 * 10 * 10 * 16
    assert multiply_adds("relu", (a,), {}, a) == 0


def test_a_failure_is_raised_and_hooks_are_gone():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        fb.summary(model, (2, 3), show=False)
    assert model.training and not model[0]._forward_hooks
