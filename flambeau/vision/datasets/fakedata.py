"""Random pictures, to try a program without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` random pictures of `image_size` in `num_classes` classes; picture i is always the same one."""

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        from ..transforms.functional import to_pil_image

        kept = fb.get_rng_state()
        fb.manual_seed(index + self.random_offset)
        image: Any = fb.randn(*self.image_size)
        target: Any = fb.randint(0, self.num_classes, size=(1,), dtype=fb.long)[0]
        fb.set_rng_state(kept)
        image = to_pil_image(image)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, int(target)

    def __len__(self) -> int:
        return self.size
