"""Sobol' sequences."""

import pytest

import flambeau as fb
from flambeau.quasirandom import SobolEngine


def test_first_points():
    points = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75]]
    engine = SobolEngine(3)
    assert engine.draw(4).tolist() == points
    engine.reset()
    assert engine.draw().tolist() == points[:1] and engine.draw(2).tolist() == points[1:3]
    assert engine.num_generated == 3 and engine.draw(dtype=fb.float64).dtype == fb.float64
    out = fb.empty(0)
    assert engine.reset().draw(2, out=out) is out and out.tolist() == points[:2]


def test_scrambled_points():
    engine = SobolEngine(2, scramble=True, seed=5)
    want = [
        [0.48029053, 0.11725888],
        [0.94978833, 0.74302024],
        [0.64042288, 0.32724196],
        [0.16460803, 0.95294368],
    ]
    assert fb.allclose(engine.draw(4), fb.tensor(want), atol=1e-7)
    assert repr(engine) == "SobolEngine(dimension=2, scramble=True, seed=5)"


def test_many_dimensions():
    engine = SobolEngine(21201).fast_forward(5)
    assert engine.draw()[0, [0, 1, 777, 5000, 21200]].tolist() == [0.875, 0.875, 0.875, 0.625, 0.125]
    points = SobolEngine(21201).draw_base2(4)
    assert points.sort(0).values[:, 1000].tolist() == [i / 16 for i in range(16)]


def test_bad_sizes():
    with pytest.raises(ValueError, match="Supported range of dimensionality for SobolEngine is"):
        SobolEngine(21202)
    engine = SobolEngine(2)
    with pytest.warns(
        UserWarning, match="The balance properties of Sobol' points require n to be a power of 2"
    ):
        engine.draw(3)
    with pytest.raises(ValueError, match="3 points have been previously generated, then: n=3"):
        engine.draw_base2(1)
