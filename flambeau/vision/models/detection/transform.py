"""Pictures into batches for detection, and detections back to the pictures' sizes."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau import nn

from .image_list import ImageList
from .roi_heads import paste_masks_in_image

F = nn.functional
Target = dict[str, fb.Tensor]


def _resize_image_and_masks(
    image: fb.Tensor,
    self_min_size: int,
    self_max_size: int,
    target: Target | None = None,
    fixed_size: tuple[int, int] | None = None,
) -> tuple[fb.Tensor, Target | None]:
    """The shorter side becomes `self_min_size`, unless the longer one then is over `self_max_size`."""
    size: dict[str, Any]
    if fixed_size is not None:
        size = {"size": [fixed_size[1], fixed_size[0]]}
    else:
        height, width = image.shape[-2:]
        scale = min(self_min_size / min(height, width), self_max_size / max(height, width))
        size = {"scale_factor": scale, "recompute_scale_factor": True}
    image = F.interpolate(image[None], mode="bilinear", align_corners=False, **size)[0]
    if target is not None and "masks" in target:
        target["masks"] = F.interpolate(target["masks"][:, None].float(), **size)[:, 0].byte()
    return image, target


class GeneralizedRCNNTransform(nn.Module):
    """Normalize pictures of any sizes, resize them, put them into one batch; resize detections back.

    Parameters
    ----------
    min_size : of the shorter side; one of several is drawn in training, the last is taken otherwise
    max_size : of the longer side
    size_divisible : the batch's sides are multiples of this
    fixed_size : width and height that every picture gets instead
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        image_mean: list[float],
        image_std: list[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size, self.image_mean, self.image_std = max_size, image_mean, image_std
        self.size_divisible, self.fixed_size = size_divisible, fixed_size
        self._skip_resize = kwargs.pop("_skip_resize", False)

    def forward(
        self, images: list[fb.Tensor], targets: list[Target] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        images = list(images)
        if targets is not None:
            targets = [dict(target) for target in targets]
        for i, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(
                    f"images is expected to be a list of 3d tensors of shape [C, H, W], got {image.shape}"
                )
            image, target = self.resize(self.normalize(image), targets[i] if targets is not None else None)
            images[i] = image
            if targets is not None and target is not None:
                targets[i] = target
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        return ImageList(self.batch_images(images, self.size_divisible), sizes), targets

    def normalize(self, image: fb.Tensor) -> fb.Tensor:
        """Means 0 and deviations 1, for a picture of floats in [0, 1]."""
        if not image.is_floating_point():
            raise TypeError(
                "Expected input images to be of floating type (in range [0, 1]), "
                f"but found type {image.dtype} instead"
            )
        mean = fb.as_tensor(self.image_mean, dtype=image.dtype, device=image.device)
        std = fb.as_tensor(self.image_std, dtype=image.dtype, device=image.device)
        return (image - mean[:, None, None]) / std[:, None, None]

    def torch_choice(self, k: list[int]) -> int:
        """One of several numbers, drawn with the library's generator."""
        return k[int(fb.empty(1).uniform_(0.0, float(len(k))).item())]

    def resize(self, image: fb.Tensor, target: Target | None = None) -> tuple[fb.Tensor, Target | None]:
        """A picture with its boxes, masks and keypoints."""
        before = image.shape[-2:]
        if self.training:
            if self._skip_resize:
                return image, target
            size = self.torch_choice(self.min_size)
        else:
            size = self.min_size[-1]
        image, target = _resize_image_and_masks(image, size, self.max_size, target, self.fixed_size)
        if target is not None:
            target["boxes"] = resize_boxes(target["boxes"], before, image.shape[-2:])
            if "keypoints" in target:
                target["keypoints"] = resize_keypoints(target["keypoints"], before, image.shape[-2:])
        return image, target

    def batch_images(self, images: list[fb.Tensor], size_divisible: int = 32) -> fb.Tensor:
        """One tensor, filled up with zeros to the right and below."""
        channels = max(image.shape[0] for image in images)
        height, width = (
            math.ceil(max(image.shape[axis] for image in images) / size_divisible) * size_divisible
            for axis in (1, 2)
        )
        batch = images[0].new_zeros((len(images), channels, height, width))
        for place, image in zip(batch, images, strict=True):
            place[: image.shape[0], : image.shape[1], : image.shape[2]].copy_(image)
        return batch

    def postprocess(
        self,
        result: list[Target],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[Target]:
        """Detections at the sizes the pictures were given in."""
        if self.training:
            return result
        for found, size, original in zip(result, image_shapes, original_image_sizes, strict=True):
            found["boxes"] = resize_boxes(found["boxes"], size, original)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], original)
            if "keypoints" in found:
                found["keypoints"] = resize_keypoints(found["keypoints"], size, original)
        return result

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(\n    Normalize(mean={self.image_mean}, std={self.image_std})"
            f"\n    Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )


def _ratios(like: fb.Tensor, original_size: Any, new_size: Any) -> tuple[fb.Tensor, fb.Tensor]:
    """How much taller and wider."""
    new, old = (
        fb.tensor(size, dtype=fb.float32, device=like.device)
        for size in (list(new_size), list(original_size))
    )
    tall, wide = (new / old).unbind()
    return tall, wide


def resize_keypoints(keypoints: fb.Tensor, original_size: Any, new_size: Any) -> fb.Tensor:
    """Keypoints [..., 3] as x, y and visibility."""
    tall, wide = _ratios(keypoints, original_size, new_size)
    x, y, visible = keypoints.unbind(-1)
    return fb.stack((x * wide, y * tall, visible), dim=-1)


def resize_boxes(boxes: fb.Tensor, original_size: Any, new_size: Any) -> fb.Tensor:
    """Boxes [N, 4]."""
    tall, wide = _ratios(boxes, original_size, new_size)
    x1, y1, x2, y2 = boxes.unbind(1)
    return fb.stack((x1 * wide, y1 * tall, x2 * wide, y2 * tall), dim=1)
