"""What other libraries for GPUs are told of a tensor's memory (``__cuda_array_interface__``, version 2)."""

from __future__ import annotations

from typing import Any

from flambeau._C import Tensor

_TYPES = {
    "bool": "|b1", "uint8": "|u1", "int8": "|i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
    "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "float16": "<f2", "bfloat16": "<f2", "float32": "<f4",
    "float64": "<f8", "complex64": "<c8", "complex128": "<c16",
}  # fmt: skip


def describe(tensor: Tensor) -> dict[str, Any]:
    """Shape, type, strides in bytes and address of a tensor of a GPU.

    Raises
    ------
    AttributeError : it is no dense tensor of a GPU.
    RuntimeError : it requires a gradient, which others would not see.
    """
    if not tensor.is_cuda:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {tensor.type()} "
            "If CUDA data is required use tensor.cuda() to copy tensor to device memory."
        )
    if tensor.is_sparse:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on sparse type: {tensor.type()} "
            "Use Tensor.to_dense() to convert to a dense tensor first."
        )
    if tensor.requires_grad:
        raise RuntimeError(
            "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't "
            "required, use var.detach() to get Variable that doesn't require grad."
        )
    size = tensor.dtype.itemsize
    contiguous = tensor.is_contiguous()
    return {
        "typestr": _TYPES[str(tensor.dtype).removeprefix("torch.")],
        "shape": tuple(tensor.shape),
        "strides": None if contiguous else tuple(step * size for step in tensor.stride()),
        "data": (tensor.data_ptr() if tensor.numel() else 0, False),
        "version": 2,
    }
