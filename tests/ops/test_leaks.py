"""Nothing stays allocated after an operator, its backward and its graph are gone."""

from __future__ import annotations

import gc
import os

import pytest

import flambeau as fb
from flambeau import _C

from .samples import Operator, operators, samples

TABLE = list(operators())
REPEATS = int(os.environ.get("FLAMBEAU_LEAK_REPEATS", "200"))  # a nightly run asks for 10000


def _live() -> int:
    return _C._memory_stats()["live_blocks"]


def _forward_and_backward(sample, op: Operator) -> None:
    result = sample.run(op, tuple(sample.inputs))
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    outputs = [t for t in outputs if isinstance(t, fb.Tensor) and t.requires_grad]
    fb.autograd.grad(outputs, sample.inputs, [fb.ones_like(t) for t in outputs], allow_unused=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_no_block_stays(op: Operator):
    for sample in samples(op):
        for _ in range(3):  # pools, caches and constants fill up
            _forward_and_backward(sample, op)
        gc.collect(0)
        before = _live()
        for _ in range(REPEATS):
            _forward_and_backward(sample, op)
        if _live() > before:
            gc.collect()
        assert _live() - before < REPEATS // 10, f"{_live() - before} blocks more after {REPEATS} calls"
