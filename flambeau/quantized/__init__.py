"""Quantized tensors: integers that stand for numbers, and what operators do with them."""

from __future__ import annotations

from . import numeric as _numeric  # noqa: F401 - its rules come to those of `rules`
from . import printing as _printing  # noqa: F401 - how they print
from .tensor import QuantizedTensor

__all__ = ["QuantizedTensor"]
