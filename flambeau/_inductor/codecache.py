"""What PyTorch's cache of generated code knows of a tensor."""

from __future__ import annotations

import dataclasses
from typing import Any

import flambeau as fb
from flambeau._prims_common import suggest_memory_format

__all__ = ["TensorMetadata", "extract_tensor_metadata_for_cache_key"]


@dataclasses.dataclass(frozen=True)
class TensorMetadata:
    """Everything of a tensor but its numbers."""

    dtype: fb.dtype
    shape: fb.Size
    stride: tuple[Any, ...]
    device: fb.device
    layout: Any
    memory_format: Any
    storage_offset: int
    storage_bytes: int | None
    requires_grad: bool
    is_quantized: bool
    is_conj: bool
    is_neg: bool
    is_inference: bool
    is_sparse: bool
    is_coalesced: bool | None
    dense_dim: int | None
    sparse_dim: int | None


def extract_tensor_metadata_for_cache_key(t: fb.Tensor) -> TensorMetadata:
    """What a compiled program may depend on."""
    sparse, strided = t.is_sparse, t.layout is fb.strided
    return TensorMetadata(
        t.dtype, t.shape, t.stride() if strided else (), t.device, t.layout,
        suggest_memory_format(t) if strided else None, t.storage_offset() if strided else 0, None,
        t.requires_grad, t.is_quantized, t.is_conj(), t.is_neg(), t.is_inference(), sparse,
        t.is_coalesced() if sparse else None, t.dense_dim() if sparse else None,
        t.sparse_dim() if sparse else None,
    )  # fmt: skip
