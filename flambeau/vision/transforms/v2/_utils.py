"""Looking at samples: which inputs there are, how large they are, where the labels are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

from .functional._meta import get_dimensions, get_size, is_pure_tensor

Kinds = tuple[type | Callable[[Any], bool], ...]


def check_type(obj: Any, types_or_checks: Kinds) -> bool:
    """Whether an object is of one of these types, or passes one of these tests."""
    return any(isinstance(obj, t) if isinstance(t, type) else t(obj) for t in types_or_checks)


def has_any(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Whether one of the inputs is of one of these types."""
    return any(check_type(inpt, types_or_checks) for inpt in flat_inputs)


def has_all(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Whether there is an input of each of these types."""
    return all(any(check_type(inpt, (t,)) for inpt in flat_inputs) for t in types_or_checks)


def sequence_text(items: Sequence[Any], separate_last: str = "") -> str:
    """'a', 'b', and 'c': for messages."""
    if len(items) < 2:
        return "".join(f"'{item}'" for item in items)
    head = "', '".join(str(item) for item in items[:-1])
    comma = "" if separate_last and len(items) == 2 else ","
    return f"'{head}'{comma} {separate_last}'{items[-1]}'"


def query_chw(flat_inputs: list[Any]) -> tuple[int, int, int]:
    """Channels, height and width, which all pictures and videos of a sample must share."""
    kinds = (is_pure_tensor, tv_tensors.Image, is_pil, tv_tensors.Video)
    found = {tuple(get_dimensions(inpt)) for inpt in flat_inputs if check_type(inpt, kinds)}
    if not found:
        raise TypeError("No image or video was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple CxHxW dimensions in the sample: {sequence_text(sorted(found))}")
    return found.pop()


def query_size(flat_inputs: list[Any]) -> tuple[int, int]:
    """Height and width, which everything in a sample must share."""
    kinds = (is_pure_tensor, tv_tensors.TVTensor, is_pil)
    found = {tuple(get_size(inpt)) for inpt in flat_inputs if check_type(inpt, kinds)}
    if not found:
        raise TypeError("No image, video, mask, bounding box of keypoint was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple HxW dimensions in the sample: {sequence_text(sorted(found))}")
    return found.pop()


def get_bounding_boxes(flat_inputs: list[Any]) -> tv_tensors.BoundingBoxes:
    """The boxes of a sample."""
    for inpt in flat_inputs:
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            return inpt
    raise ValueError("No bounding boxes were found in the sample")


def get_keypoints(flat_inputs: list[Any]) -> list[tv_tensors.KeyPoints]:
    """The points of a sample."""
    found = [inpt for inpt in flat_inputs if isinstance(inpt, tv_tensors.KeyPoints)]
    if not found:
        raise ValueError("No keypoints were found in the sample")
    return found


def _default_labels(inputs: Any) -> Any:
    """The second of two, or what a dictionary has under 'labels' or a similar name."""
    if isinstance(inputs, (tuple, list)):
        inputs = inputs[1]
    if isinstance(inputs, fb.Tensor):
        return inputs
    if not isinstance(inputs, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a dictionary or a "
            f"two-tuple whose second item is a dictionary or a tensor, but got {inputs} instead."
        )
    exact = [key for key in inputs if isinstance(key, str) and key.lower() == "labels"]
    alike = [key for key in inputs if isinstance(key, str) and "label" in key.lower()]
    if not exact and not alike:
        raise ValueError(
            "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter "
            "parameter?If there are no labels in the sample by design, pass labels_getter=None."
        )
    return inputs[(exact or alike)[0]]


def labels_getter_of(labels_getter: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """What finds the labels in a sample."""
    if labels_getter == "default":
        return _default_labels
    if callable(labels_getter):
        return labels_getter
    if labels_getter is None:
        return lambda _: None
    raise ValueError(
        f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}."
    )


def _checked_fill(fill: Any) -> Any:
    if fill is not None and not isinstance(fill, (int, float, tuple, list)):
        raise TypeError(
            f"Got inappropriate fill arg, only Numbers, tuples, lists and dicts are allowed. {fill}"
        )
    return [float(value) for value in fill] if isinstance(fill, (tuple, list)) else fill


def fill_by_kind(fill: Any) -> dict[Any, Any]:
    """A fill for each kind of input; one value is for all of them."""
    if isinstance(fill, dict):
        return {kind: _checked_fill(value) for kind, value in fill.items()}
    return {"others": _checked_fill(fill)}


def fill_for(fills: dict[Any, Any], inpt: Any) -> Any:
    """The fill for this input."""
    kind = type(inpt)
    if kind in fills:
        return fills[kind]
    if isinstance(inpt, tv_tensors.Image) and fb.Tensor in fills:
        return fills[fb.Tensor]
    if "others" in fills:
        return fills["others"]
    raise ValueError(f"fill says nothing about {kind}: add an entry for it, or one for 'others'")
