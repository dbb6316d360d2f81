"""``torch.ao``: quantization."""

from flambeau._lookup import lazy

__all__ = ["nn", "quantization"]

__getattr__ = lazy(__name__, {}, __all__)
