"""Tensors in plain pickles (``pickle.dumps``) as PyTorch writes them, for while flambeau stands in for it."""

from __future__ import annotations

from typing import Any

from flambeau import _C
from flambeau._C import Tensor
from flambeau.storage import CLASS_OF, TypedStorage

from . import rebuild


def reduced(tensor: Tensor) -> tuple[Any, tuple]:
    """The call that makes a strided tensor anew."""
    if tensor.is_meta:
        parts = tensor.dtype, tuple(tensor.size()), tensor.stride(), tensor.requires_grad
        return rebuild._rebuild_meta_tensor_no_storage, parts
    if tensor.is_conj() or tensor.is_neg():  # what is read, not the memory
        tensor = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    places = tensor.storage_offset(), tuple(tensor.size()), tensor.stride()
    untyped = tensor.untyped_storage()
    dtype = tensor.dtype
    typed = str(dtype).removeprefix("torch.") in CLASS_OF
    stored = TypedStorage(wrap_storage=untyped, dtype=dtype if typed else _C.uint8, _internal=True)
    if typed:
        return rebuild._rebuild_tensor_v2, (stored, *places, tensor.requires_grad, rebuild.no_hooks())
    return rebuild._rebuild_tensor_v3, (untyped, *places, tensor.requires_grad, rebuild.no_hooks(), dtype)
