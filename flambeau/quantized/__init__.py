"""Quantized tensors: integers that stand for numbers, and what operators do with them."""

from __future__ import annotations

from .tensor import QuantizedTensor

__all__ = ["QuantizedTensor"]
