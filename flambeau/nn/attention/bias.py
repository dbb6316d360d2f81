"""Causal masks for attention between sequences of different lengths."""

from enum import IntEnum, auto

import flambeau as fb
from flambeau import Tensor

__all__ = ["causal_upper_left", "causal_lower_right", "CausalVariant", "CausalBias"]


class CausalVariant(IntEnum):
    """To which corner of the scores the diagonal of a causal mask is aligned."""

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias(Tensor):
    """A causal mask of shape (seq_len_q, seq_len_kv) that knows what it is; True where attention is allowed.

    Parameters
    ----------
    variant : CausalVariant
    seq_len_q, seq_len_kv : int
    """

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int):
        offset = seq_len_kv - seq_len_q if variant == CausalVariant.LOWER_RIGHT else 0
        mask = fb.ones(seq_len_q, seq_len_kv, dtype=fb.bool).tril(diagonal=offset)
        return Tensor._make_subclass(cls, mask, False)

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, but got {type(variant)}")
        self.variant = variant
        self.seq_len_q = seq_len_q
        self.seq_len_kv = seq_len_kv
        if seq_len_q > seq_len_kv and variant == CausalVariant.LOWER_RIGHT:
            import warnings

            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > seq_len_kv!",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return repr(self.as_subclass(Tensor))

    __torch_function__ = fb._C._disabled_torch_function_impl


def causal_upper_left(*size: int) -> CausalBias:
    """The mask of `size` whose diagonal begins in the upper left corner."""
    if len(size) != 2:
        raise AssertionError("causal_upper_left only supports 2D tensors")
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> CausalBias:
    """The mask of `size` whose diagonal ends in the lower right corner."""
    if len(size) != 2:
        raise AssertionError("causal_lower_right only supports 2D tensors")
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)
