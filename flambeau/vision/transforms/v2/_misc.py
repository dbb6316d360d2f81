"""Transforms between types and formats, of labels and boxes, and of videos in time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

from .. import _containers as v1
from . import functional as F
from ._transform import Transform
from ._utils import get_bounding_boxes, get_keypoints, has_any, labels_getter_of

_PICTURES = (F.is_pure_tensor, tv_tensors.Image, tv_tensors.Video)


class Identity(Transform):
    """Nothing is changed."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt


class Lambda(Transform):
    """Any function, of inputs of the given types."""

    _transformed_types = (object,)

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd = lambd
        self.types = types or self._transformed_types

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self.lambd(inpt) if isinstance(inpt, self.types) else inpt

    def extra_repr(self) -> str:
        name = getattr(self.lambd, "__name__", None)
        kinds = f"types={[kind.__name__ for kind in self.types]}"
        return f"{name}, {kinds}" if name else kinds


class LinearTransformation(Transform):
    """(picture as a row - mean) @ matrix, for whitening."""

    _transformed_types = (*_PICTURES, is_pil)

    def __init__(self, transformation_matrix: fb.Tensor, mean_vector: fb.Tensor) -> None:
        super().__init__()
        self._one = v1.LinearTransformation(transformation_matrix, mean_vector)
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if has_any(flat_inputs, is_pil):
            raise TypeError(f"{type(self).__name__}() does not support PIL images.")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        plain = inpt.as_subclass(fb.Tensor)
        size = self.mean_vector.size(0)
        count = plain.shape[-3] * plain.shape[-2] * plain.shape[-1]
        if count != size:
            raise ValueError(
                "Input tensor and transformation matrix have incompatible shape."
                f"[{plain.shape[-3]} x {plain.shape[-2]} x {plain.shape[-1]}] != {size}"
            )
        out = self._one(plain)
        return tv_tensors.wrap(out, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else out


class Normalize(Transform):
    """(value - mean) / std, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = list(mean), list(std), inplace

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if has_any(flat_inputs, is_pil):
            raise TypeError(f"{type(self).__name__}() does not support PIL images.")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.normalize, inpt, mean=self.mean, std=self.std, inplace=self.inplace)


class ToDtype(Transform):
    """Another element type, for pictures or, by a dictionary, for each kind of input.

    With `scale`, pictures keep white and black: 255 as a byte is 1.0 as a float.
    """

    _transformed_types = (fb.Tensor,)

    def __init__(self, dtype: fb.dtype | dict[Any, fb.dtype | None], scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, (dict, fb.dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        if (
            isinstance(dtype, dict)
            and fb.Tensor in dtype
            and any(kind in dtype for kind in (tv_tensors.Image, tv_tensors.Video))
        ):
            warnings.warn(
                "Got `dtype` values for `torch.Tensor` and either `tv_tensors.Image` or `tv_tensors.Video`. "
                "Note that a plain `torch.Tensor` will *not* be transformed by this (or any other "
                "transformation) in case a `tv_tensors.Image` or `tv_tensors.Video` is present in the input.",
                stacklevel=2,
            )
        self.dtype, self.scale = dtype, scale

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        is_picture = F.is_pure_tensor(inpt) or isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))
        if isinstance(self.dtype, fb.dtype):
            if not is_picture:
                return inpt
            dtype = self.dtype
        elif type(inpt) in self.dtype:
            dtype = self.dtype[type(inpt)]
        elif "others" in self.dtype:
            dtype = self.dtype["others"]
        else:
            raise ValueError(
                f"No dtype was specified for type {type(inpt)}. "
                "If you only need to convert the dtype of images or videos, you can just pass e.g. "
                "dtype=torch.float32. "
                "If you're passing a dict as dtype, "
                'you can use "others" as a catch-all key '
                'e.g. dtype={tv_tensors.Mask: torch.int64, "others": None} to pass-through the rest of '
                "the inputs."
            )
        if dtype is None:
            if self.scale and is_picture:
                warnings.warn(
                    "scale was set to True but no dtype was specified for images or videos: no scaling will "
                    "be done.",
                    stacklevel=2,
                )
            return inpt
        return self._call_kernel(F.to_dtype, inpt, dtype=dtype, scale=self.scale)


class ConvertImageDtype(Transform):
    """Everything in another element type; in pictures white and black are kept."""

    def __init__(self, dtype: fb.dtype = fb.float32) -> None:
        super().__init__()
        self.dtype = dtype

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.to_dtype, inpt, dtype=self.dtype, scale=True)


class _Sanitize(Transform):
    """Removes objects of a sample, and with them what else has one entry an object."""

    _goes_along: tuple[type, ...] = ()

    def _find_labels_by(self, labels_getter: Callable[[Any], Any] | str | None) -> None:
        self.labels_getter = labels_getter
        self._labels_getter = labels_getter_of(labels_getter)

    def _objects(self, flat: list[Any]) -> tuple[fb.Tensor, str]:
        """What is looked at, and what it is called."""
        raise NotImplementedError

    def _valid(self, objects: fb.Tensor) -> fb.Tensor:
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        inputs = inputs if len(inputs) > 1 else inputs[0]
        labels = self._labels_getter(inputs)
        labels = [] if labels is None else list(labels) if isinstance(labels, (tuple, list)) else [labels]
        flat, spec = tree_flatten(inputs)
        objects, name = self._objects(flat)
        for part in labels:
            if not isinstance(part, fb.Tensor):
                raise ValueError(
                    f"The labels in the input to forward() must be a tensor or None, got {type(part)} "
                    "instead."
                )
            if len(part) != len(objects):
                raise ValueError(
                    f"Number of {name} (shape={objects.shape}) and must match the number of labels."
                    f"Found labels with shape={part.shape})."
                )
        params = {"valid": self._valid(objects), "labels": labels}
        return tree_unflatten([self.transform(inpt, params) for inpt in flat], spec)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if any(inpt is part for part in params["labels"]):
            return inpt[params["valid"]]
        if not isinstance(inpt, self._goes_along) or len(inpt) != len(params["valid"]):
            return inpt  # a mask of the whole picture, not one for each object
        return tv_tensors.wrap(inpt.as_subclass(fb.Tensor)[params["valid"]], like=inpt)


class SanitizeBoundingBoxes(_Sanitize):
    """Boxes that are too small or reach out of the picture removed, with their labels and masks.

    Parameters
    ----------
    min_size, min_area : smaller boxes go.
    labels_getter : finds the labels in a sample, one for each box (a tensor or several); 'default' looks for
        the key 'labels' or a similar one; None if there are none.
    """

    _goes_along = (tv_tensors.BoundingBoxes, tv_tensors.Mask)

    def __init__(
        self,
        min_size: float = 1.0,
        min_area: float = 1.0,
        labels_getter: Callable[[Any], Any] | str | None = "default",
    ) -> None:
        super().__init__()
        if min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {min_size}.")
        if min_area < 1:
            raise ValueError(f"min_area must be >= 1, got {min_area}.")
        self.min_size, self.min_area = min_size, min_area
        self._find_labels_by(labels_getter)

    def _objects(self, flat: list[Any]) -> tuple[fb.Tensor, str]:
        return get_bounding_boxes(flat), "boxes"

    def _valid(self, objects: fb.Tensor) -> fb.Tensor:
        return F.sanitize_bounding_boxes(objects, min_size=self.min_size, min_area=self.min_area)[1]


class SanitizeKeyPoints(_Sanitize):
    """Points, or groups of them, that reach out of the picture removed, with their labels.

    Parameters
    ----------
    labels_getter : finds the labels in a sample, one for each point or group (a tensor or several); 'default'
        looks for the key 'labels' or a similar one; None if there are none.
    """

    _goes_along = (tv_tensors.KeyPoints,)

    def __init__(self, labels_getter: Callable[[Any], Any] | str | None = None) -> None:
        super().__init__()
        self._find_labels_by(labels_getter)

    def _objects(self, flat: list[Any]) -> tuple[fb.Tensor, str]:
        return get_keypoints(flat)[0], "keypoints"

    def _valid(self, objects: fb.Tensor) -> fb.Tensor:
        return F.sanitize_keypoints(objects)[1]


class ConvertBoundingBoxFormat(Transform):
    """Boxes in another format."""

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, format: str | tv_tensors.BoundingBoxFormat) -> None:
        super().__init__()
        self.format = format

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return F.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(Transform):
    """Boxes cut at the borders of their picture."""

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode: str | None = "auto") -> None:
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return F.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class SetClampingMode(Transform):
    """How boxes are cut from here on: 'soft', 'hard', or None for not at all."""

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode: str | None) -> None:
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return tv_tensors.wrap(inpt.as_subclass(fb.Tensor), like=inpt, clamping_mode=self.clamping_mode)


class ClampKeyPoints(Transform):
    """Points moved to the nearest pixel of their picture."""

    _transformed_types = (tv_tensors.KeyPoints,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return F.clamp_keypoints(inpt)


class UniformTemporalSubsample(Transform):
    """Some pictures of a video, evenly spaced."""

    _transformed_types = (F.is_pure_tensor, tv_tensors.Video)

    def __init__(self, num_samples: int) -> None:
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.uniform_temporal_subsample, inpt, self.num_samples)


class PILToTensor(Transform):
    """A Pillow image becomes a tensor [C, H, W] of the same numbers."""

    _transformed_types = (is_pil,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> fb.Tensor:
        return F.pil_to_tensor(inpt)


def _is_array(inpt: Any) -> bool:
    import numpy as np

    return isinstance(inpt, np.ndarray)


class ToImage(Transform):
    """A Pillow image, an array [H, W, C] or a tensor becomes an Image."""

    _transformed_types = (F.is_pure_tensor, is_pil, _is_array)

    def transform(self, inpt: Any, params: dict[str, Any]) -> tv_tensors.Image:
        return F.to_image(inpt)


class ToPILImage(Transform):
    """A tensor [C, H, W] or an array [H, W, C] becomes a Pillow image."""

    _transformed_types = (F.is_pure_tensor, tv_tensors.Image, _is_array)

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        plain = inpt.as_subclass(fb.Tensor) if isinstance(inpt, fb.Tensor) else inpt
        return F.to_pil_image(plain, mode=self.mode)


class ToPureTensor(Transform):
    """Every tensor a plain one; what boxes knew of their format is lost."""

    _transformed_types = (tv_tensors.TVTensor,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> fb.Tensor:
        return inpt.as_subclass(fb.Tensor)


class ToTensor(Transform):
    """As the first generation's. Out of use: take `ToImage()` and `ToDtype(torch.float32, scale=True)`."""

    _transformed_types = (is_pil, _is_array)

    def __init__(self) -> None:
        warnings.warn(
            "The transform `ToTensor()` is deprecated and will be removed in a future release. "
            "Instead, please use `v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])`."
            "Output is equivalent up to float precision.",
            stacklevel=2,
        )
        super().__init__()

    def transform(self, inpt: Any, params: dict[str, Any]) -> fb.Tensor:
        return F.to_tensor(inpt)
