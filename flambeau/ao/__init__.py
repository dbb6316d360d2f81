"""``torch.ao``: here the modules that programs put in for quantization, which do nothing until it is done."""

from flambeau.ao import nn, quantization

__all__ = ["nn", "quantization"]
