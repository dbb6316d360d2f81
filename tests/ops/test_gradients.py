"""The derivatives of the whole operator table against finite differences: a new entry is tested by itself."""

from __future__ import annotations

import warnings

import pytest

import flambeau as fb
from flambeau import _C

from .samples import EXCLUDED, GRADIENT_OF, SPECIAL, Operator, operators, samples

TABLE = list(operators())


def _outputs(result):
    found = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(t for t in found if isinstance(t, fb.Tensor) and (t.is_floating_point() or t.is_complex()))


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_against_finite_differences(op: Operator):
    for sample in samples(op):
        assert sample.inputs, f"a sample of {op.schema} has nothing to differentiate"

        def call(*inputs, sample=sample):
            return tuple(t for t in _outputs(sample.run(op, inputs)) if t.requires_grad)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert fb.autograd.gradcheck(call, tuple(sample.inputs), eps=1e-6, atol=1e-5)
            if sample.second:
                assert fb.autograd.gradgradcheck(call, tuple(sample.inputs), eps=1e-6, atol=1e-4)


def test_exceptions_name_operators():
    names = {row[0] for row in _C._operators()}
    for table in (EXCLUDED, GRADIENT_OF, SPECIAL):
        assert not set(table) - names, "no such operators"
    assert not set(GRADIENT_OF.values()) - names
