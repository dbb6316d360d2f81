"""Boxes laid out over a picture, relative to which networks predict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import nn

from .image_list import ImageList


class AnchorGenerator(nn.Module):
    """Boxes of given sizes and aspect ratios around every place of each map.

    Parameters
    ----------
    sizes : for each map, the lengths of sides of a square of the same area
    aspect_ratios : for each map, heights divided by widths
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[int]] = ((128, 256, 512),),
        aspect_ratios: Sequence[Sequence[float]] = ((0.5, 1.0, 2.0),),
    ) -> None:
        super().__init__()
        if not isinstance(sizes[0], (list, tuple)):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], (list, tuple)):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes, self.aspect_ratios = sizes, aspect_ratios
        self.cell_anchors = [
            self.generate_anchors(size, ratios) for size, ratios in zip(sizes, aspect_ratios, strict=False)
        ]

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: fb.dtype = fb.float32,
        device: fb.device = fb.device("cpu"),
    ) -> fb.Tensor:
        """Boxes around (0, 0), rounded to pixels: [ratios * scales, 4]."""
        sides = fb.as_tensor(scales, dtype=dtype, device=device)
        tall = fb.sqrt(fb.as_tensor(aspect_ratios, dtype=dtype, device=device))
        widths = ((1 / tall)[:, None] * sides[None, :]).view(-1)
        heights = (tall[:, None] * sides[None, :]).view(-1)
        return (fb.stack([-widths, -heights, widths, heights], dim=1) / 2).round()

    def set_cell_anchors(self, dtype: fb.dtype, device: fb.device) -> None:
        """Turn the boxes around (0, 0) into a type and onto a device."""
        self.cell_anchors = [anchors.to(dtype=dtype, device=device) for anchors in self.cell_anchors]

    def num_anchors_per_location(self) -> list[int]:
        """The number of boxes at each place, for each map."""
        return [len(s) * len(a) for s, a in zip(self.sizes, self.aspect_ratios, strict=False)]

    def grid_anchors(
        self, grid_sizes: Sequence[Sequence[int]], strides: Sequence[Sequence[int]]
    ) -> list[fb.Tensor]:
        """The boxes of each map, given its size and how far apart its places are in pixels."""
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially have "
                "different sizes and aspect ratios. There needs to be a match between the number of "
                "feature maps passed and the number of sizes / aspect ratios specified."
            )
        anchors = []
        for (rows, columns), (down, across), base in zip(grid_sizes, strides, self.cell_anchors, strict=True):
            ys = fb.arange(0, rows, dtype=fb.int32, device=base.device) * down
            xs = fb.arange(0, columns, dtype=fb.int32, device=base.device) * across
            y, x = (axis.reshape(-1) for axis in fb.meshgrid(ys, xs, indexing="ij"))
            places = fb.stack((x, y, x, y), dim=1)
            anchors.append((places.view(-1, 1, 4) + base.view(1, -1, 4)).reshape(-1, 4))
        return anchors

    def forward(self, image_list: ImageList, feature_maps: list[fb.Tensor]) -> list[fb.Tensor]:
        height, width = image_list.tensors.shape[-2:]
        grid_sizes = [tuple(features.shape[-2:]) for features in feature_maps]
        strides = [(height // rows, width // columns) for rows, columns in grid_sizes]
        self.set_cell_anchors(feature_maps[0].dtype, feature_maps[0].device)
        together = fb.cat(self.grid_anchors(grid_sizes, strides))
        return [together for _ in image_list.image_sizes]


class DefaultBoxGenerator(nn.Module):
    """The boxes of SSD. arXiv:1512.02325

    Parameters
    ----------
    aspect_ratios : for each map, besides the square ones; each also upright
    min_ratio, max_ratio : sizes of the first and last map's boxes, relative to the picture
    scales : all these sizes, and one more; evenly spaced by default
    steps : for each map how far apart its places are, in pixels
    clip : no box is larger than the picture
    """

    def __init__(
        self,
        aspect_ratios: list[list[int]],
        min_ratio: float = 0.15,
        max_ratio: float = 0.9,
        scales: list[float] | None = None,
        steps: list[int] | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError("aspect_ratios and steps should have the same length")
        self.aspect_ratios, self.steps, self.clip = aspect_ratios, steps, clip
        maps = len(aspect_ratios)
        if scales is None:
            if maps > 1:
                span = max_ratio - min_ratio
                scales = [min_ratio + span * k / (maps - 1.0) for k in range(maps)] + [1.0]
            else:
                scales = [min_ratio, max_ratio]
        self.scales = scales
        self._wh_pairs = self._generate_wh_pairs(maps)

    def _generate_wh_pairs(
        self,
        num_outputs: int,
        dtype: fb.dtype = fb.float32,
        device: fb.device = fb.device("cpu"),
    ) -> list[fb.Tensor]:
        """Widths and heights at each place, for each map: [boxes, 2]."""
        pairs = []
        for k in range(num_outputs):
            side = self.scales[k]
            between = math.sqrt(side * self.scales[k + 1])
            of_map = [[side, side], [between, between]]
            for ratio in self.aspect_ratios[k]:
                wide = math.sqrt(ratio)
                of_map += [[side * wide, side / wide], [side / wide, side * wide]]
            pairs.append(fb.as_tensor(of_map, dtype=dtype, device=device))
        return pairs

    def num_anchors_per_location(self) -> list[int]:
        """The number of boxes at each place, for each map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def _grid_default_boxes(
        self, grid_sizes: Sequence[Sequence[int]], image_size: Sequence[int], dtype: fb.dtype = fb.float32
    ) -> fb.Tensor:
        """All boxes as center, width and height, relative to the picture: [boxes, 4]."""
        boxes = []
        for k, (rows, columns) in enumerate(grid_sizes):
            down, across = (
                (rows, columns) if self.steps is None else [side / self.steps[k] for side in image_size]
            )
            ys = ((fb.arange(0, rows) + 0.5) / down).to(dtype=dtype)
            xs = ((fb.arange(0, columns) + 0.5) / across).to(dtype=dtype)
            y, x = (axis.reshape(-1) for axis in fb.meshgrid(ys, xs, indexing="ij"))
            pairs = self._wh_pairs[k].clamp(min=0, max=1) if self.clip else self._wh_pairs[k]
            centers = fb.stack((x, y) * len(pairs), dim=-1).reshape(-1, 2)
            boxes.append(fb.cat((centers, pairs.repeat(rows * columns, 1)), dim=1))
        return fb.cat(boxes)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(aspect_ratios={self.aspect_ratios}, clip={self.clip}, "
            f"scales={self.scales}, steps={self.steps})"
        )

    def forward(self, image_list: ImageList, feature_maps: list[fb.Tensor]) -> list[fb.Tensor]:
        sizes = [tuple(features.shape[-2:]) for features in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        dtype, device = feature_maps[0].dtype, feature_maps[0].device
        boxes = self._grid_default_boxes(sizes, (height, width), dtype=dtype).to(device)
        centers, half = boxes[:, :2], 0.5 * boxes[:, 2:]
        scale = fb.tensor([width, height] * 2, device=device)
        together = fb.cat([centers - half, centers + half], -1) * scale
        return [together.clone() for _ in image_list.image_sizes]
