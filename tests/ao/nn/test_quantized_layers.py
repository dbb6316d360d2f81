"""Quantized layers: results, names in state dicts and texts as PyTorch 2.13 has them."""

import copy
import io

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.ao import quantization as tq
from flambeau.ao.nn import quantized as nnq
from flambeau.ao.nn.intrinsic import quantized as nniq
from flambeau.ao.nn.quantized import dynamic as nnqd
from flambeau.ao.nn.quantized import reference as nnqr


def filled(module):
    """The module with parameters that need no random numbers."""
    with fb.no_grad():
        for k, p in enumerate(module.parameters()):
            n = p.numel()
            p.copy_((((fb.arange(n) * 29 + k * 7) % 61 - 30).float() * 0.02).reshape(p.shape))
    return module


def values(*shape):
    n = fb.Size(shape).numel()
    return (((fb.arange(n) * 37) % 101 - 50).float() * 0.043).reshape(shape)


def rounded(t):
    return [round(v, 5) for v in t.flatten().tolist()]


def network():
    layers = nn.Sequential(
        tq.QuantStub(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Hardswish(),
        nn.ConvTranspose2d(3, 2, 2), nn.ELU(), nn.Flatten(), nn.Linear(18, 4), nn.LayerNorm(4), nn.Sigmoid(),
        tq.DeQuantStub(),
    )  # fmt: skip
    layers[5].qconfig = None
    return filled(layers.eval())


def converted():
    model = network()
    model.qconfig = tq.get_default_qconfig("x86")
    model[5].qconfig = tq.QConfig(
        tq.HistogramObserver.with_args(reduce_range=True), tq.default_weight_observer
    )
    prepared = tq.prepare(model)
    prepared(values(2, 2, 4, 4))
    return tq.convert(prepared)


NETWORK = [0.57422, 0.55859, 0.58203, 0.26172, 0.51953, 0.40625, 0.64062, 0.47656]


def test_a_network_is_converted():
    q = converted()
    assert rounded(q(values(2, 2, 4, 4))) == pytest.approx(NETWORK, abs=1e-5)
    assert [type(m).__name__ for m in q] == [
        "Quantize", "Conv2d", "ReLU", "MaxPool2d", "Hardswish", "ConvTranspose2d", "ELU", "Flatten", "Linear",
        "LayerNorm", "Sigmoid", "DeQuantize",
    ]  # fmt: skip


def test_state_dicts_and_files():
    q = converted()
    keys = [k for k in q.state_dict() if k[0] in "018"]
    assert keys == [
        "0.scale", "0.zero_point", "1.weight", "1.bias", "1.scale", "1.zero_point", "8.scale", "8.zero_point",
        "8._packed_params.dtype", "8._packed_params._packed_params",
    ]  # fmt: skip
    stream = io.BytesIO()
    fb.save(q.state_dict(), stream)
    stream.seek(0)
    other = copy.deepcopy(q)
    for m in (other[1], other[8]):
        m.set_weight_bias(m.weight().clone().fill_(0.0), None)
    other.load_state_dict(fb.load(stream))
    x = values(2, 2, 4, 4)
    assert fb.equal(other(x), q(x))


DYNAMIC = {
    "Linear": [
        1.54316,
        -0.07814,
        -0.31692,
        -1.14962,
        -0.77919,
        -1.45705,
        -1.02381,
        1.91282,
        1.30991,
        -1.10727,
        -0.9526,
        -1.48472,
        -1.31174,
        0.85505,
        -0.13655,
        -1.08393,
        -1.14517,
        -1.53139,
    ],
    "LSTM": [
        -0.39803,
        -0.12172,
        -0.13781,
        0.0331,
        0.13173,
        -0.00082,
        -0.13027,
        -0.26504,
        -0.55404,
        0.00328,
        0.14126,
        -0.00089,
        -0.16641,
        0.03717,
        -0.47677,
        -0.04997,
        0.13367,
        0.00276,
    ],
    "GRU": [
        -0.22463,
        -0.13142,
        -0.49371,
        0.26525,
        0.70778,
        0.05789,
        -0.28396,
        -0.30066,
        -0.84704,
        0.23608,
        0.77555,
        0.11578,
        -0.36112,
        0.28112,
        -0.84714,
        0.13247,
        0.77314,
        0.19861,
    ],
    "LSTMCell": [-0.40033, -0.12106, -0.1363, 0.03243, 0.13183, -0.00083],
    "GRUCell": [-0.22514, -0.13116, -0.49268, 0.26255, 0.70678, 0.05822],
    "RNNCell": [0.90915, 0.42377, -0.39944, -0.82852, -0.23897, -0.9153],
    "half": [
        1.557,
        -0.0788,
        -0.31057,
        -1.15839,
        -0.77691,
        -1.45837,
        -1.00706,
        1.91211,
        1.30317,
        -1.11624,
        -0.9575,
        -1.49445,
        -1.31242,
        0.86313,
        -0.12296,
        -1.07408,
        -1.1381,
        -1.53053,
    ],
}


@pytest.mark.parametrize("kind", ["Linear", "LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell", "half"])
def test_dynamic_layers(kind):
    float_kind = nn.Linear if kind == "half" else getattr(nn, kind)
    dtype = fb.float16 if kind == "half" else fb.qint8
    q = tq.quantize_dynamic(nn.Sequential(filled(float_kind(4, 3))), {float_kind}, dtype=dtype)[0]
    assert type(q) is getattr(nnqd, float_kind.__name__)
    x = values(2, 4) if "Cell" in kind else values(3, 2, 4)
    y = q(x)
    y = y[0] if isinstance(y, tuple) else y
    assert rounded(y) == pytest.approx(DYNAMIC[kind], abs=2e-5)


def test_packed_sequences():
    q = tq.quantize_dynamic(
        nn.Sequential(filled(nn.LSTM(4, 3, num_layers=2, bidirectional=True))), {nn.LSTM}
    )[0]
    long, short = values(4, 4), values(2, 4) * 0.5
    packed, _ = q(nn.utils.rnn.pack_sequence([long, short]))
    out, lengths = nn.utils.rnn.pad_packed_sequence(packed)
    assert lengths.tolist() == [4, 2] and out.shape == (4, 2, 6) and not out[2:, 1].any()
    assert list(q.get_weight()) == [
        f"weight_{k}_l{n}{d}" for n in (0, 1) for d in ("", "_reverse") for k in ("ih", "hh")
    ]


REPRS = {
    "nnq.Linear(3, 4)": "QuantizedLinear(in_features=3, out_features=4, scale=1.0, zero_point=0, qscheme=torch.per_tensor_affine)",  # noqa: E501
    "nnq.Conv2d(3, 4, 3, padding=1, bias=False)": "QuantizedConv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), scale=1.0, zero_point=0, padding=(1, 1), bias=False)",  # noqa: E501
    "nnqd.ConvTranspose2d(3, 4, 3)": "DynamicQuantizedConvTranspose2d(3, 4, kernel_size=(3, 3), stride=(1, 1), scale=1.0, zero_point=0)",  # noqa: E501
    "nniq.ConvReLU2d(3, 4, 3)": "QuantizedConvReLU2d(3, 4, kernel_size=(3, 3), stride=(1, 1), scale=1.0, zero_point=0)",  # noqa: E501
    "nniq.LinearReLU(3, 4)": "QuantizedLinearReLU(in_features=3, out_features=4, scale=1.0, zero_point=0, qscheme=torch.per_tensor_affine)",  # noqa: E501
    "nnqd.Linear(3, 4)": "DynamicQuantizedLinear(in_features=3, out_features=4, dtype=torch.qint8, qscheme=torch.per_tensor_affine)",  # noqa: E501
    "nnqd.LSTM(3, 4, 2)": "DynamicQuantizedLSTM(3, 4, num_layers=2)",
    "nnqd.RNNCell(3, 4, nonlinearity='relu')": "DynamicQuantizedRNNCell(3, 4, nonlinearity=relu)",
    "nnq.BatchNorm2d(3)": "QuantizedBatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",  # noqa: E501
    "nnq.Quantize(0.1, 3, fb.quint8)": "Quantize(scale=tensor([0.1000]), zero_point=tensor([3]), dtype=torch.quint8)",  # noqa: E501
    "nnq.QFunctional()": "QFunctional(\n  scale=1.0, zero_point=0\n  (activation_post_process): Identity()\n)",  # noqa: E501
    "nnq.PReLU(0.1, 3)": "QuantizedPReLU()",
    "nnq.Embedding(5, 16)": "QuantizedEmbedding(num_embeddings=5, embedding_dim=16, dtype=torch.quint8, qscheme=torch.per_channel_affine_float_qparams)",  # noqa: E501
    "nnqr.Conv1d(3, 4, 3)": "QuantizedConv1d(Reference)(3, 4, kernel_size=(3,), stride=(1,))",
    "nnqr.LSTM(3, 4)": "QuantizedLSTM(Reference)(3, 4)",
    "nn.quantized.dynamic.GRUCell(3, 4)": "DynamicQuantizedGRUCell(3, 4)",
}


@pytest.mark.parametrize("made", REPRS)
def test_texts(made):
    assert repr(eval(made)) == REPRS[made]


@pytest.mark.parametrize("per_channel", [False, True])
def test_reference_layers(per_channel):
    how = {"qscheme": fb.per_tensor_affine, "dtype": fb.qint8, "scale": 0.02, "zero_point": 0}
    if per_channel:
        how = {"qscheme": fb.per_channel_affine, "dtype": fb.qint8, "scale": fb.tensor([0.02, 0.01, 0.03]),
               "zero_point": fb.zeros(3, dtype=fb.int), "axis": 0}  # fmt: skip
    layer = filled(nn.Linear(4, 3))
    ref = nnqr.Linear.from_float(layer, how)
    x = values(2, 4)
    assert fb.equal(ref(x), nn.functional.linear(x, ref.get_quantized_weight().dequantize(), layer.bias))
    assert list(ref.state_dict()) == [
        "weight", "bias", "weight_scale", "weight_zero_point", "weight_axis", "weight_qscheme", "weight_dtype",  # noqa: E501
    ]  # fmt: skip
    again = nnqr.Linear(4, 3)
    again.load_state_dict(ref.state_dict())
    assert fb.equal(again(x), ref(x))
    q = nnq.Linear.from_reference(ref, 0.05, 100)
    y = q(fb.quantize_per_tensor(x, 0.02, 110, fb.quint8)).dequantize()
    assert (y - ref(x)).abs().max() < 0.06


def test_reference_recurrent_layers():
    how = {"qscheme": fb.per_tensor_affine, "dtype": fb.qint8, "scale": 0.02, "zero_point": 0}
    lstm = filled(nn.LSTM(4, 3))
    ref = nnqr.LSTM.from_float(lstm, dict.fromkeys(("weight_ih_l0", "weight_hh_l0"), how))
    plain = copy.deepcopy(lstm)
    with fb.no_grad():
        for name, p in plain.named_parameters():
            if "weight" in name:
                p.copy_(ref._numbers(name))
    x = values(3, 2, 4)
    assert fb.equal(ref(x)[0], plain(x)[0]) and fb.equal(ref.weight_ih_l0, lstm.weight_ih_l0)
    cell = filled(nn.GRUCell(4, 3))
    made = nnqr.GRUCell.from_float(cell, dict.fromkeys(("weight_ih", "weight_hh"), how))
    assert made(x[0]).shape == (2, 3) and nnqd.GRUCell.from_reference(made)(x[0]).shape == (2, 3)


def test_embeddings():
    for kind, quantized in ((nn.Embedding, nnq.Embedding), (nn.EmbeddingBag, nnq.EmbeddingBag)):
        layer = filled(kind(6, 8, **({"mode": "sum"} if kind is nn.EmbeddingBag else {})))
        layer.qconfig = tq.float_qparams_weight_only_qconfig
        q = quantized.from_float(layer)
        index = fb.tensor([[0, 5], [2, 2]])
        assert fb.allclose(q(index), layer(index), atol=0.02)
        assert list(q.state_dict()) == ["_packed_params.dtype", "_packed_params._packed_weight"]


def test_functions_by_methods():
    f, x = nnq.QFunctional(), fb.quantize_per_tensor(values(4), 0.05, 110, fb.quint8)
    f.scale, f.zero_point = 0.1, 100
    assert f.add(x, x).q_scale() == 0.1 and f.cat([x, x]).shape == (8,) and f.mul(x, x).q_zero_point() == 100
    assert fb.equal(f.add_relu(x, x).dequantize(), f.add(x, x).dequantize().relu())
    with pytest.raises(RuntimeError, match="not intended to use the forward"):
        f(x)


def test_activations_pass_through_functional():
    qf, x = nnq.functional, fb.quantize_per_tensor(values(1, 2, 4, 4), 0.05, 110, fb.quint8)
    assert qf.avg_pool2d(x, 2).shape == (1, 2, 2, 2) and qf.hardtanh(x).dequantize().abs().max() <= 1.0001
    assert fb.equal(qf.clamp(x, -1.0, 1.0), qf.hardtanh(x))
    w = fb.quantize_per_tensor(values(3, 2, 3, 3), 0.02, 0, fb.qint8)
    layer = nnq.Conv2d(2, 3, 3)
    layer.set_weight_bias(w, None)
    layer.scale, layer.zero_point = 0.2, 100
    assert fb.equal(layer(x), qf.conv2d(x, w, None, scale=0.2, zero_point=100))
    with pytest.raises(ValueError, match=r"Input to 'quantized\.hardtanh' must be quantized"):
        qf.hardtanh(values(2))


def test_what_is_refused():
    with pytest.raises(ValueError, match="'padding_mode' circular is not supported by quantized convolution"):
        nnq.Conv2d(3, 4, 3, padding_mode="circular")
    with pytest.raises(AssertionError, match="Input float module must have qconfig defined"):
        nnq.Linear.from_float(nn.Linear(2, 3))
    with pytest.raises(AssertionError, match=r"nnq\.Linear\.from_float only works for Linear"):
        nnq.Linear.from_float(nn.ReLU())
    with pytest.raises(RuntimeError, match="Unsupported dtype specified for quantized Linear"):
        nnq.Linear(2, 3, dtype=fb.qint32)
    assert nniq.BNReLU2d(3)._get_name() == "QuantizedBNReLU2d"
