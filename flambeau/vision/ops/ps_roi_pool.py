"""Position-sensitive RoI pooling: mean values, each bin reading channels of its own. arXiv:1605.06409"""

from __future__ import annotations

import numpy as np

import flambeau as fb
from flambeau import nn

from ._regions import WeightedRows, as_rois, away_from_zero, pair, pixel_bins, plain_rois
from .ps_roi_align import first_rows, position_table
from .roi_pool import bin_edges


def ps_roi_pool(
    input: fb.Tensor,
    boxes: fb.Tensor | list[fb.Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> fb.Tensor:
    """The mean value of each bin, read as `ps_roi_align` reads; the last row and column of pixels stay out.

    Returns [K, C / (high * wide), high, wide]. Empty bins give 0.
    """
    rois, bins = as_rois(boxes), pair(output_size)
    table, depth = position_table(input, bins)
    height, width = input.shape[-2:]
    index, corners = plain_rois(rois, input.dtype, input.size(0))
    if len(index) == 0:
        return input.new_zeros((0, depth, *bins)) + 0 * input.sum()
    whole = away_from_zero(corners * corners.dtype.type(spatial_scale))
    first = whole[:, [1, 0]]
    sides = np.maximum(whole[:, [3, 2]] - first, 1)
    low, high = bin_edges(first, sides, bins, (height - 1, width - 1), corners.dtype.type)
    pixels, starts, owner = pixel_bins(low, high, width)
    rows = pixels + first_rows(index, bins, height * width).reshape(-1)[owner]
    weights = 1.0 / np.maximum(np.diff(starts), 1)[owner]
    out = WeightedRows.apply(
        table,
        fb.from_numpy(rows).to(input.device),
        fb.from_numpy(starts).to(input.device),
        fb.from_numpy(weights).to(input.device, input.dtype),
    )
    return out.reshape(len(index), *bins, depth).permute(0, 3, 1, 2).contiguous()


class PSRoIPool(nn.Module):
    """`ps_roi_pool` as a module."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: fb.Tensor, rois: fb.Tensor | list[fb.Tensor]) -> fb.Tensor:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"
