"""On the meta device every operator gives the shape, dtype and strides that it has with data."""

from __future__ import annotations

import pytest

import flambeau as fb

from .samples import Operator, operators, samples

# the shape of the result depends on data, as in PyTorch
BY_DATA = {"masked_select": "the number of true elements"}
TABLE = [op for op in operators() if op.name not in BY_DATA]


def _on_meta(x):
    if isinstance(x, fb.Tensor):
        return x.detach().to("meta")
    if isinstance(x, (list, tuple)):
        return type(x)(_on_meta(v) for v in x)
    return {k: _on_meta(v) for k, v in x.items()} if isinstance(x, dict) else x


def _described(result):
    if isinstance(result, (tuple, list)):
        return [_described(r) for r in result]
    return (tuple(result.shape), result.dtype) if isinstance(result, fb.Tensor) else type(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_meta(op: Operator):
    name = op.name.rpartition("::")[2].partition(".")[0]
    writes = name.endswith("_") and not name.startswith("_")

    def run(call, args, kwargs):
        args = [args[0].clone(), *args[1:]] if writes else args
        with fb.no_grad():
            return _described(call(*args, **kwargs))

    for sample in samples(op):
        call = sample.call or op.function
        expected = run(call, sample.args, sample.kwargs)
        assert run(call, _on_meta(sample.args), _on_meta(sample.kwargs)) == expected
