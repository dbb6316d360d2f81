"""Helpers of PyTorch's ``torch._utils`` that packages call: buckets of tensors, errors of workers, files."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import flambeau as fb

__all__ = ["ExceptionWrapper", "_flatten_dense_tensors", "_take_tensors", "_unflatten_dense_tensors"]

_OF_FILES = (
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
    "_rebuild_parameter_with_state", "_rebuild_sparse_tensor", "_rebuild_nested_tensor",
    "_rebuild_qtensor",
    "_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_numpy",
)  # fmt: skip


class ExceptionWrapper:
    """An exception of a worker with the text of its traceback, to be raised again elsewhere.

    Parameters
    ----------
    exc_info : what `sys.exc_info()` gave, or the exception; None for the one being handled.
    where : said in the text of the raised error.
    """

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        if exc_info is None:
            exc_info = sys.exc_info()
        error = exc_info if isinstance(exc_info, BaseException) else exc_info[1]
        self.exc_type: type[BaseException] = type(error)
        self.exc_msg = "".join(traceback.format_exception(error))
        self.name = self.exc_type.__name__
        self.where = where
        try:
            pickle.dumps(self.exc_type)
        except Exception:  # a local class: its name is in the text
            self.exc_type = RuntimeError

    def reraise(self) -> None:
        """Raise an error of the same class whose text says where it happened and shows the traceback."""
        text = f"Caught {self.name} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            raise KeyError(_Plain(text))
        try:
            named = getattr(self.exc_type, "message", None)
            error = self.exc_type(message=text) if named else self.exc_type(text)  # type: ignore[call-arg]
        except Exception:  # its constructor wants something else than a text
            raise RuntimeError(text) from None
        raise error


class _Plain(str):
    """A text whose repr is itself: a KeyError prints its argument by repr."""

    def __repr__(self) -> str:
        return str(self)


def _flatten_dense_tensors(tensors: Sequence) -> Any:
    """All elements of tensors of one dtype in one line."""
    return fb.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Any, tensors: Sequence) -> tuple:
    """Views of such a line with the shapes of `tensors`."""
    parts = flat.split([t.numel() for t in tensors])
    return tuple(part.view_as(t) for part, t in zip(parts, tensors))


def _take_tensors(tensors: Sequence, size_limit: int) -> Iterator[list]:
    """Group tensors by type, into lists of not much more than `size_limit` bytes."""
    open_lists: dict[str, tuple[list, int]] = {}
    for t in tensors:
        kind, size = t.type(), t.numel() * t.element_size()
        group, held = open_lists.get(kind, ([], 0))
        if held + size > size_limit and held > 0:
            yield group
            group, held = [], 0
        group.append(t)
        open_lists[kind] = group, held + size
    for group, _ in open_lists.values():
        if group:
            yield group


def _get_available_device_type() -> str | None:
    """The kind of device that there is beside the CPU; None where there is none."""
    found = fb.accelerator.current_accelerator()
    return None if found is None else found.type


def _get_device_module(device_type: str) -> Any:
    """The module of a kind of device, such as `torch.cuda`."""
    module = getattr(fb, device_type, None)
    if module is None:
        raise RuntimeError(
            f"Device '{device_type}' does not have a corresponding module registered as"
            f" 'torch.{device_type}'."
        )
    return module


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int | None:
    """The number of a device.

    Parameters
    ----------
    device : number, name or `device`; None for the current one.
    optional : whether a device without a number is the current one of the accelerator; None where there is
        none.
    allow_cpu : whether the CPU is meant too, whose number is -1.

    Raises
    ------
    ValueError : the device has no number.
    """
    if isinstance(device, str):
        device = fb.device(device)
    index = None
    if isinstance(device, fb.device):
        if not allow_cpu and device.type == "cpu":
            raise ValueError(f"Expected a non cpu device, but got: {device}")
        index = -1 if device.type == "cpu" else device.index
    elif isinstance(device, int):
        index = device
    if index is not None:
        return index
    if not optional:
        raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
    return fb.accelerator.current_device_index() if fb.accelerator.is_available() else None


def _element_size(dtype: Any) -> int:
    """The number of bytes of an element."""
    if not isinstance(dtype, fb.dtype):
        raise RuntimeError(f"expected torch.dtype, but got {type(dtype)}")
    return dtype.itemsize


def __getattr__(name: str) -> Any:
    if name in _OF_FILES:
        from .serialization import names

        return names.rebuilder(name)
    if name == "torch":  # where PyTorch's pickles look for a memory format
        return fb
    raise AttributeError(f"module 'torch._utils' has no attribute '{name}'")
