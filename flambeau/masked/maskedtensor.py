"""Masked tensors, with what operators do with them."""

from . import rules as _rules  # noqa: F401 - hands its function over to the class
from ._tensor import MaskedTensor, as_masked_tensor, is_masked_tensor, masked_tensor

__all__ = ["MaskedTensor", "masked_tensor", "as_masked_tensor", "is_masked_tensor"]
