"""The kernels by themselves, ``resize_image``, ``crop_bounding_boxes``, ``pad_mask`` …, made from one table.

A kernel takes a plain tensor and, for boxes and points, what a plain tensor does not know (format, canvas),
and gives plain tensors. Those that change the size of the canvas give it too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, KeyPoints, Mask

from . import _colour, _geometry, _meta, _misc

_PIXELS_ONLY = ("interpolation", "antialias", "fill")  # parameters that say nothing to boxes and points
_NEW_CANVAS = ("resize", "crop", "center_crop", "resized_crop", "pad", "rotate")
_NO_CANVAS = ("crop", "resized_crop")  # what the canvas was does not matter to them
_MASK_FILLS = ("affine", "rotate", "pad", "perspective", "elastic")

_MOVING = (
    "horizontal_flip vertical_flip resize crop center_crop resized_crop pad rotate affine perspective elastic"
).split()
_PICTURES = {
    _geometry: "five_crop ten_crop",
    _colour: (
        "adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation adjust_sharpness "
        "autocontrast equalize gaussian_blur gaussian_noise invert permute_channels posterize solarize"
    ),
    _misc: "erase jpeg normalize to_dtype",
    _meta: "get_num_channels",
}
_PICTURES_ONLY = {_colour: "rgb_to_grayscale grayscale_to_rgb", _meta: "get_dimensions"}
_VIDEOS_ONLY = {_geometry: "uniform_temporal_subsample", _meta: "get_num_frames"}

_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _parameter(name: str, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, _POSITIONAL, default=default)


def _own_parameters(functional: Callable, without: tuple[str, ...] = ()) -> list[inspect.Parameter]:
    """The parameters of a function behind its input."""
    return [p for p in list(inspect.signature(functional).parameters.values())[1:] if p.name not in without]


def _with_defaults_last(parameters: list[inspect.Parameter]) -> inspect.Signature:
    return inspect.Signature(sorted(parameters, key=lambda p: p.default is not inspect.Parameter.empty))


def _named(run: Callable, functional: Callable, suffix: str, signature: inspect.Signature) -> Callable:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return run(**bound.arguments)

    kernel.__name__ = kernel.__qualname__ = f"{functional.__name__}_{suffix}"
    kernel.__module__ = __package__
    kernel.__doc__ = (
        f"{functional.__doc__}\n\n    `{functional.__name__}` for what a plain tensor holds: {suffix}."
    )
    kernel.__signature__ = signature  # type: ignore[attr-defined]
    return kernel


def _plain(value: Any) -> Any:
    return value.as_subclass(fb.Tensor) if isinstance(value, tv_tensors.TVTensor) else value


def _of_pixels(functional: Callable, suffix: str, without: tuple[str, ...] = ()) -> Callable:
    """The kernel of pictures or videos, which plain tensors are taken for, or of masks."""

    def run(**arguments: Any) -> Any:
        plain = _plain(arguments.pop(suffix))
        return _plain(functional(Mask(plain) if suffix == "mask" else plain, **arguments))

    parameters = [_parameter(suffix), *_own_parameters(functional, without)]
    return _named(run, functional, suffix, _with_defaults_last(parameters))


def _of_places(functional: Callable, suffix: str, boxes: bool) -> Callable:
    """The kernel of boxes or of points."""
    name = functional.__name__

    def run(**arguments: Any) -> Any:
        plain = _plain(arguments.pop(suffix))
        about = {"canvas_size": arguments.pop("canvas_size", (0, 0))}
        if boxes:
            about |= {key: arguments.pop(key) for key in ("format", "clamping_mode")}
        out = functional((BoundingBoxes if boxes else KeyPoints)(plain, **about), **arguments)
        return (_plain(out), tuple(out.canvas_size)) if name in _NEW_CANVAS else _plain(out)

    form = _parameter("format", BoundingBoxFormat.XYXY if name == "resize" else inspect.Parameter.empty)
    canvas = [] if name in _NO_CANVAS else [_parameter("canvas_size")]
    own = _own_parameters(functional, _PIXELS_ONLY)
    if not boxes:
        return _named(run, functional, suffix, _with_defaults_last([_parameter(suffix), *canvas, *own]))
    front = [*canvas, *own, form] if name == "resize" else [form, *canvas, *own]
    parameters = [_parameter(suffix), *front, _parameter("clamping_mode", "soft")]
    return _named(run, functional, suffix, _with_defaults_last(parameters))


def _functions(*tables: dict[Any, str]) -> list[Callable]:
    return [
        getattr(module, name) for table in tables for module, names in table.items() for name in names.split()
    ]


def _all_kernels() -> list[Callable]:
    kernels: list[Callable] = []
    for functional in [getattr(_geometry, name) for name in _MOVING]:
        without = ("interpolation", "antialias")
        without = without if functional.__name__ in _MASK_FILLS else (*without, "fill")
        kernels += [_of_pixels(functional, suffix) for suffix in ("image", "video")]
        kernels += [
            _of_pixels(functional, "mask", without),
            _of_places(functional, "bounding_boxes", boxes=True),
            _of_places(functional, "keypoints", boxes=False),
        ]
    kernels += [_of_pixels(functional, "image") for functional in _functions(_PICTURES, _PICTURES_ONLY)]
    kernels += [_of_pixels(functional, "video") for functional in _functions(_PICTURES, _VIDEOS_ONLY)]
    kernels += [_of_pixels(_meta.get_size, suffix) for suffix in ("image", "video", "mask")]
    for suffix in ("bounding_boxes", "keypoints"):
        signature = inspect.Signature([_parameter("inpt")])  # a plain tensor does not know its canvas
        kernels.append(_named(_meta.get_size, _meta.get_size, suffix, signature))
    return kernels


KERNELS = {kernel.__name__: kernel for kernel in _all_kernels()}
