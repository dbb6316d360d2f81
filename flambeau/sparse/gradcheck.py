"""`gradcheck` of functions that take and return sparse tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from .tensor import SparseTensor, is_sparse

__all__ = ["as_sparse_gradcheck"]


def _filled(s: SparseTensor) -> SparseTensor:
    """The same matrix with all its elements stored."""
    blocksize = s.blocksize if s.kind in ("bsr", "bsc") else None
    everywhere = fb.ones(s.shape, dtype=s.dtype, device=s.device).to_sparse(
        layout=s.layout, blocksize=blocksize, dense_dim=s.dense_dim()
    )
    places, _ = everywhere._elements()
    return everywhere.like_elements(s.to_dense()[tuple(places)])


def as_sparse_gradcheck(gradcheck: Callable) -> Callable:
    """Make a function that checks gradients, such as `autograd.gradcheck`, take sparse inputs.

    Parameters
    ----------
    gradcheck : called as ``gradcheck(func, inputs, **options)``.

    Returns
    -------
    A function called in the same way, and with `masked`: whether what is not stored in a sparse input is
    masked, rather than zeros whose gradients count.  What is differentiated are the values.
    """

    def gradcheck_with_sparse_support(
        func: Callable, inputs: Any, *, masked: bool = False, **kwargs: Any
    ) -> Any:
        given = (inputs,) if isinstance(inputs, fb.Tensor) else tuple(inputs)
        patterns = {}
        plain = list(given)
        for i, x in enumerate(given):
            if is_sparse(x) and x.requires_grad:
                pattern = x.detach() if masked else _filled(x.detach())
                patterns[i] = pattern
                plain[i] = pattern._values().clone().requires_grad_()

        def of_values(*args: Any) -> Any:
            out = func(*(patterns[i].like(x) if i in patterns else x for i, x in enumerate(args)))
            several = isinstance(out, (tuple, list))
            dense = tuple(
                o.to_dense(masked_grad=masked) if is_sparse(o) else o for o in (out if several else [out])
            )
            return dense if several else dense[0]

        return gradcheck(of_values, tuple(plain), **kwargs)

    return gradcheck_with_sparse_support
