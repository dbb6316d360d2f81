"""Functions that single precision computes in a way of its own, against double precision."""

import math

import numpy as np
import pytest

import flambeau as torch

UNIT = np.linspace(-1, 1, 40_001)
WIDE = np.concatenate([np.linspace(-30, 30, 40_001), np.geomspace(1e-30, 80, 500), [0.0, 8.0, -8.0]])
PROBABILITIES = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 40_001), np.geomspace(1e-37, 1e-6, 500)])
TURNS = np.concatenate([np.linspace(-40, 40, 40_001), np.arange(-5000, 5000) * (math.pi / 2), [9000.0, -1e6]])
NEGATIVE = np.concatenate(
    [np.linspace(-12, 12, 40_001), [-2.4570247, -2.7476826, -99.5, -100.5, 1e-30, 1e30]]
)
CASES = [
    ("sin", TURNS),
    ("cos", TURNS),
    ("erf", np.concatenate([np.linspace(-4.5, 4.5, 40_001), np.geomspace(1e-38, 1, 500)])),
    ("erfc", np.linspace(-5, 5, 40_001)),
    ("lgamma", NEGATIVE),
    ("tan", np.linspace(-8300, 8300, 40_001)),
    ("tan", np.concatenate([np.arange(-5000, 5000) * (math.pi / 2), np.geomspace(1e-38, 1, 500)])),
    ("asin", UNIT),
    ("acos", UNIT),
    ("atanh", UNIT),
    ("atanh", np.geomspace(1e-30, 0.99, 1000)),
    ("special.i0e", WIDE),
    ("special.i1e", WIDE),
    ("special.i0", WIDE),
    ("special.i1", WIDE),
    ("special.ndtri", PROBABILITIES),
]


def function(name):
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("name", "values"), CASES)
def test_single_precision_is_double_precision_rounded(name, values):
    x = torch.tensor(values.astype("float32"))
    single, double = function(name)(x).numpy(), function(name)(x.double()).numpy()
    assert single.dtype == np.float32
    np.testing.assert_allclose(
        single, double.astype("float32"), rtol=5e-7, atol=2e-7 if name == "special.ndtri" else 0
    )


@pytest.mark.parametrize("name", ["asin", "acos", "atanh", "special.i0e", "special.i1e"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(name, dtype):
    x = torch.linspace(-0.99, 0.99, 301).to(dtype)
    expected = function(name)(x.double()).to(dtype)
    gap = (function(name)(x).double() - expected.double()).abs()
    assert (gap <= expected.double().abs() * torch.finfo(dtype).eps).all()


def test_edges_of_single_precision():
    nan, inf = math.nan, math.inf
    edge = torch.tensor([1.0, -1.0, 0.0, -0.0, 1.5, -inf, nan])
    same = np.testing.assert_array_equal
    same(edge.asin().numpy(), np.float32([math.pi / 2, -math.pi / 2, 0, -0.0, nan, nan, nan]))
    same(edge.acos().numpy(), np.float32([0, math.pi, math.pi / 2, math.pi / 2, nan, nan, nan]))
    same(edge.atanh().numpy(), np.float32([inf, -inf, 0, -0.0, nan, nan, nan]))
    same(torch.tensor([0.0, -0.0, inf, nan]).tan().numpy(), np.float32([0, -0.0, nan, nan]))
    assert np.signbit(torch.tensor([-0.0] * 9).tan().numpy()).all()
    assert np.signbit(edge.asin()[3].item()) and np.signbit(edge.atanh()[3].item())
    same(
        torch.special.ndtri(torch.tensor([0.0, 1.0, 0.5, -1.0, 2.0, nan])).numpy(),
        [-inf, inf, 0, nan, nan, nan],
    )
    same(torch.special.ndtri(torch.tensor([0, 1, 2, -1] * 5)).numpy(), np.float32([-inf, inf, nan, nan] * 5))
    tails = torch.tensor([1e-300, 0.5, 0.0, 1.0, 2.0, nan, 1 - 1e-16, 1e-20], dtype=torch.float64)
    one_by_one = [torch.special.ndtri(x).item() for x in tails]
    same(torch.special.ndtri(tails).numpy(), one_by_one)
    assert one_by_one[0] == pytest.approx(-37.0471, abs=1e-4)
    far = torch.tensor([inf, -inf, nan, 1e30, -200.0])
    assert torch.special.i0e(far)[:3].tolist()[:2] == [0, 0] and torch.special.i0e(far)[2].isnan()
    assert torch.special.i1e(far)[1].item() == 0 and torch.special.i1e(far)[4].item() < 0
    assert torch.special.i0(far)[4].item() == inf and torch.special.i1(far)[4].item() == -inf
