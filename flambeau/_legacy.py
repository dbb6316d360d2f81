"""The old tensor classes: FloatTensor, LongTensor, … They construct and answer isinstance, no more."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import _C

from ._type_names import DTYPES


class tensortype(type):
    """Metaclass of the old tensor classes."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, _C.Tensor) and instance.dtype == cls.dtype and instance.device.type == "cpu"
        )

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _C._legacy_tensor(cls.dtype, *args, **kwargs)


def _made(name: str, dtype: Any) -> type:
    members = {
        "dtype": dtype,
        "layout": fb.strided,
        "is_cuda": False,
        "is_sparse": False,
        "__module__": "flambeau",
    }
    return tensortype(name, (), {**members, "__doc__": f"Old name of tensors of {dtype} on the CPU."})


globals().update(
    {name: _made(name, getattr(fb, dtype)) for name, dtype in DTYPES.items() if not name.startswith("UInt")}
)


def set_default_tensor_type(t: Any, /) -> None:
    """Set the default dtype by an old tensor class or its name."""
    if isinstance(t, str):
        module, _, name = t.rpartition(".")
        if name not in DTYPES or module not in ("torch", "torch.cuda"):
            raise TypeError(f"invalid type object: {t!r} names no tensor type")
        t = globals()[name]
    if not isinstance(t, tensortype):
        raise TypeError("invalid type object")
    if not t.dtype.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    fb.set_default_dtype(t.dtype)
