"""The module type that ``flambeau.compile`` returns, where PyTorch keeps it."""

from flambeau.compiler._module import OptimizedModule

__all__ = ["OptimizedModule"]
