"""Whether code is being recorded, where PyTorch keeps the question."""

from flambeau.compiler import is_compiling

__all__ = ["is_compiling"]
