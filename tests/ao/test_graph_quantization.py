"""Traced networks prepared and converted, beside PyTorch's code, letter by letter, and numbers."""

import json
import pathlib

import graph_cases
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.ao import quantization as q
from flambeau.ao.quantization import backend_config as backends
from flambeau.ao.quantization.fx.custom_config import PrepareCustomConfig
from flambeau.ao.quantization.quantize_fx import convert_fx, fuse_fx, prepare_fx

GOLDEN = json.loads((pathlib.Path(__file__).parent / "graph_golden.json").read_text())
pytestmark = pytest.mark.filterwarnings("ignore")


def test_prepared():
    got = graph_cases.prepared(fb)
    for name, (code, tree) in GOLDEN["prepared"].items():
        assert got[name][0] == code, name
        assert got[name][1] == tree, name


def test_trained():
    got = graph_cases.trained(fb)["pictures"]
    shown, losses = GOLDEN["trained"]["pictures"]
    assert got[0] == shown and got[1] == pytest.approx(losses, abs=2e-3)


def test_fused():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU()).eval()
    plain[1].running_mean.normal_()
    fused = fuse_fx(plain)
    assert [type(m).__name__ for m in fused.children()] == ["ConvReLU2d", "LinearReLU"]
    x = fb.randn(2, 3, 6, 6)
    assert fb.allclose(fused(x), plain(x), atol=1e-5)


def test_settings_stay():
    plain = nn.Sequential(nn.Linear(2, 2)).eval()
    plain.tag = "kept"
    custom = PrepareCustomConfig().set_preserved_attributes(["tag"]).set_non_traceable_module_names(["0"])
    again = PrepareCustomConfig.from_dict(custom.to_dict())
    assert again.to_dict() == custom.to_dict()
    ready = prepare_fx(plain, q.get_default_qconfig_mapping(), (fb.randn(1, 2),), again)
    assert ready.tag == "kept"


def test_what_is_not_there_says_so():
    plain, mapping, x = (
        nn.Sequential(nn.Linear(2, 2)).eval(),
        q.get_default_qconfig_mapping(),
        (fb.randn(1, 2),),
    )
    with pytest.raises(NotImplementedError, match="standalone modules"):
        PrepareCustomConfig().set_standalone_module_name("0", None, (), None, None)
    with pytest.raises(NotImplementedError, match="input_quantized_indexes"):
        prepare_fx(plain, mapping, x, PrepareCustomConfig().set_input_quantized_indexes([0]))
    with pytest.raises(NotImplementedError, match="backend_config of a program"):
        prepare_fx(plain, mapping, x, backend_config=backends.BackendConfig("toaster"))
    with pytest.raises(NotImplementedError, match="TensorRT"):
        backends.get_tensorrt_backend_config()
    with pytest.raises(AssertionError, match="must be produced by prepare_fx"):
        convert_fx(plain)


def test_backend_config():
    made = backends.get_native_backend_config()
    assert made.name == "native" and len(made.configs) > 100
    again = backends.BackendConfig.from_dict(made.to_dict())
    assert again.to_dict() == made.to_dict()
    linear = next(c for c in made.configs if c.pattern is nn.Linear)
    assert linear.dtype_configs[0].weight_dtype == fb.qint8 and linear.qat_module is fb.ao.nn.qat.Linear


def test_one_fake_quantize_at_several_places():
    """The backward needs the scale of each call, the buffers have the last."""
    for make in (q.default_fake_quant, q.default_fused_act_fake_quant, q.default_embedding_fake_quant):
        fake = make()
        x = fb.randn(4, 4, requires_grad=True)
        fake(fake(x) * 3).sum().backward()
        assert x.grad is not None


def test_converted():
    got = graph_cases.converted(fb)
    for name, (reference, lowered, state, result) in GOLDEN["converted"].items():
        assert got[name][0] == reference and got[name][1] == lowered, name
        assert got[name][2] == state, name
        assert got[name][3] == pytest.approx(result, abs=0.05), name
