"""Names for the types of arguments."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, Any, TypeAlias

from flambeau._C import Size, Tensor
from flambeau._C import device as _device
from flambeau._C import dtype as _dtype

__all__ = ["Number", "Device", "FileLike", "Storage"]

_int = builtins.int
_float = builtins.float
_bool = builtins.bool
_complex = builtins.complex
_bytes = builtins.bytes
_str = builtins.str
_size = Size | list[int] | tuple[int, ...]
_symsize = Size | Sequence[int]
_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors = Tensor | Sequence[Tensor | None]

Number: TypeAlias = int | float | bool
_Number = (int, float, bool)
IntLikeType = int
FloatLikeType = float
BoolLikeType = bool
Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]


class Storage:
    """Interface of storages: the bytes below tensors."""

    device: _device
    dtype: _dtype

    def nbytes(self) -> int:
        """Size in bytes."""
        raise NotImplementedError

    def size(self) -> int:
        """Number of elements."""
        raise NotImplementedError

    def data_ptr(self) -> int:
        """Address of the first byte."""
        raise NotImplementedError

    def type(self, dtype: str | None = None, non_blocking: bool = False) -> Any:
        """The type's name, or the storage converted to another type."""
        raise NotImplementedError
