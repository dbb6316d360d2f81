"""Pipes of samples, one made of another: ``IterableWrapper(x).map(f).batch(2)``."""

from . import iter, map

__all__ = ["iter", "map"]
