"""Layers, functions and methods that work on quantized tensors as they are."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

__all__ = ["FUNCTIONS", "METHODS", "MODULES"]

_pools = [f"{kind}Pool{n}d" for kind in ("AdaptiveAvg", "Avg", "Max") for n in (1, 2, 3)]
MODULES: set[type[nn.Module]] = {
    getattr(nn, name) for name in (*_pools, "ReLU", "ReLU6", "Identity", "Hardsigmoid", "Sigmoid", "Tanh")
}
_of_functional = """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d elu hardswish instance_norm
layer_norm leaky_relu silu mish dropout max_pool1d max_pool2d max_pool3d relu hardtanh hardtanh_ hardsigmoid
sigmoid"""
_of_tensors = "transpose repeat_interleave sigmoid squeeze stack sum tanh unsqueeze cat"
FUNCTIONS: set[Any] = {getattr(F, n) for n in _of_functional.split()} | {
    getattr(fb, n) for n in _of_tensors.split()
}
METHODS: set[Any] = {
    fb.mean, "contiguous", "permute", "repeat", "repeat_interleave", "reshape", "resize_", "shape", "size",
    "transpose", "view",
    *(n + end for n in "relu detach hardsigmoid sigmoid squeeze tanh unsqueeze".split() for end in ("", "_")),
}  # fmt: skip
