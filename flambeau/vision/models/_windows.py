"""Windows of pictures and films, for networks that attend within them: cutting, shifting, positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import flambeau as fb
from flambeau import nn


def position_index(window: Sequence[int]) -> fb.Tensor:
    """For each pair of positions in a window [N, N], the number of their offset, counted row by row."""
    axes = [fb.arange(side) for side in window]
    positions = fb.stack(fb.meshgrid(axes, indexing="ij")).flatten(1)
    offsets = positions[:, :, None] - positions[:, None, :]
    index = fb.zeros(offsets.shape[1:], dtype=fb.int64)
    for offset, side in zip(offsets, window, strict=True):
        index = index * (2 * side - 1) + (offset + side - 1)
    return index


def offsets_between(window: Sequence[int]) -> fb.Tensor:
    """All offsets in a window, from -1 to 1 in each direction: [2 H - 1, 2 W - 1, 2]."""
    axes = [fb.arange(1 - side, side, dtype=fb.float32) / (side - 1) for side in window]
    return fb.stack(fb.meshgrid(axes, indexing="ij"), dim=-1)


def cut(x: fb.Tensor, window: Sequence[int]) -> fb.Tensor:
    """[N, *sizes, C] as [N * windows, positions, C]; the sizes are multiples of the window's."""
    sizes, dims = x.shape[1:-1], len(window)
    shape = [part for size, side in zip(sizes, window, strict=True) for part in (size // side, side)]
    order = [0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2), 2 * dims + 1]
    return x.view(x.shape[0], *shape, x.shape[-1]).permute(order).reshape(-1, math.prod(window), x.shape[-1])


def join(x: fb.Tensor, window: Sequence[int], sizes: Sequence[int]) -> fb.Tensor:
    """What `cut` was given, from what it gave."""
    counts, dims = [size // side for size, side in zip(sizes, window, strict=True)], len(window)
    order = [0, *(axis for i in range(1, dims + 1) for axis in (i, i + dims)), 2 * dims + 1]
    return x.view(-1, *counts, *window, x.shape[-1]).permute(order).reshape(-1, *sizes, x.shape[-1])


def by_windows(
    attend: Callable[[fb.Tensor], fb.Tensor],
    x: fb.Tensor,
    window: Sequence[int],
    padded: Sequence[int],
    shift: Sequence[int],
) -> fb.Tensor:
    """Apply a function of [windows, positions, C] to [N, *sizes, C] padded, shifted and cut; undo these."""
    sizes = x.shape[1:-1]
    axes = list(range(1, x.dim() - 1))
    after = [more - size for more, size in zip(padded, sizes, strict=True)]
    x = nn.functional.pad(x, (0, 0, *(part for amount in reversed(after) for part in (0, amount))))
    if any(shift):
        x = fb.roll(x, shifts=[-step for step in shift], dims=axes)
    x = join(attend(cut(x, window)), window, padded)
    if any(shift):
        x = fb.roll(x, shifts=list(shift), dims=axes)
    return x[(slice(None), *(slice(size) for size in sizes))].contiguous() if any(after) else x


def regions(
    sizes: Sequence[int], window: Sequence[int], shift: Sequence[int], device: fb.device, dtype: fb.dtype
) -> fb.Tensor:
    """For each window after a shift, -100 where two positions come from different ends: [windows, N, N]."""
    label = fb.zeros((), device=device)
    for size, side, step in zip(sizes, window, shift, strict=True):
        parts = [size - side, side - step, step] if step else [size]
        ends = fb.cat([fb.full((part,), float(i), device=device) for i, part in enumerate(parts)])
        label = label.unsqueeze(-1) * 3 + ends
    labels = cut(label[None, ..., None], window).squeeze(-1)
    apart = labels[:, None, :] != labels[:, :, None]
    return fb.zeros(apart.shape, device=device, dtype=dtype).masked_fill_(apart, -100.0)
