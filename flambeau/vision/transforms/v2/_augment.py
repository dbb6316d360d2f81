"""Parts overwritten, samples mixed, pictures stored badly."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

from .. import _colour as v1
from .. import _draws
from . import functional as F
from ._transform import RandomApplyTransform, Transform
from ._utils import has_any, labels_getter_of, query_chw, query_size


class RandomErasing(RandomApplyTransform):
    """With probability p, a random rectangle of the picture overwritten. arXiv:1708.04896"""

    get_params = staticmethod(v1.RandomErasing.get_params)

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0.0,
        inplace: bool = False,
    ) -> None:
        super().__init__(p=p)
        _draws.erasing_arguments(p, scale, ratio, value)
        self.scale, self.ratio = scale, ratio
        if isinstance(value, numbers.Number):
            self.value: list[float] | None = [float(value)]
        else:
            self.value = None if isinstance(value, str) else [float(part) for part in value]
        self.inplace = inplace

    def _call_kernel(self, functional: Any, inpt: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inpt, (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)):
            warnings.warn(
                f"{type(self).__name__}() is currently passing through inputs of type "
                f"tv_tensors.{type(inpt).__name__}. This will likely change in the future.",
                stacklevel=2,
            )
        return super()._call_kernel(functional, inpt, *args, **kwargs)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        channels, height, width = query_chw(flat_inputs)
        if self.value is not None and len(self.value) not in (1, channels):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {channels} "
                "(number of inpt channels)"
            )
        box = _draws.erasing_box(channels, height, width, self.scale, self.ratio, self.value)
        return {} if box is None else dict(zip(("i", "j", "h", "w", "v"), box, strict=True))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.erase, inpt, **params, inplace=self.inplace) if params else inpt


class _Mixing(Transform):
    """Base of transforms of whole batches with their labels."""

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        num_classes: int | None = None,
        labels_getter: str | Callable[[Any], Any] | None = "default",
    ) -> None:
        super().__init__()
        self.alpha = float(alpha)
        self._dist = fb.distributions.Beta(fb.tensor([alpha]), fb.tensor([alpha]))
        self.num_classes = num_classes
        self._labels_getter = labels_getter_of(labels_getter)

    def forward(self, *inputs: Any) -> Any:
        inputs = inputs if len(inputs) > 1 else inputs[0]
        flat, spec = tree_flatten(inputs)
        needs = self._needs_transform_list(flat)
        if has_any(flat, is_pil, tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints):
            raise ValueError(
                f"{type(self).__name__}() does not support PIL images, bounding boxes, keypoints and masks."
            )
        labels = self._labels_getter(inputs)
        if not isinstance(labels, fb.Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape "
                f"(batch_size, num_classes), but got a tensor of shape {labels.shape} instead."
            )
        if labels.ndim == 2 and self.num_classes is not None and labels.shape[-1] != self.num_classes:
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (labels.ndim == 1)")
        params = {
            "labels": labels,
            "batch_size": labels.shape[0],
            **self.make_params([inpt for inpt, wanted in zip(flat, needs, strict=True) if wanted]),
        }
        # the labels are transformed too, although they are a plain tensor beside the pictures
        needs = [wanted or inpt is labels for inpt, wanted in zip(flat, needs, strict=True)]
        out = [self.transform(i, params) if wanted else i for i, wanted in zip(flat, needs, strict=True)]
        return tree_unflatten(out, spec)

    def _check_batch(self, inpt: fb.Tensor, batch_size: int) -> None:
        dims = 5 if isinstance(inpt, tv_tensors.Video) else 4
        if inpt.ndim != dims:
            raise ValueError(
                f"Expected a batched input with {dims} dims, but got {inpt.ndim} dimensions instead."
            )
        if inpt.shape[0] != batch_size:
            raise ValueError(
                f"The batch size of the image or video does not match the batch size of the labels: "
                f"{inpt.shape[0]} != {batch_size}."
            )

    def _mix_labels(self, labels: fb.Tensor, share: float) -> fb.Tensor:
        if labels.ndim == 1:
            labels = fb.nn.functional.one_hot(labels, num_classes=self.num_classes)
        labels = labels if labels.is_floating_point() else labels.float()
        return labels.roll(1, 0).mul_(1.0 - share).add_(labels.mul(share))


class MixUp(_Mixing):
    """Each sample of a batch mixed with the one before it, pictures and labels. arXiv:1710.09412"""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"share": float(self._dist.sample(()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        share = params["share"]
        if inpt is params["labels"]:
            return self._mix_labels(inpt, share)
        if not isinstance(inpt, (tv_tensors.Image, tv_tensors.Video)) and not F.is_pure_tensor(inpt):
            return inpt
        self._check_batch(inpt, params["batch_size"])
        plain = inpt.as_subclass(fb.Tensor)
        out = plain.roll(1, 0).mul_(1.0 - share).add_(plain.mul(share))
        return tv_tensors.wrap(out, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else out


class CutMix(_Mixing):
    """A rectangle of each picture from the one before it, labels mixed by area. arXiv:1905.04899"""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        share = float(self._dist.sample(()))
        height, width = query_size(flat_inputs)
        x, y = int(fb.randint(width, size=(1,))), int(fb.randint(height, size=(1,)))
        half = 0.5 * math.sqrt(1.0 - share)
        wide, high = int(half * width), int(half * height)
        box = max(x - wide, 0), max(y - high, 0), min(x + wide, width), min(y + high, height)
        share = float(1.0 - (box[2] - box[0]) * (box[3] - box[1]) / (width * height))
        return {"box": box, "share": share}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if inpt is params["labels"]:
            return self._mix_labels(inpt, params["share"])
        if not isinstance(inpt, (tv_tensors.Image, tv_tensors.Video)) and not F.is_pure_tensor(inpt):
            return inpt
        self._check_batch(inpt, params["batch_size"])
        x1, y1, x2, y2 = params["box"]
        plain = inpt.as_subclass(fb.Tensor)
        out = plain.clone()
        out[..., y1:y2, x1:x2] = plain.roll(1, 0)[..., y1:y2, x1:x2]
        return tv_tensors.wrap(out, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else out


class JPEG(Transform):
    """Stored as JPEG and read again; the quality, from 1 to 100, is random in a range or fixed."""

    def __init__(self, quality: int | Sequence[int]) -> None:
        super().__init__()
        if isinstance(quality, int):
            quality = [quality, quality]
        if not isinstance(quality, Sequence) or len(quality) != 2:
            raise TypeError("quality should be an integer or a sequence of length 2")
        if not 1 <= quality[0] <= quality[1] <= 100:
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality =}")
        self.quality = quality

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"quality": int(fb.randint(self.quality[0], self.quality[1] + 1, ()).item())}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.jpeg, inpt, quality=params["quality"])
