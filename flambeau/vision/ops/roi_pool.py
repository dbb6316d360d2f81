"""RoIPool: the largest values in the bins of regions. arXiv:1504.08083"""

from __future__ import annotations

import numpy as np

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

from ._regions import as_rois, away_from_zero, pair, pixel_bins, plain_rois


def bin_edges(
    first: np.ndarray, sides: np.ndarray, bins: tuple[int, int], limit: tuple[int, int], dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    """Where the bins of regions start and end, as [K * high * wide, 2] of (y, x), cut at `limit`.

    A bin has every pixel that it touches: neighbours share pixels.
    """
    edges = []
    for axis in (0, 1):
        size = (sides[:, axis].astype(dtype) / dtype(bins[axis]))[:, None]
        number = np.arange(bins[axis], dtype=dtype)[None, :]
        low, high = np.floor(number * size), np.ceil((number + 1) * size)
        edges.append(
            [np.clip(e.astype(np.int64) + first[:, axis, None], 0, limit[axis]) for e in (low, high)]
        )
    shape = (len(first), *bins)
    return tuple(
        np.stack(
            [
                np.broadcast_to(edges[0][end][:, :, None], shape).reshape(-1),
                np.broadcast_to(edges[1][end][:, None, :], shape).reshape(-1),
            ],
            axis=1,
        )
        for end in (0, 1)
    )


def roi_pool(
    input: fb.Tensor,
    boxes: fb.Tensor | list[fb.Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> fb.Tensor:
    """The largest value of each bin of the boxes; arguments and result as of `roi_align`. Empty bins: 0."""
    rois, bins = as_rois(boxes), pair(output_size)
    batch, channels, height, width = input.shape
    index, corners = plain_rois(rois, input.dtype, batch)
    if len(index) == 0:
        return input.new_zeros((0, channels, *bins)) + 0 * input.sum()
    whole = away_from_zero(corners * corners.dtype.type(spatial_scale))
    first = whole[:, [1, 0]]
    sides = np.maximum(whole[:, [3, 2]] - first + 1, 1)
    low, high = bin_edges(first, sides, bins, (height, width), corners.dtype.type)
    pixels, starts, owner = pixel_bins(low, high, width)
    rows = pixels + index[owner // (bins[0] * bins[1])] * (height * width)
    table = input.permute(0, 2, 3, 1).reshape(-1, channels)
    out = F.embedding_bag(
        fb.from_numpy(rows).to(input.device),
        table,
        fb.from_numpy(starts).to(input.device),
        mode="max",
        include_last_offset=True,
    )
    return out.reshape(len(index), *bins, channels).permute(0, 3, 1, 2).contiguous()


class RoIPool(nn.Module):
    """`roi_pool` as a module."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: fb.Tensor, rois: fb.Tensor | list[fb.Tensor]) -> fb.Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"
