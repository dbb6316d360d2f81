"""ONNX nodes of operators that draw random numbers: each run of the model draws others."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ._table import OnnxGraph, Val, element_type, symbol


def _drawn(g: OnnxGraph, kind: str, shape: str, **attributes: Any) -> str:
    """Numbers of a distribution in a shape that may follow the inputs."""
    dtype = g.result[0].dtype
    if not dtype.is_floating_point:
        raise NotImplementedError(f"random numbers of {dtype}")
    zeros = g.op("ConstantOfShape", shape, value=g.tensor("value", fb.zeros(1, dtype=dtype)))
    return g.op(kind, zeros, dtype=element_type(dtype), **attributes)


def _whole(g: OnnxGraph, shape: str, low: Any, high: Any) -> str:
    zeros = g.op("ConstantOfShape", shape, value=g.tensor("value", fb.zeros(1)))
    part = g.op("RandomUniformLike", zeros, low=float(low), high=float(high))
    return g.op("Cast", g.op("Floor", part), to=element_type(g.result[0].dtype))


symbol("rand")(lambda g, size, *_: _drawn(g, "RandomUniformLike", g.ints(size)))
symbol("randn")(lambda g, size, *_: _drawn(g, "RandomNormalLike", g.ints(size)))
symbol("rand_like")(lambda g, x, *_: _drawn(g, "RandomUniformLike", g.op("Shape", x)))
symbol("randn_like")(lambda g, x, *_: _drawn(g, "RandomNormalLike", g.op("Shape", x)))
symbol("randint")(lambda g, high, size, *_: _whole(g, g.ints(size), 0, high))
symbol("randint.low")(lambda g, low, high, size, *_: _whole(g, g.ints(size), low, high))
symbol("randint_like")(lambda g, x, high, *_: _whole(g, g.op("Shape", x), 0, high))
symbol("randint_like.low_dtype")(lambda g, x, low, high, *_: _whole(g, g.op("Shape", x), low, high))


@symbol("uniform_")
def _uniform(g: OnnxGraph, x: Val, low: float = 0, high: float = 1, *rest: Any) -> str:
    return _drawn(g, "RandomUniformLike", g.op("Shape", x), low=float(low), high=float(high))


@symbol("normal_")
def _normal(g: OnnxGraph, x: Val, mean: float = 0, std: float = 1, *rest: Any) -> str:
    return _drawn(g, "RandomNormalLike", g.op("Shape", x), mean=float(mean), scale=float(std))


def _chances(g: OnnxGraph, chance: Any) -> str:
    """1 with these chances. Not ONNX's Bernoulli: onnxruntime 1.31 gives its ones with the chance of a
    zero."""
    drawn = g.op("RandomUniformLike", chance, dtype=1)
    return g.op("Cast", g.op("Less", drawn, g.cast(chance, fb.float32)), to=element_type(g.result[0].dtype))


symbol("bernoulli")(lambda g, x, *_: _chances(g, x))


@symbol("bernoulli.p", "bernoulli_.float")
def _bernoulli(g: OnnxGraph, x: Val, p: float = 0.5, *rest: Any) -> str:
    return _chances(g, Val(g.op("Expand", g.constant(float(p)), g.op("Shape", x)), fb.float32, x.shape))


@symbol("dropout")
def _dropout(g: OnnxGraph, x: Val, p: float, train: bool) -> str:
    if not train or p == 0:
        return g.op("Identity", x)
    return g.op("Dropout", x, g.constant(p, x.dtype), g.constant(True))


@symbol("native_dropout")
def _native_dropout(g: OnnxGraph, x: Val, p: float, train: bool | None) -> list[str]:
    return g.op("Dropout", x, g.constant(p, x.dtype), g.constant(train is not False), outputs=2)


@symbol("feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def _other_dropout(g: OnnxGraph, x: Val, p: float, train: bool) -> str:
    if train and p:
        raise NotImplementedError("dropout of whole channels, or alpha dropout, in training")
    return g.op("Identity", x)


@symbol("rrelu")
def _rrelu(
    g: OnnxGraph, x: Val, low: float = 1 / 8, high: float = 1 / 3, train: bool = False, *rest: Any
) -> str:
    if train:
        raise NotImplementedError("rrelu in training")
    return g.op("LeakyRelu", x, alpha=(low + high) / 2)
