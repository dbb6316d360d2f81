"""Layers trained for activations that are quantized at the call."""

from flambeau.ao.nn.qat.dynamic.modules.linear import Linear

__all__ = ["Linear"]
