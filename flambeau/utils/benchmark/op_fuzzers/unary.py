"""Inputs of operators on one tensor."""

import flambeau as fb

from ._pointwise import PointwiseFuzzer

__all__ = ["UnaryOpFuzzer"]


class UnaryOpFuzzer(PointwiseFuzzer):
    """Draws a tensor "x"."""

    def __init__(self, seed: int | None, dtype: fb.dtype = fb.float32, cuda: bool = False) -> None:
        super().__init__(("x",), seed, dtype, cuda)
