"""Tensors that know what they hold, so that transforms treat them accordingly: pictures, videos, masks, boxes
and points. They are otherwise plain tensors; operations on them give plain tensors.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import flambeau as fb

from ._pil import is_pil

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "KeyPoints",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "set_return_type",
    "wrap",
]

_KEEP_KIND = (fb.Tensor.clone, fb.Tensor.to, fb.Tensor.detach, fb.Tensor.requires_grad_)
_results_keep_kind = False


class _ReturnType:
    """Gives the former setting back at the end of a with block."""

    def __init__(self, before: bool) -> None:
        self.before = before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        global _results_keep_kind
        _results_keep_kind = self.before


def set_return_type(return_type: str) -> _ReturnType:
    """Whether operations on these tensors give plain tensors ('Tensor') or the kind they had ('TVTensor').

    For good, or within a with block.
    """
    global _results_keep_kind
    before = _results_keep_kind
    choices = {"tensor": False, "tvtensor": True}
    if return_type.lower() not in choices:
        raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', but got {return_type}")
    _results_keep_kind = choices[return_type.lower()]
    return _ReturnType(before)


class TVTensor(fb.Tensor):
    """Base of the kinds."""

    _shows_details = False  # even where there are none: torchvision's repr has a comma then

    @classmethod
    def _make(cls, tensor: fb.Tensor, requires_grad: bool | None = None, **details: Any) -> Any:
        """A tensor of this kind; it is a leaf if `requires_grad` says that it is to have a gradient."""
        out = cls._wrap(tensor, **details)
        if requires_grad is not None:
            out.requires_grad_(requires_grad)
        return out

    def _details(self) -> dict[str, Any]:
        """What the tensor knows besides its numbers."""
        return {}

    @classmethod
    def _wrap(cls, tensor: fb.Tensor, **details: Any) -> Any:
        out = tensor.as_subclass(cls)
        for name, value in details.items():
            setattr(out, name, value)
        return out

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        with fb._C.DisableTorchFunctionSubclass():
            output = func(*args, **(kwargs or {}))
        first = args[0] if args else None
        if (_results_keep_kind or func in _KEEP_KIND) and isinstance(first, cls):
            return _with_kind(output, cls, first._details())
        if isinstance(output, cls):  # in-place operations
            return output.as_subclass(fb.Tensor)
        return output

    def __deepcopy__(self, memo: dict) -> Any:
        copy = self.detach().as_subclass(fb.Tensor).clone().requires_grad_(self.requires_grad)
        return type(self)._wrap(copy, **self._details())

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        text = super().__repr__()
        extra = ", ".join(f"{name}={value}" for name, value in self._details().items())
        return f"{text[:-1]}, {extra})" if extra or self._shows_details else text


def _with_kind(output: Any, cls: type, details: dict[str, Any]) -> Any:
    if isinstance(output, fb.Tensor):
        return cls._wrap(output, **details)
    if isinstance(output, (tuple, list)):
        parts = [_with_kind(part, cls, details) for part in output]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return output


class Image(TVTensor):
    """Pictures, [..., C, H, W]; made of anything that becomes a tensor, or of a Pillow image."""

    _shows_details = True

    def __new__(
        cls,
        data: Any,
        *,
        dtype: fb.dtype | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Image:
        if is_pil(data):
            from .transforms.functional import pil_to_tensor

            data = pil_to_tensor(data)
        tensor = fb.as_tensor(data, dtype=dtype, device=device).as_subclass(fb.Tensor)
        if tensor.ndim < 2:
            raise ValueError("Tensor is not a torch image.\nIt must have 2 dimensions or more.")
        return cls._make(tensor.unsqueeze(0) if tensor.ndim == 2 else tensor, requires_grad)


class Video(TVTensor):
    """Videos, [..., T, C, H, W]."""

    _shows_details = True

    def __new__(
        cls,
        data: Any,
        *,
        dtype: fb.dtype | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Video:
        tensor = fb.as_tensor(data, dtype=dtype, device=device).as_subclass(fb.Tensor)
        if tensor.ndim < 4:
            raise ValueError(
                f"Expected a tensor of 4 or more dimensions [..., T, C, H, W], got {tensor.ndim}"
            )
        return cls._make(tensor, requires_grad)


class Mask(TVTensor):
    """Masks for segmentation and detection, [..., H, W]."""

    def __new__(
        cls,
        data: Any,
        *,
        dtype: fb.dtype | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Mask:
        if is_pil(data):
            from .transforms.functional import pil_to_tensor

            data = pil_to_tensor(data)
        return cls._make(fb.as_tensor(data, dtype=dtype, device=device).as_subclass(fb.Tensor), requires_grad)


class BoundingBoxFormat(Enum):
    """How the numbers of a box are to be read.

    ``XYXY`` corners, ``XYWH`` corner and size, ``CXCYWH`` middle and size; turned boxes: ``XYWHR`` and
    ``CXCYWHR`` with an angle in degrees, counter-clockwise, ``XYXYXYXY`` the four corner points.
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


def box_format(format: BoundingBoxFormat | str) -> BoundingBoxFormat:
    """The format of that name."""
    return BoundingBoxFormat[format.upper()] if isinstance(format, str) else format


def is_rotated_bounding_format(format: BoundingBoxFormat | str) -> bool:
    """Whether boxes in this format may be turned."""
    return box_format(format).value in ("XYWHR", "CXCYWHR", "XYXYXYXY")


class BoundingBoxes(TVTensor):
    """Boxes, [N, 4]; turned ones [N, 5] or [N, 8].

    Parameters
    ----------
    format : how to read the numbers.
    canvas_size : height and width of the picture they belong to.
    clamping_mode : how boxes that reach out of the picture are cut: 'soft', 'hard', or None for not at all.
    """

    format: BoundingBoxFormat
    canvas_size: tuple[int, int]
    clamping_mode: str | None

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: tuple[int, int],
        clamping_mode: str | None = "soft",
        dtype: fb.dtype | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> BoundingBoxes:
        tensor = fb.as_tensor(data, dtype=dtype, device=device).as_subclass(fb.Tensor)
        if tensor.ndim == 1:
            tensor = tensor.unsqueeze(0)
        elif tensor.ndim != 2:
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        if clamping_mode not in ("hard", "soft", None):
            raise ValueError(f"clamping_mode must be None, 'soft' or 'hard', got {clamping_mode}")
        format = box_format(format)
        if is_rotated_bounding_format(format) and not tensor.is_floating_point():
            raise ValueError(f"Rotated bounding boxes should be floating point tensors, got {tensor.dtype}.")
        return cls._make(
            tensor, requires_grad, format=format, canvas_size=canvas_size, clamping_mode=clamping_mode
        )

    def _details(self) -> dict[str, Any]:
        return {"format": self.format, "canvas_size": self.canvas_size, "clamping_mode": self.clamping_mode}


class KeyPoints(TVTensor):
    """Points (x, y), [..., 2], in a picture of height and width `canvas_size`."""

    canvas_size: tuple[int, int]

    def __new__(
        cls,
        data: Any,
        *,
        canvas_size: tuple[int, int],
        dtype: fb.dtype | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> KeyPoints:
        tensor = fb.as_tensor(data, dtype=dtype, device=device).as_subclass(fb.Tensor)
        if tensor.ndim == 1:
            tensor = tensor.unsqueeze(0)
        if tensor.shape[-1] != 2:
            raise ValueError(f"Expected a tensor of shape (..., 2), not {tensor.shape}")
        return cls._make(tensor, requires_grad, canvas_size=canvas_size)

    def _details(self) -> dict[str, Any]:
        return {"canvas_size": self.canvas_size}


def wrap(wrappee: fb.Tensor, *, like: TVTensor, **kwargs: Any) -> Any:
    """`wrappee` as the kind of tensor that `like` is, with what `like` knows unless given (format …)."""
    details = like._details()
    return type(like)._wrap(wrappee, **{name: kwargs.get(name, value) for name, value in details.items()})
