"""Position-sensitive RoIAlign: each bin reads channels of its own. arXiv:1711.07264"""

from __future__ import annotations

import numpy as np

import flambeau as fb
from flambeau import nn

from ._regions import as_rois, in_order, pair, plain_rois, sampled_regions, weighted_rows


def position_table(input: fb.Tensor, bins: tuple[int, int]) -> tuple[fb.Tensor, int]:
    """The pixels as rows (picture, bin, y, x), the channels that each bin reads as columns; their number."""
    batch, channels, height, width = input.shape
    if channels % (bins[0] * bins[1]) != 0:
        raise RuntimeError("input channels must be a multiple of pooling height * pooling width")
    depth = channels // (bins[0] * bins[1])
    split = input.reshape(batch, depth, bins[0] * bins[1], height, width)
    return split.permute(0, 2, 3, 4, 1).reshape(-1, depth), depth


def first_rows(index: np.ndarray, bins: tuple[int, int], area: int) -> np.ndarray:
    """The row of pixel 0 for each region and bin: [K, high, wide]."""
    count = bins[0] * bins[1]
    return (index[:, None] * count + np.arange(count)).reshape(len(index), *bins) * area


def ps_roi_align(
    input: fb.Tensor,
    boxes: fb.Tensor | list[fb.Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> fb.Tensor:
    """`roi_align` in which bin (i, j) of output channel c reads input channel (c * high + i) * wide + j.

    Returns [K, C / (high * wide), high, wide].
    """
    rois, bins = as_rois(boxes), pair(output_size)
    dtype = input.dtype if input.dtype in (fb.float32, fb.float64) else fb.float32
    table, depth = position_table(input.to(dtype), bins)
    index, corners = plain_rois(rois, dtype, input.size(0))
    if len(index) == 0:
        return input.new_zeros((0, depth, *bins)) + 0 * input.sum()
    corners = corners * corners.dtype.type(spatial_scale) - corners.dtype.type(0.5)
    size = (input.size(2), input.size(3))
    first = first_rows(index, bins, size[0] * size[1])
    parts, numbers = [], []
    for part, pixels, weights in sampled_regions(corners, size, bins, sampling_ratio):
        flat = (len(part) * bins[0] * bins[1], pixels.shape[-1])
        out = weighted_rows(table, (pixels + first[part][..., None]).reshape(flat), weights.reshape(flat))
        parts.append(out.reshape(len(part), *bins, depth).permute(0, 3, 1, 2))
        numbers.append(part)
    return in_order(parts, numbers).contiguous().to(input.dtype)


class PSRoIAlign(nn.Module):
    """`ps_roi_align` as a module."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio = output_size, spatial_scale, sampling_ratio

    def forward(self, input: fb.Tensor, rois: fb.Tensor | list[fb.Tensor]) -> fb.Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
