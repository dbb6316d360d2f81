"""Layers in ONNX give what they give here, for batches of other sizes than the example's."""

import pytest

import flambeau as torch
from flambeau import nn

BATCH = ({0: "batch"},)

IMAGE_LAYERS = [
    nn.BatchNorm2d(4),
    nn.GroupNorm(2, 4),
    nn.InstanceNorm2d(4, affine=True),
    nn.LocalResponseNorm(2),
    nn.LayerNorm(6),
    nn.LayerNorm((6, 6), elementwise_affine=False),
    nn.RMSNorm(6),
    nn.Conv2d(4, 8, 3, groups=2, padding="same", dilation=2),
    nn.Conv2d(4, 4, 3, stride=2, padding=1, padding_mode="reflect"),
    nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ChannelShuffle(2),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d(3),
    nn.AdaptiveAvgPool2d((4, 5)),
    nn.AdaptiveMaxPool2d(2),
    nn.AvgPool2d(3, 2, 1),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d(2, divisor_override=3),
    nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    nn.MaxPool2d(2, return_indices=True),
    nn.LPPool2d(2, 2),
    nn.ZeroPad2d((1, 0, 2, 1)),
    nn.ReflectionPad2d(2),
    nn.ReplicationPad2d(1),
    nn.CircularPad2d(1),
    nn.ConstantPad2d(1, 2.5),
    nn.Unfold(2, padding=1),
    nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True),
    nn.Upsample(size=(9, 7), mode="bicubic"),
    nn.Upsample(scale_factor=1.7),
    nn.Upsample(size=(9, 7), mode="nearest-exact"),
    nn.Dropout(),
    nn.Flatten(),
    nn.Unflatten(1, (2, 2)),
    nn.GLU(-1),
    nn.PReLU(4),
    nn.Softmax2d(),
]  # fmt: skip

ACTIVATIONS = [
    nn.ReLU(inplace=True), nn.ReLU6(), nn.Sigmoid(), nn.Tanh(), nn.GELU(), nn.GELU("tanh"), nn.ELU(0.5),
    nn.SELU(),
    nn.CELU(2.0), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(-0.5, 2), nn.Softplus(),
    nn.Softplus(2), nn.LogSigmoid(), nn.LeakyReLU(0.2), nn.RReLU(), nn.Softsign(), nn.Tanhshrink(),
    nn.Softshrink(),
    nn.Hardshrink(), nn.Threshold(0.1, 2), nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1), nn.PReLU(),
]  # fmt: skip


@pytest.mark.parametrize("layer", IMAGE_LAYERS, ids=lambda m: type(m).__name__)
def test_layers_of_images(layer, runs_alike):
    torch.manual_seed(0)
    runs_alike(layer, (torch.randn(2, 4, 6, 6),), (torch.randn(3, 4, 6, 6),), shapes=BATCH)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=lambda m: type(m).__name__)
def test_activations(layer, runs_alike):
    torch.manual_seed(0)
    runs_alike(
        lambda x: layer.eval()(x.clone()),
        (torch.randn(2, 5),),
        (torch.randn(4, 5),),
        shapes=BATCH,
        tolerance=1e-5,
    )


@pytest.mark.parametrize("opset", [16, 17, 20, 23])
def test_other_opsets(opset, runs_alike):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LayerNorm(8)
    )
    program = runs_alike(model, (torch.randn(2, 1, 6, 6),), shapes=BATCH, opset_version=opset)
    assert program.model_proto.opset_import[0].version == opset


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bias": False}], ids=str
)
def test_recurrent_networks(layer, options, runs_alike):
    torch.manual_seed(0)
    runs_alike(
        layer(4, 5, **options), (torch.randn(3, 2, 4),), (torch.randn(6, 3, 4),), shapes=({0: "a", 1: "b"},)
    )


@pytest.mark.parametrize("layer", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells(layer, runs_alike):
    runs_alike(layer(4, 5), (torch.randn(3, 4),), (torch.randn(6, 4),), shapes=BATCH)


def test_lstm_with_a_state(runs_alike):
    args = torch.randn(3, 2, 4), (torch.randn(1, 2, 5), torch.randn(1, 2, 5))
    runs_alike(nn.LSTM(4, 5), args)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal, runs_alike):
    def attend(q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def example(b, s):
        return tuple(torch.randn(b, 2, s, 4) for _ in range(3))

    axes = {0: "batch", 2: "length"}
    runs_alike(attend, example(2, 5), example(3, 7), shapes=(axes, axes, axes))


def test_attention_with_masks_and_groups(runs_alike):
    torch.manual_seed(0)

    def attend(q, k, mask):
        f = nn.functional.scaled_dot_product_attention
        return f(q, k, k, mask, enable_gqa=True), f(q, k, k, mask.float(), scale=0.3, enable_gqa=True)

    mask = torch.rand(5, 6) > 0.3
    runs_alike(attend, (torch.randn(2, 4, 5, 8), torch.randn(2, 2, 6, 8), mask))


def test_transformers(runs_alike):
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    axes = ({0: "batch", 1: "length"},)
    runs_alike(encoder, (torch.randn(2, 5, 16),), (torch.randn(3, 7, 16),), shapes=axes)
    runs_alike(nn.Transformer(16, 2, 1, 1, 32), (torch.randn(5, 2, 16), torch.randn(4, 2, 16)))


LOSSES = [
    nn.MSELoss(), nn.L1Loss(reduction="sum"), nn.SmoothL1Loss(), nn.HuberLoss(delta=0.5), nn.KLDivLoss(),
    nn.BCEWithLogitsLoss(), nn.CosineSimilarity(),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=lambda m: type(m).__name__)
def test_losses(loss, runs_alike):
    torch.manual_seed(0)
    axes = ({0: "batch"}, {0: "batch"})
    runs_alike(
        loss, (torch.randn(3, 4), torch.rand(3, 4)), (torch.randn(5, 4), torch.rand(5, 4)), shapes=axes
    )


def test_losses_of_classes(runs_alike):
    target = torch.tensor([1, 0, 3])
    x = torch.randn(3, 4)
    runs_alike(nn.CrossEntropyLoss(weight=torch.rand(4)), (x, target))
    runs_alike(nn.NLLLoss(ignore_index=0), (x.log_softmax(1), target))
    runs_alike(nn.BCELoss(), (torch.rand(3, 4), torch.rand(3, 4)))
