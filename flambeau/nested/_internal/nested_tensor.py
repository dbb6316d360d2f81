"""The class of nested tensors of ragged layout."""

from flambeau.nested.jagged import NestedTensor

__all__ = ["NestedTensor"]
