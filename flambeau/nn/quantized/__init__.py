"""``torch.nn.quantized``: the former place of ``torch.ao.nn.quantized``."""

from flambeau.ao.nn.quantized import FloatFunctional, FXFloatFunctional

__all__ = ["FXFloatFunctional", "FloatFunctional"]
