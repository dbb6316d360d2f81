"""The old classes of tensors and storages on a GPU. They name a type; there is no device to make one on."""

from __future__ import annotations

from typing import Any

from flambeau import _C
from flambeau._type_names import DTYPES

from ._refusal import refuse


class tensortype(type):
    """Metaclass of the old tensor classes."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, _C.Tensor)
            and instance.dtype == cls.dtype
            and instance.device.type == "cuda"
            and (instance.layout is not _C.strided) == cls.is_sparse
        )

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"type {cls.__module__.replace('flambeau', 'torch', 1)}.{cls.__name__} not available. Torch not"
            " compiled with CUDA enabled."
        )


def tensors(sparse: bool) -> dict[str, type]:
    """The classes by name, of strided or of sparse tensors."""
    layout, module = (_C.sparse_coo, "flambeau.cuda.sparse") if sparse else (_C.strided, "flambeau.cuda")
    names = {
        n: d for n, d in DTYPES.items() if not n.startswith("UInt") and not (sparse and n.startswith("Bool"))
    }
    return {
        name: tensortype(
            name,
            (),
            {
                "dtype": getattr(_C, dtype),
                "layout": layout,
                "is_cuda": True,
                "is_sparse": sparse,
                "__module__": module,
                "__doc__": f"Old name of tensors of {dtype} on a GPU.",
            },
        )
        for name, dtype in names.items()
    }


class _Storage:
    """Storage on a GPU."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return refuse()


def storages() -> dict[str, type]:
    """The classes of storages by name."""
    from flambeau import storage

    return {
        name: type(
            name, (_Storage,), {"dtype": getattr(_C, dtype), "is_cuda": True, "__module__": "flambeau.cuda"}
        )
        for dtype, name in storage.CLASS_OF.items()
    }
