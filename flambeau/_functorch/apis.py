"""`vmap` and gradients by the name of PyTorch's module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.func import grad, grad_and_value, vmap
from flambeau.func.vmapping import flat_inputs

__all__ = ["chunk_vmap", "grad", "grad_and_value", "vmap"]


def chunk_vmap(
    func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", chunks: int = 2
) -> Callable:
    """`vmap` in a number of pieces, one after another, which needs less memory.

    Parameters
    ----------
    func : a function of one sample.
    in_dims, out_dims, randomness : as in `flambeau.vmap`.
    chunks : into how many pieces the samples are divided.
    """
    if chunks == 1:
        return vmap(func, in_dims=in_dims, out_dims=out_dims, randomness=randomness)

    def mapped(*args: Any, **kwargs: Any) -> Any:
        _, _, _, count = flat_inputs(func, in_dims, args)
        size = -(-count // chunks)
        pieces = vmap(func, in_dims=in_dims, out_dims=out_dims, randomness=randomness, chunk_size=size)
        return pieces(*args, **kwargs)

    return mapped
