"""Modules of ``torch.ao.nn``."""

from flambeau.ao.nn import quantized

__all__ = ["quantized"]
