"""The old classes of sparse tensors, such as ``torch.sparse.FloatTensor``: they make COO tensors."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .tensor import is_sparse

__all__ = ["CLASSES"]

_DTYPES = {
    "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16", "CharTensor": "int8",
    "ByteTensor": "uint8",
}  # fmt: skip


class tensortype(type):
    """Metaclass of the old classes."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_sparse(instance) and instance.kind == "coo" and instance.dtype == cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Indices and values, perhaps a size; or a size alone."""
        if args and isinstance(args[0], fb.Tensor):
            return fb.sparse_coo_tensor(*args, **kwargs)
        size = args[0] if args and isinstance(args[0], (tuple, list)) else (args or (0,))
        return fb.sparse_coo_tensor(size=tuple(size), indices=None, dtype=cls.dtype, **kwargs)


CLASSES = {
    name: tensortype(
        name,
        (),
        {
            "dtype": getattr(fb, dtype),
            "layout": fb.sparse_coo,
            "is_cuda": False,
            "is_sparse": True,
            "__module__": "flambeau.sparse",
            "__doc__": f"Old name of COO tensors of {dtype}.",
        },
    )
    for name, dtype in _DTYPES.items()
}
