"""Small functions of PyTorch's ``torch.serialization`` that programs call."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NoReturn

import flambeau as fb

__all__ = [
    "StorageType", "check_module_version_greater_or_equal", "mkdtemp", "normalize_storage_type",
    "storage_to_tensor_type", "validate_cuda_device", "validate_hpu_device",
]  # fmt: skip


class StorageType:
    """A class of storages by its name, such as ``"FloatStorage"``; `dtype` is that of its elements.

    Raises
    ------
    KeyError : there is no class of that name.
    """

    def __init__(self, name: str) -> None:
        from .names import storage_classes

        kind = storage_classes().get(("torch", name))
        if kind is None:
            raise KeyError(f'pickle storage type "{name}" is not recognized')
        self._dtype = kind.dtype

    @property
    def dtype(self) -> fb.dtype:
        """The type of its elements."""
        return self._dtype

    def __str__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


@contextlib.contextmanager
def mkdtemp() -> Iterator[str]:
    """Context manager: the path of a new folder, which is deleted afterwards."""
    with tempfile.TemporaryDirectory() as path:
        yield path


def check_module_version_greater_or_equal(
    module: ModuleType, req_version_tuple: tuple, error_if_malformed: bool = True
) -> bool:
    """Whether a module is of that version or a later one.

    Raises
    ------
    RuntimeError : the version cannot be read; a warning where `error_if_malformed` is False.
    """
    try:
        parts = module.__version__.split(".")
        version = tuple(type(wanted)(have) for wanted, have in zip(req_version_tuple, parts))
    except Exception as error:
        message = (
            f"'{module.__name__}' module version string is malformed '{module.__version__}' and cannot be "
        )
        message += f"compared with tuple {req_version_tuple}"
        if error_if_malformed:
            raise RuntimeError(message) from error
        import warnings

        warnings.warn(message + ", but continuing assuming that requirement is met", stacklevel=2)
        return True
    return version >= tuple(req_version_tuple)


def normalize_storage_type(storage_type: type) -> type:
    """The class of storages as the package shows it."""
    return getattr(fb, storage_type.__name__)


def storage_to_tensor_type(storage: Any) -> type:
    """The old class of tensors with the elements of a storage."""
    return getattr(fb, type(storage).__name__.replace("Storage", "Tensor"))


def validate_cuda_device(location: Any) -> int:
    """The number of the CUDA device that a file names.

    Raises
    ------
    RuntimeError : there is no such device.
    """
    index = fb.device(str(location)).index or 0
    if not fb.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is"
            " False. If you are "
            "running on a CPU-only machine, please use torch.load with"
            " map_location=torch.device('cpu') to map "
            "your storages to the CPU."
        )
    if index >= fb.cuda.device_count():
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is "
            f"{fb.cuda.device_count()}. Please use torch.load with map_location to map your storages to an "
            "existing device."
        )
    return index


def validate_hpu_device(location: Any) -> NoReturn:
    """Raise: there are no devices of that kind here."""
    raise RuntimeError(
        "The HPU device module is not registered. If you are running on a CPU-only machine, please"
        " use torch.load "
        "with map_location=torch.device('cpu') to map your storages to the CPU."
    )
