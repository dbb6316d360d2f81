"""Making weights sparse while a model is trained, by masks that follow their size."""

from .sparsifier import BaseSparsifier, FakeSparsity, WeightNormSparsifier

__all__ = ["BaseSparsifier", "FakeSparsity", "WeightNormSparsifier"]
