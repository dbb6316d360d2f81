"""Layers of ``torch.ao.nn``."""

from flambeau._lookup import lazy

__all__ = ["intrinsic", "qat", "quantizable", "quantized"]

__getattr__ = lazy(__name__, {}, __all__)
