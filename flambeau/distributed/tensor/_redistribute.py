"""From one way of sharing a tensor to another, forwards and backwards.

The gradient of a tensor is shared as the tensor is; that of a `Partial` one is whole everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.group import from_bytes, to_bytes

from .placement_types import Partial, Placement, Replicate, Shard

__all__ = ["local_shape", "redistribute", "reduce_gradient", "whole"]

_OPS = {"sum": "SUM", "avg": "AVG", "max": "MAX", "min": "MIN", "product": "PRODUCT"}


def local_shape(
    shape: Sequence[int], mesh: Any, placements: Sequence[Placement], place: Sequence[int] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the part of a process (this one), and where it begins in the whole."""
    place = mesh.get_coordinate() if place is None else place
    sizes, starts = list(shape), [0] * len(shape)
    for d, placement in enumerate(placements):
        if isinstance(placement, Shard):
            k = placement.dim
            sizes[k], start = Shard.local_shard_size_and_offset(sizes[k], mesh.size(d), place[d])
            starts[k] += start
    return tuple(sizes), tuple(starts)


def _gathered(local: fb.Tensor, dim: int, length: int, mesh: Any, d: int) -> fb.Tensor:
    """The parts along `dim` of all processes of mesh dimension `d`, joined; `length` is the sum."""
    group, parts = mesh.get_group(d), []
    for k, data in enumerate(group.gather_bytes(to_bytes(local))):
        sizes = list(local.shape)
        sizes[dim] = Shard.local_shard_size_and_offset(length, mesh.size(d), k)[0]
        parts.append(from_bytes(data, fb.empty(sizes, dtype=local.dtype, device=local.device)))
    return fb.cat(parts, dim)


def _part(local: fb.Tensor, dim: int, mesh: Any, d: int) -> fb.Tensor:
    size, start = Shard.local_shard_size_and_offset(local.shape[dim], mesh.size(d), mesh.get_local_rank(d))
    return local.narrow(dim, start, size).clone()


def _plan(current: Sequence[Placement], target: Sequence[Placement]) -> set[int]:
    """The mesh dimensions to make whole first: those that change, and those that cut their pieces further."""
    undo = {d for d, (a, b) in enumerate(zip(current, target)) if a != b}
    for d in sorted(undo):
        cut = {p.dim for p in (current[d], target[d]) if isinstance(p, Shard)}
        undo |= {
            e for e in range(d + 1, len(current)) if isinstance(current[e], Shard) and current[e].dim in cut
        }
    return undo


def _moved(
    local: fb.Tensor,
    shape: Sequence[int],
    mesh: Any,
    current: Sequence[Placement],
    target: Sequence[Placement],
) -> fb.Tensor:
    """What this process has under `target`, without gradients."""
    undo = _plan(current, target)
    state = list(current)
    for d in sorted(undo, reverse=True):
        if isinstance(state[d], Shard):
            k = state[d].dim
            length = local_shape(shape, mesh, [Replicate() if e >= d else p for e, p in enumerate(state)])[0][
                k
            ]
            local = _gathered(local, k, length, mesh, d)
            state[d] = Replicate()
        elif isinstance(state[d], Partial) and not isinstance(target[d], Partial):
            local = local.contiguous().clone()
            dist.all_reduce(local, getattr(dist.ReduceOp, _OPS[state[d].reduce_op]), mesh.get_group(d))
            state[d] = Replicate()
    for d in sorted(undo):
        if isinstance(target[d], Shard):
            local = _part(local, target[d].dim, mesh, d)
        elif isinstance(target[d], Partial) and state[d] != target[d]:
            if target[d].reduce_op == "sum" and mesh.get_local_rank(d) != 0:
                local = fb.zeros_like(local)
            elif target[d].reduce_op not in ("sum", "avg", "max", "min"):
                raise NotImplementedError(f"DTensor: from {state[d]!r} to {target[d]!r}")
    return local


class _Redistribute(fb.autograd.Function):
    @staticmethod
    def forward(local: Any, shape: Any, mesh: Any, current: Any, target: Any) -> Any:
        moved = _moved(local.detach(), shape, mesh, current, target)
        return local.view_as(local) if moved is local else moved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        _, *ctx.given = inputs

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        shape, mesh, current, target = ctx.given
        if any(isinstance(p, Partial) and p.reduce_op not in ("sum", "avg") for p in current):
            raise NotImplementedError(f"DTensor: the gradient of {current}")
        there, back = ([Replicate() if isinstance(p, Partial) else p for p in ps] for ps in (target, current))
        grad = _moved(grad, shape, mesh, there, back)
        for d, (a, b) in enumerate(zip(current, target)):
            if isinstance(a, Partial) and a.reduce_op == "avg" and a != b:
                grad = grad / mesh.size(d)
        return grad, None, None, None, None


def redistribute(
    local: fb.Tensor,
    shape: Sequence[int],
    mesh: Any,
    current: Sequence[Placement],
    target: Sequence[Placement],
) -> fb.Tensor:
    """What this process has of a tensor under `target`, differentiable."""
    if tuple(current) == tuple(target):
        return local
    return _Redistribute.apply(local, tuple(shape), mesh, tuple(current), tuple(target))


def whole(local: fb.Tensor, shape: Sequence[int], mesh: Any, current: Sequence[Placement]) -> fb.Tensor:
    """The whole tensor."""
    return redistribute(local, shape, mesh, current, [Replicate()] * len(current))


class _ReduceGradient(fb.autograd.Function):
    @staticmethod
    def forward(local: Any, groups: Any) -> Any:
        return local.view_as(local)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        _, ctx.groups = inputs

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        grad = grad.contiguous().clone()
        for group in ctx.groups:
            dist.all_reduce(grad, group=group)
        return grad, None


def reduce_gradient(local: fb.Tensor, mesh: Any, dims: Sequence[int]) -> fb.Tensor:
    """The same tensor; its gradient is the sum of those of the processes along these mesh dimensions."""
    if not dims or not (local.requires_grad and fb.is_grad_enabled()):
        return local
    return _ReduceGradient.apply(local, [mesh.get_group(d) for d in dims])
