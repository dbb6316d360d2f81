"""RoIAlign: regions of feature maps, resampled to one size. arXiv:1703.06870"""

from __future__ import annotations

import numpy as np

import flambeau as fb
from flambeau import nn

from ._regions import as_rois, in_order, pair, plain_rois, sampled_regions, weighted_rows


def roi_align(
    input: fb.Tensor,
    boxes: fb.Tensor | list[fb.Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> fb.Tensor:
    """Mean values of interpolated points in the bins of boxes.

    Parameters
    ----------
    input : [N, C, H, W].
    boxes : [K, 5] with the index in the batch first, or a list of [L, 4], one for each of the batch; corners.
    output_size : bins, high and wide.
    spatial_scale : from the coordinates of the boxes to those of `input`.
    sampling_ratio : points along each side of a bin; as many as it has pixels where not positive.
    aligned : move the boxes by half a pixel, so that pixels' middles are met exactly.

    Returns [K, C, high, wide]. Boxes get no gradient.
    """
    rois, bins = as_rois(boxes), pair(output_size)
    batch, channels, height, width = input.shape
    dtype = input.dtype if input.dtype in (fb.float32, fb.float64) else fb.float32
    index, corners = plain_rois(rois, dtype, batch)
    if len(index) == 0:
        return input.new_zeros((0, channels, *bins)) + 0 * input.sum()
    corners = corners * corners.dtype.type(spatial_scale)
    if aligned:
        corners = corners - corners.dtype.type(0.5)
    else:  # a box smaller than a pixel becomes one pixel
        corners = np.concatenate([corners[:, :2], np.maximum(corners[:, 2:], corners[:, :2] + 1)], axis=1)
    table = input.to(dtype).permute(0, 2, 3, 1).reshape(-1, channels)
    parts, numbers = [], []
    for part, pixels, weights in sampled_regions(corners, (height, width), bins, sampling_ratio):
        rows = pixels + index[part][:, None, None, None] * (height * width)
        flat = (len(part) * bins[0] * bins[1], pixels.shape[-1])
        out = weighted_rows(table, rows.reshape(flat), weights.reshape(flat))
        parts.append(out.reshape(len(part), *bins, channels).permute(0, 3, 1, 2))
        numbers.append(part)
    return in_order(parts, numbers).contiguous().to(input.dtype)


class RoIAlign(nn.Module):
    """`roi_align` as a module."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: fb.Tensor, rois: fb.Tensor | list[fb.Tensor]) -> fb.Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned})"
        )
