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
