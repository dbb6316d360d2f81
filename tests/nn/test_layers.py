"""Every layer: representation, state_dict, initial values and a forward pass, as PyTorch 2.13 has them."""

import json
import re
import warnings
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn

CASES = json.loads((Path(__file__).parents[1] / "golden" / "nn_layers.json").read_text())


def made(expr: str):
    fb.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval("nn." + expr, {"nn": nn, "torch": fb})


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["expr"])
def test_representation_and_state(case):
    module = made(case["expr"])
    assert re.sub(r" at 0x\w+", "", repr(module)) == case["repr"]
    state = module.state_dict()
    assert list(state) == list(case["state"])
    for name, expected in case["state"].items():
        if expected is None:
            assert nn.parameter.is_lazy(state[name])
            continue
        shape, first = expected
        assert list(state[name].shape) == shape
        assert state[name].double().flatten()[:3].tolist() == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if "input" in c], ids=lambda c: c["expr"])
def test_forward(case):
    module = made(case["expr"])
    fb.manual_seed(5)
    x = fb.rand(*case["input"]) * 4 - 2
    if "float64" in case["expr"] or "double" in case["expr"]:
        x = x.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = module(x)
    while isinstance(out, tuple):
        out = out[0]
    shape, first, total = case["output"]
    assert list(out.shape) == shape
    assert out.detach().double().flatten()[:5].tolist() == pytest.approx(first, abs=3e-5, rel=1e-4)
    assert out.detach().double().sum().item() == pytest.approx(total, abs=3e-4, rel=1e-4)


def test_names_that_other_packages_build_on():
    """Classes and functions with an underscore that extensions of PyTorch import."""
    modules = nn.modules
    assert issubclass(nn.ReflectionPad2d, modules.padding._ReflectionPadNd)
    assert issubclass(nn.ReplicationPad3d, modules.padding._ReplicationPadNd)
    assert repr(nn.ReflectionPad1d(2)) == "ReflectionPad1d((2, 2))"
    assert modules.module._addindent("a\nb\nc", 3) == "a\n   b\n   c"
    assert modules.container._addindent is modules.module._addindent
    assert modules.utils._list_with_default([None, 3], [1, 4, 5]) == [4, 3]
    assert modules.utils._list_with_default(3, [1, 4]) == 3
    with pytest.raises(ValueError, match="Input dimension should be at least 3"):
        modules.utils._list_with_default([1, 2], [4, 5])
    assert not modules.module._has_any_global_hook()
    handle = modules.module.register_module_forward_hook(lambda m, args, out: None)
    assert modules.module._has_any_global_hook()
    handle.remove()
    mask = modules.transformer._generate_square_subsequent_mask(3)
    assert modules.transformer._detect_is_causal_mask(mask)
    assert not modules.transformer._detect_is_causal_mask(mask.tril(), size=3)
    assert modules.transformer._get_seq_len(fb.ones(5, 2, 4), batch_first=True) == 2
