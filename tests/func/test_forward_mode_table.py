"""Directional derivatives of the whole operator table against finite differences."""

from __future__ import annotations

import pytest
from ops.samples import Operator, operators, samples

import flambeau as fb
from flambeau.func import jvp

# its gradient has no derivative, here and in PyTorch
EXCLUDED = {"_ctc_loss"}
TABLE = [op for op in operators() if op.name not in EXCLUDED]


def _outputs(result):
    found = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(t for t in found if isinstance(t, fb.Tensor) and (t.is_floating_point() or t.is_complex()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_against_finite_differences(op: Operator):
    for sample in samples(op):
        inputs = tuple(t.detach() for t in sample.inputs)
        generator = fb.Generator().manual_seed(1)
        tangents = tuple(fb.randn(t.shape, dtype=t.dtype, generator=generator) for t in inputs)

        def call(*values, sample=sample):
            return _outputs(sample.run(op, values))

        _, derivative = jvp(call, inputs, tangents)
        step = 1e-6
        with fb.no_grad():
            ahead, behind = (call(*[t + s * step * v for t, v in zip(inputs, tangents)]) for s in (1, -1))
        for found, a, b in zip(derivative, ahead, behind):
            fb.testing.assert_close(found, (a - b) / (2 * step), rtol=1e-4, atol=1e-4, equal_nan=True)
