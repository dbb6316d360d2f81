"""``torch.quantization``: the former place of ``torch.ao.quantization``."""

from flambeau.ao.quantization import DeQuantStub, QuantStub, QuantWrapper

__all__ = ["DeQuantStub", "QuantStub", "QuantWrapper"]
