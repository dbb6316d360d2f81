"""Batches of compressed matrices: the leading dimensions of the indices and values of one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .tensor import compressed, from_dense

__all__ = ["coordinates", "from_dense_batch", "members", "stacked"]


def coordinates(s: Any) -> Any:
    """Places in the batch, rows and columns of the values (of the blocks) of a batch, one after the other."""
    starts, other = s._both_indices()
    batch, count = tuple(starts.shape[:-1]), other.shape[-1]
    flat = starts.reshape(-1, starts.shape[-1])
    lines = fb.arange(flat.shape[1] - 1, device=starts.device).expand(flat.shape[0], -1).flatten()
    which = lines.repeat_interleave(flat.diff(dim=1).flatten())
    pair = (which, other.flatten().to(fb.int64))
    first = fb.arange(flat.shape[0], device=starts.device).repeat_interleave(count)
    places = fb.unravel_index(first, batch)
    return fb.stack([*places, *(pair if s.kind in ("csr", "bsr") else pair[::-1])])


def members(s: Any) -> list:
    """The single matrices of a batch."""
    starts, other = s._both_indices()
    b, values = s.batch_dim(), s._values()
    parts = (t.flatten(0, b - 1).unbind(0) for t in (starts, other, values))
    return [compressed(s.kind, *given, s.shape[b:]) for given in zip(*parts)]


def stacked(matrices: Sequence[Any], batch: Sequence[int]) -> Any:
    """A batch of compressed matrices that store equally many values."""
    if len({m._nnz() for m in matrices}) > 1:
        raise RuntimeError("Expect the same number of specified elements per batch.")
    parts = [fb.stack(list(p)) for p in zip(*(m._both_indices() for m in matrices))]
    values = fb.stack([m._values() for m in matrices])
    starts, plain, stored = (t.reshape(*batch, *t.shape[1:]) for t in (*parts, values))
    return compressed(matrices[0].kind, starts, plain, stored, (*batch, *matrices[0].shape))


def from_dense_batch(t: Any, kind: str, blocksize: Any = None, dense_dim: int | None = None) -> Any:
    """A strided tensor as a compressed matrix, or as a batch of them."""
    batch = tuple(t.shape[: t.dim() - 2 - (dense_dim or 0)])
    if not batch or not math.prod(batch):
        return from_dense(t, t.dim() - dense_dim if dense_dim else None)._to_compressed(kind, blocksize)
    matrices = t.flatten(0, len(batch) - 1).unbind(0)
    made = [from_dense(m, 2)._to_compressed(kind, blocksize) for m in matrices]
    return stacked(made, batch)
