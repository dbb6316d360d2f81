"""Attributes of tensors and methods of storages that are asked for rarely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def cuda_array_interface(self: Any) -> dict[str, Any]:
    """The memory of a tensor of a GPU, for other libraries."""
    from .cuda._array_interface import describe

    return describe(self)


def grad_dtype(self: Any) -> Any:
    """The dtype that gradients of a leaf have; None lets them have any."""
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
    return self.__dict__.get("_grad_dtype", self.dtype)


def set_grad_dtype(self: Any, dtype: Any) -> None:
    """Set it; a leaf's own dtype is the only one there is."""
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be set on leaf tensors.")
    if dtype is not None and dtype != self.dtype:
        raise NotImplementedError("flambeau accumulates gradients only in the dtype of their tensor")
    self.__dict__["_grad_dtype"] = dtype


_STORAGE_METHODS = """
bfloat16 bool byte char complex_double complex_float double float half int long short float8_e4m3fn
float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz cuda hpu mps byteswap pin_memory share_memory_ to type
""".split()


def _storage_method(name: str) -> Callable:
    def method(*args: Any, **kwargs: Any) -> Any:
        from .storage import METHODS

        return METHODS[name](*args, **kwargs)

    method.__name__ = name
    return method


def complete_storage(storage: type) -> None:
    """Give the class of storages the methods that are written in Python; they load when they are called."""
    for name in _STORAGE_METHODS:
        setattr(storage, name, _storage_method(name))
    storage.from_buffer = staticmethod(_storage_method("from_buffer"))
    storage.is_hpu, storage.filename = False, None
