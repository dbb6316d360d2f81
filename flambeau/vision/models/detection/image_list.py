"""Pictures of different sizes in one tensor."""

from __future__ import annotations

from typing import Any

import flambeau as fb


class ImageList:
    """Padded pictures [N, C, H, W] and the size (H, W) of each before it was padded."""

    def __init__(self, tensors: fb.Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors, self.image_sizes = tensors, image_sizes

    def to(self, device: Any) -> ImageList:
        """The same on another device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
