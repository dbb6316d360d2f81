"""Matrices with two zeros in every four elements: only GPUs with sparse tensor cores compute with them."""

from __future__ import annotations

from typing import Any

import flambeau as fb

__all__ = [
    "SparseSemiStructuredTensor", "SparseSemiStructuredTensorCUTLASS", "SparseSemiStructuredTensorCUSPARSELT",
    "to_sparse_semi_structured",
]  # fmt: skip

_MISSING = (
    "flambeau has no 2:4 sparse kernels: they need cuSPARSELt or CUTLASS, which this build does not have"
)


class SparseSemiStructuredTensor(fb.Tensor):
    """The type of 2:4 sparse matrices; programs ask `isinstance`, none can be made."""

    _FORCE_CUTLASS = False
    _FUSE_TRANSPOSE = False
    BACKEND: str

    @staticmethod
    def __new__(
        cls: type, shape: Any, packed: Any, meta: Any, packed_t: Any, meta_t: Any,
        compressed_swizzled_bitmask: Any, fuse_transpose_cusparselt: bool = False,
        alg_id_cusparselt: int = 0, requires_grad: bool = False,
    ) -> Any:  # fmt: skip
        raise NotImplementedError(_MISSING)


class SparseSemiStructuredTensorCUTLASS(SparseSemiStructuredTensor):
    """2:4 sparse matrices as CUTLASS stores them."""

    BACKEND = "cutlass"


class SparseSemiStructuredTensorCUSPARSELT(SparseSemiStructuredTensor):
    """2:4 sparse matrices as cuSPARSELt stores them."""

    BACKEND = "cusparselt"


def to_sparse_semi_structured(original_tensor: Any, transposed: bool = False, alg_id: int = 0) -> Any:
    """Raise: there is no device for such matrices."""
    if original_tensor.device.type != "cuda":
        raise RuntimeError(
            f"Error original_tensor.device= {original_tensor.device} is not supported! Only CUDA tensors are "
            "currently supported."
        )
    raise NotImplementedError(_MISSING)
