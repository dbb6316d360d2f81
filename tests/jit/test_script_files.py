"""Scripted modules and functions in files: their sources in TorchScript's words."""

import io
import math
from typing import NamedTuple

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.jit.frontend import UnsupportedNodeError


def saved(module):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return torch.jit.load(buffer)


def helper(x, k: int = 2):
    return x * k if k > 1 else x


class Block(nn.Module):
    def __init__(self, i, o, down=False):
        super().__init__()
        self.conv, self.norm, self.relu = (
            nn.Conv2d(i, o, 3, padding=1),
            nn.BatchNorm2d(o),
            nn.ReLU(inplace=True),
        )
        self.down = nn.Conv2d(i, o, 1) if down else None

    def forward(self, x):
        identity = x
        y = self.relu(self.norm(self.conv(x)))
        if self.down is not None:
            identity = self.down(x)
        y = y + identity
        return y


class Both(NamedTuple):
    logits: torch.Tensor
    sizes: list[int]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU6(), nn.MaxPool2d(2))
        self.blocks = nn.ModuleList([Block(4, 4), Block(4, 8, True)])
        self.heads = nn.ModuleDict({"a": nn.Linear(8, 3), "b": nn.Linear(8, 2)})
        self.rnn = nn.LSTM(8, 5, batch_first=True)
        self.norm, self.drop = nn.LayerNorm(8), nn.Dropout(0.5)
        self.scale, self.mode, self.n = 1.5, "max", 2
        self.register_buffer("weight", torch.ones(8))

    def features(self, x):
        """What the blocks make of it."""
        for i, block in enumerate(self.blocks):
            x = block(x) + i
        return x

    @torch.jit.export
    def count(self, x) -> int:
        return x.numel() // self.n

    def forward(
        self, x, mask: torch.Tensor | None = None, flag: bool = False
    ) -> tuple[Both, dict[str, torch.Tensor]]:
        x = self.features(self.stem(x))
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1) * self.weight
        x = self.drop(F.gelu(self.norm(x)))
        if mask is not None:
            x = x.masked_fill(mask, 0.0)
        if self.mode == "max" and flag:
            x = helper(x, k=3)
        out: dict[str, torch.Tensor] = {}
        for key, head in self.heads.items():
            out[key] = F.log_softmax(head(x), dim=-1)
        y, (_h, _c) = self.rnn(x[:, None].expand(-1, 3, -1))
        assert y.dim() == 3, f"{y.dim()} dimensions"
        if x.size(0) > 100:
            raise ValueError("too many")
        sizes: list[int] = []
        for i in range(self.n):
            sizes.append(y.shape[i] + int(math.sqrt(4)))
        with torch.no_grad():
            z = F.relu(y.mean(1)) * self.scale
        return Both(torch.cat([z, *[head(x) for head in self.heads.values()]], 1) if False else z, sizes), out


def test_a_network():
    torch.manual_seed(0)
    model, x = Net().eval(), torch.randn(2, 1, 16, 16)
    loaded = saved(model)
    for extra in ({}, {"mask": torch.arange(8) % 2 == 0}, {"flag": True}):
        (a, one), (b, other) = model(x, **extra), loaded(x, **extra)
        torch.testing.assert_close(a.logits, b.logits)
        assert a.sizes == b.sizes == [4, 5] and type(b).__name__ == "Both"
        torch.testing.assert_close(one["b"], other["b"])
    assert loaded.count(x) == 256 and list(loaded.state_dict()) == list(model.state_dict())
    with pytest.raises(torch.jit.Error, match=r"builtins\.ValueError: too many"):
        loaded(torch.randn(101, 1, 16, 16))
    loaded.train()
    loaded(x)[1]["a"].sum().backward()
    assert loaded.heads.a.weight.grad is not None


def test_a_function():
    buffer = io.BytesIO()
    torch.jit.script(helper).save(buffer)
    loaded = torch.jit.load(buffer)
    assert loaded(torch.ones(2), 4).tolist() == [4, 4] and loaded(torch.ones(2), k=1).tolist() == [1, 1]


LAYERS = [
    (nn.Conv1d(2, 3, 3, padding="same"), (2, 2, 8)),
    (nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect", groups=2), (2, 2, 8, 8)),
    (nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), (2, 2, 4, 4)),
    (nn.InstanceNorm2d(2, affine=True), (2, 2, 4, 4)),
    (nn.GroupNorm(2, 4), (2, 4, 3)),
    (nn.RMSNorm(3), (2, 3)),
    (nn.AvgPool2d(2, ceil_mode=True), (1, 2, 5, 5)),
    (nn.AdaptiveAvgPool2d((None, 2)), (1, 2, 5, 5)),
    (nn.AdaptiveMaxPool2d(2), (1, 2, 5, 5)),
    (nn.Upsample(scale_factor=2, mode="nearest"), (1, 2, 3, 3)),
    (nn.Upsample(size=5, mode="bilinear", align_corners=True), (1, 2, 3, 3)),
    (nn.ConstantPad2d(1, 2.5), (1, 2, 3, 3)),
    (nn.ZeroPad2d((1, 0, 2, 1)), (1, 2, 3, 3)),
    (nn.PReLU(2), (2, 2, 3)),
    (nn.Hardswish(), (5,)),
    (nn.ELU(0.5), (5,)),
    (nn.Softplus(2, 10), (5,)),
    (nn.GELU("tanh"), (5,)),
    (nn.Threshold(0.1, 3.0), (5,)),
    (nn.Softmax(1), (2, 3)),
    (nn.PixelShuffle(2), (1, 4, 2, 2)),
    (nn.Flatten(1), (2, 3, 4)),
    (nn.Unflatten(1, (2, 3)), (2, 6)),
    (nn.Dropout2d(0.5), (2, 3, 4, 4)),
    (nn.BatchNorm1d(3, track_running_stats=False), (4, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: type(v).__name__)
def test_layers(layer, shape):
    layer, x = layer.eval(), torch.linspace(-2, 2, math.prod(shape)).reshape(shape)
    torch.testing.assert_close(saved(nn.Sequential(layer))(x), layer(x))


def test_recurrent_layers_with_a_state():
    lstm, gru = nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4, batch_first=True)
    x, h = torch.randn(5, 2, 3), torch.randn(4, 2, 4)
    torch.testing.assert_close(saved(lstm)(x, (h, h))[0], lstm(x, (h, h))[0])
    torch.testing.assert_close(saved(gru)(x)[1], gru(x)[1])


@pytest.mark.parametrize("options", [{}, {"batch_first": True, "bias": False}, {"kdim": 3, "vdim": 5}])
def test_attention(options):
    attention = nn.MultiheadAttention(4, 2, **options).eval()
    loaded = saved(attention)
    q = torch.randn(3, 2, 4)
    k, v = (torch.randn(3, 2, options.get(n, 4)) for n in ("kdim", "vdim"))
    batch = 3 if options.get("batch_first") else 2
    padding = torch.zeros(batch, 5 - batch, dtype=torch.bool)
    padding[0, 1] = True
    causal = torch.ones(5 - batch, 5 - batch).tril() == 0
    for extra in (
        {}, {"need_weights": False}, {"average_attn_weights": False}, {"key_padding_mask": padding},
        {"attn_mask": causal, "need_weights": False},
        {"attn_mask": torch.randn(batch * 2, 5 - batch, 5 - batch), "key_padding_mask": padding},
    ):  # fmt: skip
        (a, one), (b, other) = attention(q, k, v, **extra), loaded(q, k, v, **extra)
        torch.testing.assert_close(a, b)
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformers(norm_first):
    torch.manual_seed(0)
    options = {"batch_first": True, "norm_first": norm_first, "activation": "gelu"}
    model = nn.Transformer(8, 2, 2, 1, 16, **options).eval()
    loaded = saved(model)
    src, tgt = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    torch.testing.assert_close(loaded(src, tgt), model(src, tgt))
    torch.testing.assert_close(
        loaded(src, tgt, tgt_mask=mask, src_key_padding_mask=padding),
        model(src, tgt, tgt_mask=mask, src_key_padding_mask=padding),
    )
    loaded.train()(src, tgt).sum().backward()


class Refused(nn.Module):
    def forward(self, x):
        return sorted(x.tolist(), key=lambda v: -v)


class Derived(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x) + 1


class Switched(nn.Module):
    def __init__(self, strange):
        super().__init__()
        self.strange = strange

    def forward(self, x):
        if self.strange:
            return open(x)
        return x + 1


def test_what_has_no_words():
    with pytest.raises(
        UnsupportedNodeError, match=r"(?s)Lambda aren't supported.*test_script_files.py.*line \d+, in forward"
    ):
        saved(Refused())
    with pytest.raises(NotImplementedError, match="add_bias_kv"):
        saved(nn.MultiheadAttention(4, 2, add_bias_kv=True))
    with pytest.raises(UnsupportedNodeError, match="in forward"):
        saved(Switched(True))
    assert saved(Switched(False))(torch.ones(1)).item() == 2
    x = torch.randn(2, 4)
    torch.testing.assert_close(saved(Derived(4))(x), Derived(4)(x))


def twice(x):
    return helper(x, k=2)


def test_a_function_that_calls_another():
    buffer = io.BytesIO()
    torch.jit.script(twice).save(buffer)
    assert torch.jit.load(buffer)(torch.ones(2)).tolist() == [2, 2]
