"""Joins and traces under `vmap`: the operators they are made of run once for all samples."""

import pytest

import flambeau as fb
from flambeau.func.compositions import COMPOSITIONS


@pytest.mark.parametrize("name", sorted(set(COMPOSITIONS) - {"trace"}))
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_stacks_of_samples(name, shape):
    a, b = fb.randn(5, *shape), fb.randn(5, *shape)
    join = getattr(fb, name)
    got = fb.vmap(lambda x, y: join([x, y]))(a, b)
    want = fb.stack([join([x, y]) for x, y in zip(a, b)])
    assert got.tolist() == want.tolist()


def test_traces_of_samples():
    a = fb.randn(5, 3, 4)
    assert fb.vmap(fb.trace)(a).tolist() == pytest.approx([fb.trace(m).item() for m in a], rel=1e-6, abs=1e-6)
    with pytest.raises(RuntimeError, match="trace: expected a matrix, but got tensor with dim 1"):
        fb.vmap(fb.trace)(a[0])
