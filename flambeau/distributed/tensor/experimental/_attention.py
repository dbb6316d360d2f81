"""Attention over sequences that lie cut in several processes.

Each process has two pieces of a sequence, one from the front and one from the end, so that under a causal
mask all have as much to do. Queries stay; keys and values of all are put together for each attention, by an
operation whose backward gives each process the gradient of its part.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.overrides import TorchFunctionMode

from ... import _functional_collectives as collectives

if TYPE_CHECKING:
    from ...device_mesh import DeviceMesh

__all__ = ["context_parallel", "context_parallel_unshard", "set_rotate_method"]


class _RotateMethod(Enum):
    ALL_TO_ALL = "alltoall"
    ALL_GATHER = "allgather"


_rotation = [_RotateMethod.ALL_GATHER]


def set_rotate_method(rotate_method: str) -> None:
    """Say how keys and values get to all: ``"allgather"`` or ``"alltoall"``; here both are the first."""
    try:
        _rotation[0] = _RotateMethod(rotate_method)
    except ValueError:
        raise NotImplementedError(
            f"Context Parallel does not support using {rotate_method} for kv shards rotation"
        ) from None


def _places(length: int, rank: int, size: int) -> fb.Tensor:
    """Where in a sequence the elements of a process are."""
    if length % (2 * size):
        raise ValueError(
            f"context_parallel: a sequence of {length} cannot be cut into {2 * size} equal pieces, two for"
            " each process"
        )
    step = length // (2 * size)
    front, end = rank * step, (2 * size - 1 - rank) * step
    return fb.cat([fb.arange(front, front + step), fb.arange(end, end + step)])


def _of_all(length: int, size: int) -> fb.Tensor:
    """The same for all processes, one after the other."""
    return fb.cat([_places(length, rank, size) for rank in range(size)])


class _Attention(TorchFunctionMode):
    """Computes attention of local queries with the keys of all processes."""

    _sees_operators = True

    def __init__(self, mesh: DeviceMesh) -> None:
        super().__init__()
        self.group = mesh.get_group()
        self.rank, self.size = dist.get_rank(self.group), dist.get_world_size(self.group)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") != "scaled_dot_product_attention":
            return func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        query, key, value = (given.pop(name) for name in names[:3])
        if given.pop("attn_mask", None) is not None:
            raise NotImplementedError("context_parallel: attention with attn_mask; is_causal can be given")
        mask = None
        if given.pop("is_causal", False):
            if query.shape[-2] != key.shape[-2]:
                raise NotImplementedError(
                    "context_parallel: causal attention of queries and keys of different lengths"
                )
            length = key.shape[-2] * self.size
            mine = _places(length, self.rank, self.size)
            mask = (mine.unsqueeze(1) >= _of_all(length, self.size)).to(query.device)
        key, value = (
            collectives.all_gather_tensor_autograd(t, t.dim() - 2, self.group) for t in (key, value)
        )
        return func(query, key, value, attn_mask=mask, **given)


@contextlib.contextmanager
def context_parallel(
    mesh: DeviceMesh, *, buffers: list[fb.Tensor] | None = None, buffer_seq_dims: list[int] | None = None,
    no_restore_buffers: set[fb.Tensor] | None = None,
) -> Iterator[None]:  # fmt: skip
    """Context in which sequences lie cut in the processes of a mesh, and attention is that of the whole.

    Parameters
    ----------
    mesh : of one dimension.
    buffers : tensors without gradients, cut in place when the context begins and whole again after it.
    buffer_seq_dims : the dimension of each that is the sequence.
    no_restore_buffers : those of them that stay cut.

    Raises
    ------
    ValueError : a sequence cannot be cut into two equal pieces for each process.
    """
    buffers, dims = list(buffers or []), list(buffer_seq_dims or [])
    kept = {id(t) for t in no_restore_buffers or ()}
    if len(dims) != len(buffers):
        raise ValueError("`seq_dims` must have the same number of elements as `buffers`.")
    if kept - {id(t) for t in buffers}:
        raise ValueError("`no_restore_buffers` must be a subset of `buffers`.")
    size, rank = mesh.size(), dist.get_rank(mesh.get_group())
    parts = [
        t.detach().index_select(dim, _places(t.shape[dim], rank, size).to(t.device))
        for t, dim in zip(buffers, dims, strict=True)
    ]
    before = [None if id(t) in kept else t.detach().clone() for t in buffers]

    def put(tensors: list[fb.Tensor | None]) -> None:
        with fb.no_grad():
            for t, values in zip(buffers, tensors, strict=True):
                if values is not None:
                    t.resize_(values.shape)
                    t.copy_(values)

    put(parts)
    try:
        with _Attention(mesh):
            yield
    finally:
        put(before)


def context_parallel_unshard(
    mesh: DeviceMesh, buffers: list[fb.Tensor], seq_dims: list[int], load_balancer: Any = None
) -> list[fb.Tensor]:
    """Whole sequences of the parts that the processes of a mesh have."""
    if load_balancer is not None:
        raise NotImplementedError("context_parallel_unshard: load_balancer, a program's own order")
    if len(seq_dims) != len(buffers):
        raise ValueError("`seq_dims` must have same number of elements as `buffers`.")
    size, whole = mesh.size(), []
    for t, dim in zip(buffers, seq_dims, strict=True):
        joined = collectives.all_gather_tensor(t, dim, mesh.get_group())
        back = _of_all(joined.shape[dim], size).argsort().to(t.device)
        whole.append(joined.index_select(dim, back))
    return whole
