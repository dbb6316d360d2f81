"""``torch.ao.nn.qat.dynamic``: layers trained for activations that are quantized at the call."""

from flambeau.ao.nn.qat.dynamic.modules import Linear

__all__ = ["Linear"]
