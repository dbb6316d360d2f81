"""Watching calls of a module: what it has to be exported with."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.onnx import InputObserver

D = fb.export.Dim.DYNAMIC


class Sum(fb.nn.Module):
    def forward(self, x, y=None, *, k=None):
        r = x * 2
        for other in (y, k):
            r = r if other is None else r + (sum(other) if isinstance(other, list) else other)
        return r


def observed(calls, **options):
    model, observer = Sum(), InputObserver(**options)
    with observer(model):
        for args, kwargs in calls:
            model(*args, **kwargs)
    assert "forward" not in vars(model)
    return observer


def one(n):
    return fb.ones(n, 3)


def shapes(value):
    return fb.utils._pytree.tree_map(lambda v: tuple(v.shape) if isinstance(v, fb.Tensor) else v, value)


def test_by_place():
    observer = observed([((one(2), one(2)), {}), ((one(4), one(4)), {})])
    assert observer.num_obs() == 2
    assert observer.infer_dynamic_shapes() == ({0: D}, {0: D})
    assert shapes(observer.infer_arguments()) == ((2, 3), (2, 3))
    assert shapes(observer.infer_arguments(1)) == ((4, 3), (4, 3))
    assert shapes(observer.infer_arguments(flat=True)) == [(2, 3), (2, 3)]
    assert shapes(observer.infer_arguments(as_args_kwargs=True)) == (((2, 3), (2, 3)), {})


def test_by_name():
    observer = observed([((one(2),), {"k": one(2)}), ((one(4),), {"k": one(4)})])
    assert observer.infer_dynamic_shapes() == {"x": {0: D}, "k": {0: D}}
    assert shapes(observer.infer_arguments()) == {"x": (2, 3), "k": (2, 3)}
    assert shapes(observer.infer_arguments(as_args_kwargs=True)) == (((2, 3),), {"k": (2, 3)})


def test_arguments_of_some_calls():
    observer = observed([((one(2),), {}), ((one(4), one(4)), {})])
    assert observer.infer_dynamic_shapes() == ({0: D}, {})
    assert shapes(observer.infer_arguments()) == ((4, 3), (4, 3))
    assert shapes(observer.infer_arguments(0)) == ((2, 3), (4, 3))
    observer = observed([((one(2), one(1)), {}), ((one(4),), {}), ((one(3), one(3)), {})])
    assert shapes(observer.infer_arguments(1)) == ((4, 3), (0, 3))  # none of its values is known
    observer = observed([((one(2),), {})], value_if_missing={"k": fb.ones(0, 3)})
    assert shapes(observer.infer_arguments()) == {"x": (2, 3), "k": (0, 3)}


def test_structures():
    observer = observed([((one(2),), {"k": [one(2), fb.ones(3)]}), ((one(5),), {"k": [one(5), fb.ones(3)]})])
    assert observer.infer_dynamic_shapes() == {"x": {0: D}, "k": [{0: D}, {}]}


def test_first_dimensions():
    observer = observed([((one(2), one(2)), {})])
    assert observer.infer_dynamic_shapes() == ({}, {})
    assert observer.infer_dynamic_shapes(True) == ({0: D}, {0: D})
    assert observer.infer_dynamic_shapes({"y"}) == ({}, {0: D}) == observer.infer_dynamic_shapes({1})


def test_what_is_no_tensor_is_left_out():
    observer = observed([((one(2),), {"k": 3})])
    assert observer.infer_dynamic_shapes() == ({},) and shapes(observer.infer_arguments()) == ((2, 3),)


def test_calls_are_counted_and_copied():
    model, observer, x = Sum(), InputObserver(), one(2)
    with observer(model, store_n_calls=2):
        for _ in range(5):
            model(x)
            x += 1
    assert observer.num_obs() == 2 and observer.infer_arguments(0)[0].sum() == 6
    for ask in (InputObserver().infer_arguments, InputObserver().infer_dynamic_shapes):
        with pytest.raises(RuntimeError, match=r"No inputs were captured\."):
            ask()
    with pytest.raises(RuntimeError, match="other numbers of dimensions in other calls"):
        observed([((one(2),), {}), ((fb.ones(3),), {})]).infer_dynamic_shapes()


def test_exported_model_agrees():
    pytest.importorskip("onnx.helper", reason="the package onnx is not installed")
    pytest.importorskip("onnxruntime")
    model, observer = Sum(), InputObserver()
    with observer(model):
        for n in (2, 4):
            model(fb.randn(n, 3), fb.randn(n, 3))
    program = fb.onnx.export(
        model, observer.infer_arguments(), dynamic_shapes=observer.infer_dynamic_shapes()
    )
    facts = observer.check_discrepancies(program)
    assert [f["SUCCESS"] for f in facts] == [True, True] and facts[1]["abs"] < 1e-5
    wrong = fb.onnx.export(lambda x, y: x * 3 + y, observer.infer_arguments())
    first, second = observer.check_discrepancies(wrong)
    assert not first["SUCCESS"] and first["abs"] > 0 and "error" in second
