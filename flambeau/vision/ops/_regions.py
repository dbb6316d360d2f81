"""What pooling of regions (RoI) shares: the form of boxes, and sums of weighted pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.nn import functional as F

_AT_ONCE = 1 << 22  # pixels gathered by one step: bounds the memory of indices


def as_rois(boxes: fb.Tensor | list[fb.Tensor] | tuple[fb.Tensor, ...]) -> fb.Tensor:
    """Boxes as rows (index in the batch, x1, y1, x2, y2)."""
    if isinstance(boxes, (list, tuple)):
        for part in boxes:
            if part.dim() != 2 or part.size(1) != 4:
                raise AssertionError(
                    "The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]"
                )
        number = [fb.full_like(part[:, :1], i) for i, part in enumerate(boxes)]
        return fb.cat([fb.cat(number, dim=0), fb.cat(list(boxes), dim=0)], dim=1)
    if not isinstance(boxes, fb.Tensor):
        raise AssertionError("boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")
    if boxes.dim() != 2 or boxes.size(1) != 5:
        raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
    return boxes


def pair(size: Any) -> tuple[int, int]:
    """One number for both sides, or two."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def plain_rois(rois: fb.Tensor, dtype: fb.dtype, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """The batch indices and the corners, as arrays."""
    array = rois.detach().to("cpu", fb.float64 if dtype == fb.float64 else fb.float32).numpy()
    index = array[:, 0].astype(np.int64)
    if len(index) and not (0 <= index.min() and index.max() < batch):
        raise IndexError(f"boxes name pictures {index.min()}..{index.max()} of a batch of {batch}")
    return index, array[:, 1:]


class WeightedRows(fb.autograd.Function):
    """out[i] = the sum over j from starts[i] to starts[i+1] of weights[j] * table[rows[j]].

    Its derivative is a map of the same kind: nothing of the size of `rows` × columns is ever made.
    """

    @staticmethod
    def forward(table: fb.Tensor, rows: fb.Tensor, starts: fb.Tensor, weights: fb.Tensor) -> fb.Tensor:
        return F.embedding_bag(
            rows, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: fb.Tensor) -> None:
        table, *rest = inputs
        ctx.save_for_backward(*rest)
        ctx.height = table.size(0)

    @staticmethod
    def backward(ctx: Any, gradient: fb.Tensor) -> tuple:
        rows, starts, weights = ctx.saved_tensors
        owner = fb.repeat_interleave(fb.arange(len(starts) - 1, device=rows.device), starts.diff())
        order = rows.argsort(stable=True)
        ends = fb.bincount(rows, minlength=ctx.height).cumsum(0)
        back_starts = fb.cat([fb.zeros_like(ends[:1]), ends])
        back = WeightedRows.apply(gradient.contiguous(), owner[order], back_starts, weights[order])
        return back, None, None, None


def weighted_rows(table: fb.Tensor, rows: np.ndarray, weights: np.ndarray) -> fb.Tensor:
    """For arrays [bags, n]: sums of n weighted rows each."""
    starts = np.arange(rows.shape[0] + 1, dtype=np.int64) * rows.shape[1]
    place = table.device
    return WeightedRows.apply(
        table,
        fb.from_numpy(np.ascontiguousarray(rows).reshape(-1)).to(place),
        fb.from_numpy(starts).to(place),
        fb.from_numpy(np.ascontiguousarray(weights).reshape(-1)).to(place, table.dtype),
    )


def _axis(
    start: np.ndarray, size: np.ndarray, bins: int, samples: int, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and weights [regions, bins, 2 * samples] of the linear interpolation along one axis."""
    bin_size = size / start.dtype.type(bins)
    within = (np.arange(samples, dtype=start.dtype) + start.dtype.type(0.5)) / start.dtype.type(samples)
    numbers = np.arange(bins, dtype=start.dtype)[None, :, None] + within[None, None, :]
    place = start[:, None, None] + numbers * bin_size[:, None, None]
    outside = (place < -1) | (place > pixels)
    place = np.maximum(place, 0)
    low = np.minimum(np.where(outside, 0, place).astype(np.int64), pixels - 1)
    high = np.minimum(low + 1, pixels - 1)
    share = np.where(low == pixels - 1, 0, place - low)
    weights = np.concatenate([1 - share, share], axis=2)
    weights[np.concatenate([outside, outside], axis=2)] = 0
    return np.concatenate([low, high], axis=2), weights / start.dtype.type(samples)


def sampled_regions(
    corners: np.ndarray, size: tuple[int, int], bins: tuple[int, int], sampling_ratio: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pieces of the work: the numbers of regions, and for their bins the pixels (y * W + x) and weights.

    Pixels and weights are [regions, bins high, bins wide, samples]. A bin is the mean of a grid of
    `sampling_ratio`² points, or (0) as many as it has pixels.
    """
    x, y = corners[:, 0], corners[:, 1]
    widths, heights = corners[:, 2] - x, corners[:, 3] - y
    counts = np.full((len(x), 2), sampling_ratio, np.int64)
    if sampling_ratio <= 0:
        counts = np.ceil(np.stack([heights / bins[0], widths / bins[1]], 1)).astype(np.int64)
    for count in np.unique(counts, axis=0):
        chosen = np.flatnonzero((counts == count).all(1))
        if count.min() <= 0:  # an empty region: its bins have no points and are zero
            count = np.zeros(2, np.int64)
        step = max(1, _AT_ONCE // max(1, 4 * math.prod(bins) * int(count.prod())))
        for first in range(0, len(chosen), step):
            part = chosen[first : first + step]
            if not count.any():
                empty = np.zeros((len(part), *bins, 0), np.int64)
                yield part, empty, empty.astype(corners.dtype)
                continue
            rows, down = _axis(y[part], heights[part], bins[0], int(count[0]), size[0])
            columns, across = _axis(x[part], widths[part], bins[1], int(count[1]), size[1])
            pixels = rows[:, :, None, :, None] * size[1] + columns[:, None, :, None, :]
            weights = down[:, :, None, :, None] * across[:, None, :, None, :]
            flat = (len(part), *bins, -1)
            yield part, pixels.reshape(flat), weights.reshape(flat)


def in_order(parts: list[fb.Tensor], numbers: list[np.ndarray]) -> fb.Tensor:
    """Put pieces of the result, made for the regions `numbers`, in the order of the regions."""
    order = np.concatenate(numbers)
    together = fb.cat(parts) if len(parts) > 1 else parts[0]
    if np.array_equal(order, np.arange(len(order))):
        return together
    return together[fb.from_numpy(np.argsort(order)).to(together.device)]


def pixel_bins(first: np.ndarray, last: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pixels of rectangles from `first` (y, x) to before `last`: [n, 2] each.

    Gives the pixels (y * width + x) of all rectangles in a row, where each rectangle starts in it (with the
    end as the last entry), and to which rectangle each belongs.
    """
    sides = np.maximum(last - first, 0)
    counts = sides.prod(axis=1)
    starts = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(starts[-1]) - starts[:-1][owner]
    row, column = np.divmod(within, np.maximum(sides[owner, 1], 1))
    return (first[owner, 0] + row) * width + first[owner, 1] + column, starts, owner


def away_from_zero(x: np.ndarray) -> np.ndarray:
    """Rounded as C rounds: halves away from zero."""
    return np.copysign(np.floor(np.abs(x) + x.dtype.type(0.5)), x).astype(np.int64)
