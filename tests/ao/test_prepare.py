"""Observers, fake quantization, and prepared networks, beside PyTorch's numbers."""

import json
import pathlib
import warnings

import pytest
import quant_cases

import flambeau as fb
from flambeau import nn
from flambeau.ao import quantization as q
from flambeau.ao.nn import intrinsic, qat, quantizable

GOLDEN = json.loads((pathlib.Path(__file__).parent / "quant_golden.json").read_text())


def _same(got, expected, where):
    if isinstance(expected, float):
        assert got == pytest.approx(expected, rel=2e-3, abs=3e-4), where
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected), where
        for k, (g, e) in enumerate(zip(got, expected)):
            _same(g, e, f"{where} {k}")
    else:
        assert got == expected, where


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "part", [quant_cases.observers, quant_cases.fakes, quant_cases.learnable, quant_cases.flow]
)
def test_as_pytorch(part):
    got, expected = part(fb), GOLDEN[part.__name__]
    assert got.keys() == expected.keys()
    for name in expected:
        _same(got[name], expected[name], name)


def test_observer_states_go_from_one_model_to_another():
    net = quant_cases.make_net(fb).eval()
    net.qconfig = q.get_default_qconfig("x86")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = q.prepare(net), q.prepare(net)
    one(fb.randn(2, 3, 8, 8))
    q.load_observer_state_dict(other, q.get_observer_state_dict(one))
    for a, b in zip(q.get_observer_state_dict(one).values(), q.get_observer_state_dict(other).values()):
        assert fb.equal(a, b)
    fake = q.default_per_channel_weight_fake_quant()
    fake(fb.randn(7, 3))
    new = q.default_per_channel_weight_fake_quant()
    new.load_state_dict(fake.state_dict())
    assert fb.equal(new.scale, fake.scale) and new.scale.shape == (7,)


@pytest.mark.parametrize(
    "call, kind, text",
    [
        (lambda: q.MinMaxObserver(qscheme=fb.per_channel_affine), NotImplementedError, "only support"),
        (lambda: q.MinMaxObserver(quant_min=3, quant_max=9), AssertionError, "must include 0"),
        (lambda: q.MinMaxObserver(dtype=fb.float32), AssertionError, "Default Observer only works for"),
        (lambda: q.PlaceholderObserver().calculate_qparams(), Exception, "should not be called for Placeh"),
        (lambda: q.FakeQuantize(quant_min=0, quant_max=1000), AssertionError, "quant_max out of bound"),
        (lambda: q.FixedQParamsFakeQuantize(q.MinMaxObserver), AssertionError, "must be a FixedQParamsObs"),
        (lambda: q.QConfig(q.MinMaxObserver(), None), ValueError, "received observer instance"),
        (lambda: q.get_default_qconfig("toaster"), AssertionError, "backend: toaster not supported"),
        (lambda: qat.Linear(2, 3), AssertionError, "qconfig must be provided for QAT module"),
        (lambda: qat.Conv2d.from_float(nn.Linear(2, 3)), AssertionError, "only works for Conv2d, got Linear"),
        (
            lambda: intrinsic.ConvReLU2d(nn.Linear(2, 3), nn.ReLU()),
            AssertionError,
            "types .* Linear and ReLU",
        ),
        (lambda: intrinsic.ConvBnReLU2d(*[nn.ReLU()] * 3), AssertionError, "ReLU, ReLU, and ReLU"),
        (lambda: qat.dynamic.Linear(3, 4, qconfig=q.default_qat_qconfig), ValueError, "memoryless observer"),
        (lambda: q.get_fuser_method((nn.ReLU,)), AssertionError, "did not find fuser method for"),
        (
            lambda: q.quantize_jit(None, {}, print, ()),
            NotImplementedError,
            "torch.ao.quantization.quantize_jit: flambeau",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_warnings():
    with (
        pytest.warns(DeprecationWarning, match="torch.ao.quantization is deprecated"),
        pytest.warns(UserWarning, match="None of the submodule got qconfig applied"),
    ):
        q.prepare(nn.Sequential(nn.Linear(2, 2)))
    with pytest.warns(UserWarning, match="must run observer before calling calculate_qparams"):
        assert q.MinMaxObserver().calculate_qparams()[0].item() == 1.0
    with pytest.warns(UserWarning, match="torch.inf detected"):
        observer = q.HistogramObserver()
        observer(fb.tensor([1.0, float("inf"), 2.0]))
    assert observer.max_val == 2.0


def test_empty_batches_change_nothing():
    for make in (
        q.MinMaxObserver,
        q.MovingAverageMinMaxObserver,
        q.PerChannelMinMaxObserver,
        q.HistogramObserver,
    ):
        observer = make()
        observer(fb.randn(4, 3))
        before = {k: v.clone() for k, v in observer.state_dict().items()}
        observer(fb.empty(0, 3))
        assert all(fb.equal(v, before[k]) for k, v in observer.state_dict().items())
    assert q.default_fused_act_fake_quant()(fb.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_quantizable_lstm(layers, both, split):
    lstm = nn.LSTM(5, 4, layers, bidirectional=both, batch_first=True).eval()
    lstm.qconfig = q.default_qconfig
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = quantizable.LSTM.from_float(lstm, split_gates=split)
    x = fb.randn(3, 6, 5)
    state = tuple(fb.randn(layers * (1 + both), 3, 4) for _ in range(2))
    for start in (None, state) if layers == 1 or both else (None,):
        got, expected = made(x, start), lstm(x, start)
        assert fb.allclose(got[0], expected[0], atol=1e-5) and fb.allclose(
            got[1][1], expected[1][1], atol=1e-5
        )
    assert repr(made).startswith("QuantizableLSTM(")


@pytest.mark.parametrize(
    "options", [{}, {"add_zero_attn": True}, {"add_bias_kv": True}, {"kdim": 3, "vdim": 5}]
)
def test_quantizable_attention(options):
    plain = nn.MultiheadAttention(8, 2, **options).eval()
    plain.qconfig = q.default_qconfig
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = quantizable.MultiheadAttention.from_float(plain)
    query, key, value = fb.randn(4, 3, 8), fb.randn(6, 3, plain.kdim), fb.randn(6, 3, plain.vdim)
    padding = fb.zeros(3, 6, dtype=fb.bool)
    padding[1, 4:] = True
    for mask in (None, fb.randn(4, 6) > 1):
        got = made(query, key, value, key_padding_mask=padding, attn_mask=mask)
        expected = plain(query, key, value, key_padding_mask=padding, attn_mask=mask)
        assert fb.allclose(got[0], expected[0], atol=1e-5) and fb.allclose(got[1], expected[1], atol=1e-5)


def test_mappings():
    mapping = q.get_default_qconfig_mapping("x86")
    assert repr(mapping).startswith(
        "QConfigMapping (\n global_qconfig\n  QConfig(activation=functools.partial("
    )
    again = q.QConfigMapping.from_dict(mapping.to_dict())
    assert again.to_dict() == mapping.to_dict() and len(mapping.object_type_qconfigs) == 23
    made = (
        q.QConfigMapping()
        .set_module_name("a", None)
        .set_module_name_object_type_order("b", nn.Linear, 0, None)
    )
    assert made.to_dict()["module_name_object_type_order"] == [("b", nn.Linear, 0, None)]
    assert q.qconfig_equals(q.get_default_qconfig("x86"), q.get_default_qconfig("fbgemm"))
    assert not q.qconfig_equals(q.default_qat_qconfig, q.default_qat_qconfig_v2)


def test_former_names():
    import flambeau.quantization.observer  # noqa: F401

    assert fb.quantization.MinMaxObserver is q.MinMaxObserver
    assert fb.quantization.observer is q.observer and nn.qat.Linear is qat.Linear
    assert nn.intrinsic.qat.ConvBn2d is intrinsic.qat.ConvBn2d and nn.quantizable.LSTM is quantizable.LSTM
    assert all(hasattr(q, name) for name in q.__all__)
