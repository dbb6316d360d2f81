"""Inputs of operators on two tensors."""

import flambeau as fb

from ._pointwise import PointwiseFuzzer

__all__ = ["BinaryOpFuzzer"]


class BinaryOpFuzzer(PointwiseFuzzer):
    """Draws tensors "x" and "y" that broadcast."""

    def __init__(self, seed: int | None, dtype: fb.dtype = fb.float32, cuda: bool = False) -> None:
        super().__init__(("x", "y"), seed, dtype, cuda)
