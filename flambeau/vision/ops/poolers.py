"""RoIAlign on a feature pyramid."""

from __future__ import annotations

import math

import flambeau as fb
from flambeau import nn

from ._regions import pair
from .boxes import box_area
from .roi_align import roi_align


class LevelMapper:
    """The level of a pyramid on which a box is looked at: log2 of its side. arXiv:1612.03144, equation 1"""

    def __init__(
        self,
        k_min: int,
        k_max: int,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        eps: float = 1e-6,
    ) -> None:
        self.k_min, self.k_max = k_min, k_max
        self.s0, self.lvl0, self.eps = canonical_scale, canonical_level, eps

    def __call__(self, boxlists: list[fb.Tensor]) -> fb.Tensor:
        side = fb.sqrt(fb.cat([box_area(boxes) for boxes in boxlists]))
        level = fb.floor(self.lvl0 + fb.log2(side / self.s0) + fb.tensor(self.eps, dtype=side.dtype))
        return (level.clamp(min=self.k_min, max=self.k_max) - self.k_min).to(fb.int64)


class MultiScaleRoIAlign(nn.Module):
    """`roi_align` of each box on the level of a pyramid that fits its size.

    Parameters
    ----------
    featmap_names : the maps to use, the finest first.
    output_size, sampling_ratio : as of `roi_align`.
    canonical_scale, canonical_level : a box of that side belongs to that level.
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | tuple[int, int] | list[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names, self.sampling_ratio = featmap_names, sampling_ratio
        self.output_size = pair(output_size)
        self.scales: list[float] | None = None
        self.map_levels: LevelMapper | None = None
        self.canonical_scale, self.canonical_level = canonical_scale, canonical_level

    def _set_scales(self, maps: list[fb.Tensor], image_shapes: list[tuple[int, int]]) -> None:
        if not image_shapes:
            raise ValueError("images list should not be empty")
        height = max(shape[0] for shape in image_shapes)
        self.scales = [2.0 ** round(math.log2(m.shape[-2] / height)) for m in maps]
        low, high = -math.log2(self.scales[0]), -math.log2(self.scales[-1])
        self.map_levels = LevelMapper(int(low), int(high), self.canonical_scale, self.canonical_level)

    def forward(
        self, x: dict[str, fb.Tensor], boxes: list[fb.Tensor], image_shapes: list[tuple[int, int]]
    ) -> fb.Tensor:
        """Pool boxes [L, 4] (one entry for each picture) from maps of pictures of these (height, width)."""
        maps = [value for name, value in x.items() if name in self.featmap_names]
        if self.scales is None or self.map_levels is None:
            self._set_scales(maps, image_shapes)
        number = [fb.full_like(part[:, :1], i) for i, part in enumerate(boxes)]
        rois = fb.cat([fb.cat(number, dim=0), fb.cat(boxes, dim=0)], dim=1)
        if len(maps) == 1:
            return roi_align(maps[0], rois, self.output_size, self.scales[0], self.sampling_ratio)
        levels = self.map_levels(boxes)
        parts, chosen = [], []
        for level, (features, scale) in enumerate(zip(maps, self.scales, strict=True)):
            here = fb.where(levels == level)[0]
            chosen.append(here)
            parts.append(roi_align(features, rois[here], self.output_size, scale, self.sampling_ratio))
        return fb.cat(parts)[fb.argsort(fb.cat(chosen))]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
