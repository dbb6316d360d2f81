"""Averaging gradients as products of two thin matrices: PowerSGD (Vogels, Karimireddy, Jaggi, 2019).

A gradient seen as a matrix M of n by m is sent as P (n by r) and Q (m by r): P = M Q is averaged and made
orthonormal, Q = Mᵀ P is averaged, and every process goes on with P Qᵀ. What that leaves out is added to the
gradient of the next step.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import distributed as dist
from flambeau.futures import Future

from . import default_hooks as default

__all__ = ["PowerSGDState", "batched_powerSGD_hook", "powerSGD_hook"]

logger = logging.getLogger(__name__)


class PowerSGDState:
    """What the hooks keep from step to step.

    Parameters
    ----------
    process_group : the group; None for all processes.
    matrix_approximation_rank : columns of the thin matrices.
    start_powerSGD_iter : steps before which gradients are averaged whole.
    min_compression_rate : how much smaller a gradient must become to be sent in this way.
    use_error_feedback : whether to add what was left out to the next gradient.
    warm_start : whether to begin with the matrices of the step before.
    orthogonalization_epsilon : added to lengths of columns; 0 takes a QR decomposition instead.
    random_seed : of the first matrices, the same in all processes.
    compression_stats_logging_frequency : steps between lines in the log.
    batch_tensors_with_same_shape : whether matrices of one shape are multiplied together.

    Raises
    ------
    ValueError : ``start_powerSGD_iter`` is less than 2 where the first steps make what is kept.
    """

    def __init__(
        self,
        process_group: Any,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1000,
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        orthogonalization_epsilon: float = 0,
        random_seed: int = 0,
        compression_stats_logging_frequency: int = 10_000,
        batch_tensors_with_same_shape: bool = False,
    ) -> None:
        if (use_error_feedback or warm_start) and start_powerSGD_iter <= 1:
            raise ValueError(
                "Expect `start_powerSGD_iter` > 1 if `use_error_feedback` or `warm_start` is enabled, "
                "because "
                "PowerSGD can only be applied after the first two iterations in DDP."
            )
        self.process_group = process_group
        self.matrix_approximation_rank = matrix_approximation_rank
        self.start_powerSGD_iter = start_powerSGD_iter
        self.min_compression_rate = min_compression_rate
        self.use_error_feedback, self.warm_start = use_error_feedback, warm_start
        self.orthogonalization_epsilon = orthogonalization_epsilon
        self.rng = np.random.RandomState(random_seed)
        self.error_dict: dict[int, fb.Tensor] = {}
        self.p_memory_dict: dict[int, fb.Tensor] = {}
        self.q_memory_dict: dict[int, fb.Tensor] = {}
        self.iter = 0
        self.total_numel_before_compression = self.total_numel_after_compression = 0
        self.compression_stats_logging_frequency = max(1, compression_stats_logging_frequency)
        self.next_stats_report = 0
        self.batch_tensors_with_same_shape = batch_tensors_with_same_shape

    def __getstate__(self) -> dict[str, Any]:
        logger.warning("NOTE: Process group is not serializable and excluded from a saved state.")
        return {name: value for name, value in self.__dict__.items() if name != "process_group"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.process_group = dist.group.WORLD

    def maybe_increase_iter(self, bucket: Any) -> None:
        """Count a step at its last bucket."""
        if bucket.is_last():
            self.iter += 1
            if self.iter == self.start_powerSGD_iter:
                logger.info("Start to apply PowerSGD after %s iterations.", self.iter)

    def compression_stats(self) -> tuple[float, int, int]:
        """By how much gradients became smaller, and their numbers of elements before and after."""
        before, after = self.total_numel_before_compression, self.total_numel_after_compression
        return (before / after if after else 0), before, after

    def _report(self, bucket: Any) -> None:
        if bucket.is_last() and self.iter >= self.next_stats_report:
            logger.info(
                "Compression stats: iter %s, rate %.3f, %s -> %s", self.iter, *self.compression_stats()
            )
            self.next_stats_report = self.iter + self.compression_stats_logging_frequency

    def _wanted(self, index: int, values: fb.Tensor) -> fb.Tensor | None:
        """Add what a bucket lacked before to `values`; a copy, to know what it lacks this time."""
        if not self.use_error_feedback:
            return None
        if index in self.error_dict:
            values.add_(self.error_dict[index])
        return values.clone()

    def _draw(self, *tensors: fb.Tensor) -> None:
        """Fill tensors with random numbers that are the same in all processes."""
        with fb.random.fork_rng(devices=[]):
            fb.manual_seed(self.rng.randint(1_000_000_000))
            for t in tensors:
                t.copy_(fb.randn(t.shape, dtype=t.dtype))

    def _orthogonal(self, matrices: fb.Tensor) -> fb.Tensor:
        _orthogonalize(matrices, self.orthogonalization_epsilon)
        return matrices


def _orthogonalize(matrices: fb.Tensor, epsilon: float = 0) -> None:
    """Make the columns of each matrix orthonormal, in place."""
    if epsilon == 0 and matrices.dtype not in (fb.float16, fb.bfloat16):
        matrices.copy_(fb.linalg.qr(matrices).Q)
        return
    for i in range(matrices.shape[2]):
        column = matrices[:, :, i : i + 1]
        length = fb.norm(column, dim=(1, 2), keepdim=True)
        column.div_(length + epsilon if epsilon else fb.where(length == 0, 1, length))
        rest = matrices[:, :, i + 1 :]
        rest -= (column * rest).sum(1, keepdim=True) * column


def _should_compress(rows: int, cols: int, rank: int, least: float) -> tuple[bool, int, int]:
    """Whether a matrix becomes small enough, its number of elements, and that of the thin matrices."""
    before, after = rows * cols, (rows + cols) * rank
    return after * least < before, before, after


def _average(state: PowerSGDState, tensor: fb.Tensor) -> None:
    dist.all_reduce(tensor, group=state.process_group)


def _done(tensor: fb.Tensor) -> Future:
    future = Future()
    future.set_result(tensor)
    return future


def powerSGD_hook(state: PowerSGDState, bucket: Any) -> Future:
    """The average of a bucket, its matrices as products of thin ones; for ``register_comm_hook``."""
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return default.allreduce_hook(state.process_group, bucket)
    world, index, whole = dist.get_world_size(state.process_group), bucket.index(), bucket.buffer()
    wanted = state._wanted(index, whole)

    plain: list[fb.Tensor] = []
    groups: dict[tuple[int, int], list[fb.Tensor]] = defaultdict(list)
    columns = 0
    for gradient in bucket.gradients():
        matrix = gradient.view(gradient.shape[0], -1) if gradient.dim() else gradient.view(1, 1)
        n, m = matrix.shape
        rank = min(n, m, state.matrix_approximation_rank)
        small, before, after = _should_compress(n, m, rank, state.min_compression_rate)
        state.total_numel_before_compression += before
        state.total_numel_after_compression += after if small else before
        if small:
            groups[(n, m)].append(matrix)
            columns += rank * (n + m)
        else:
            plain.append(gradient)
    state._report(bucket)

    if plain:
        flat = fb.cat([t.reshape(-1) for t in plain]).div_(world)
        _average(state, flat)
        for gradient, part in zip(plain, flat.split([t.numel() for t in plain])):
            gradient.copy_(part.view_as(gradient))

    together = list(groups.values())
    if not state.batch_tensors_with_same_shape:
        together = [[m] for group in together for m in group]
    fresh = index not in state.p_memory_dict or not state.warm_start
    if fresh:
        sizes = [(len(g), *g[0].shape, min(*g[0].shape, state.matrix_approximation_rank)) for g in together]
        state.p_memory_dict[index] = whole.new_empty(sum(k * n * r for k, n, m, r in sizes))
        state.q_memory_dict[index] = whole.new_empty(sum(k * m * r for k, n, m, r in sizes))
    ps, qs = _views(state, index, together)
    if fresh:
        state._draw(*qs)
    for q in qs:
        state._orthogonal(q)
    stacked = [fb.stack(group) for group in together]
    for group, p, q in zip(stacked, ps, qs):
        fb.bmm(group, q, out=p)
    if ps:
        _average(state, state.p_memory_dict[index])
    for group, p, q in zip(stacked, ps, qs):
        fb.bmm(group.transpose(1, 2), state._orthogonal(p), out=q)
    if qs:
        _average(state, state.q_memory_dict[index].div_(world))
    for group, p, q in zip(together, ps, qs):
        for matrix, made in zip(group, fb.bmm(p, q.transpose(1, 2))):
            matrix.copy_(made)
    if wanted is not None:
        state.error_dict[index] = wanted - whole
    if not state.warm_start:
        state.p_memory_dict.clear()
        state.q_memory_dict.clear()
    state.maybe_increase_iter(bucket)
    return _done(whole)


def _views(
    state: PowerSGDState, index: int, together: list[list[fb.Tensor]]
) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
    """The thin matrices of all groups inside the two tensors that are sent."""
    ps, qs, at_p, at_q = [], [], 0, 0
    for group in together:
        (n, m), k = group[0].shape, len(group)
        r = min(n, m, state.matrix_approximation_rank)
        ps.append(state.p_memory_dict[index][at_p : at_p + k * n * r].view(k, n, r))
        qs.append(state.q_memory_dict[index][at_q : at_q + k * m * r].view(k, m, r))
        at_p, at_q = at_p + k * n * r, at_q + k * m * r
    return ps, qs


def batched_powerSGD_hook(state: PowerSGDState, bucket: Any) -> Future:
    """The average of a bucket that is seen as one square matrix: faster, and less exact."""
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return default.allreduce_hook(state.process_group, bucket)
    world, index, whole = dist.get_world_size(state.process_group), bucket.index(), bucket.buffer()
    total = whole.numel()
    side = math.ceil(math.sqrt(total))
    state.total_numel_before_compression += total
    state.total_numel_after_compression += 2 * side * state.matrix_approximation_rank
    state._report(bucket)
    padded = fb.cat([whole, whole.new_zeros(side * side - total)])
    wanted = state._wanted(index, padded)
    matrix = padded.view(1, side, side)
    rank = min(side, state.matrix_approximation_rank)
    if state.warm_start and index in state.q_memory_dict:
        q = state.q_memory_dict[index]
    else:
        q = padded.new_empty(1, side, rank)
        state._draw(q)
    p = fb.bmm(matrix, state._orthogonal(q))
    _average(state, p)
    q = fb.bmm(matrix.transpose(1, 2), state._orthogonal(p)).div_(world)
    _average(state, q)
    state.p_memory_dict[index], state.q_memory_dict[index] = p, q
    padded = fb.bmm(p, q.transpose(1, 2)).view(-1)
    if wanted is not None:
        state.error_dict[index] = wanted - padded
    state.maybe_increase_iter(bucket)
    return _done(whole.copy_(padded[:total]))
