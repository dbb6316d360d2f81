"""Settings of CUDA. Without a GPU they are kept and have no effect."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from ._switch import Switch

__all__ = [
    "is_built", "matmul", "flash_sdp_enabled", "enable_flash_sdp", "mem_efficient_sdp_enabled",
    "enable_mem_efficient_sdp",
    "math_sdp_enabled", "enable_math_sdp", "cudnn_sdp_enabled", "enable_cudnn_sdp", "sdp_kernel",
    "preferred_linalg_library",
    "preferred_blas_library", "cufft_plan_cache",
]  # fmt: skip

_sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}
_preferred = {"linalg": "default", "blas": "default"}


def is_built() -> bool:
    """Whether CUDA support is part of this build."""
    return False


class _Matmul:
    """Settings of matrix products."""

    allow_tf32 = Switch(False)
    allow_fp16_reduced_precision_reduction = Switch(True)
    allow_bf16_reduced_precision_reduction = Switch(True)
    allow_fp16_accumulation = Switch(False)
    fp32_precision = Switch("none", str)


matmul = _Matmul()


class _PlanCache:
    """Number of kept transform plans."""

    size = 0
    max_size = Switch(4096, int)

    def clear(self) -> None:
        """Forget all plans."""


cufft_plan_cache = _PlanCache()


def flash_sdp_enabled() -> bool:
    """Whether attention may use its flash kernel."""
    return _sdp["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    """Allow attention its flash kernel."""
    _sdp["flash"] = bool(enabled)


def mem_efficient_sdp_enabled() -> bool:
    """Whether attention may use its memory-efficient kernel."""
    return _sdp["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Allow attention its memory-efficient kernel."""
    _sdp["mem_efficient"] = bool(enabled)


def math_sdp_enabled() -> bool:
    """Whether attention may be composed of operators."""
    return _sdp["math"]


def enable_math_sdp(enabled: bool) -> None:
    """Allow attention to be composed of operators."""
    _sdp["math"] = bool(enabled)


def cudnn_sdp_enabled() -> bool:
    """Whether attention may use cuDNN."""
    return _sdp["cudnn"]


def enable_cudnn_sdp(enabled: bool) -> None:
    """Allow attention cuDNN."""
    _sdp["cudnn"] = bool(enabled)


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[Any]:
    """Context manager: which kernels attention may use."""
    before = dict(_sdp)
    _sdp.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        _sdp.update(before)


def _prefer(what: str, backend: str | None, known: tuple) -> str:
    if backend is not None:
        if backend not in known:
            raise RuntimeError(f"Unknown input value. Choose from: {', '.join(known)}.")
        _preferred[what] = backend
    return _preferred[what]


def preferred_linalg_library(backend: str | None = None) -> str:
    """The library that linear algebra on a GPU prefers; sets it where given."""
    return _prefer("linalg", backend, ("default", "cusolver", "magma"))


def preferred_blas_library(backend: str | None = None) -> str:
    """The library that matrix products on a GPU prefer; sets it where given."""
    return _prefer("blas", backend, ("default", "cublas", "cublaslt", "hipblaslt", "ck"))


class SDPAParams:
    """The arguments of a call of `scaled_dot_product_attention`, for the questions below."""

    def __init__(
        self,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any,
        dropout: float,
        is_causal: bool,
        enable_gqa: bool,
    ) -> None:
        self.query, self.key, self.value, self.attn_mask = query, key, value, attn_mask
        self.dropout, self.is_causal, self.enable_gqa = dropout, is_causal, enable_gqa


def is_flash_attention_available() -> bool:
    """Whether FlashAttention for GPUs is in this build: no."""
    return False


def is_ck_sdpa_available() -> bool:
    """Whether Composable Kernel's attention is in this build: no."""
    return False


def _without_gpu(debug: bool, kernel: str) -> bool:
    if debug:
        warnings.warn(f"{kernel} was not compiled into this build: it needs a GPU", stacklevel=3)
    return False


def can_use_flash_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Whether FlashAttention takes these arguments; with `debug` warns why not."""
    return _without_gpu(debug, "Flash attention")


def can_use_efficient_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Whether memory-efficient attention takes these arguments; with `debug` warns why not."""
    return _without_gpu(debug, "Memory efficient attention")


def can_use_cudnn_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Whether cuDNN's attention takes these arguments; with `debug` warns why not."""
    return _without_gpu(debug, "cuDNN attention")


_half_sums = False


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """Whether attention by plain operators may sum in half precision; that of the CPU sums in float32."""
    return _half_sums


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Allow it or not."""
    global _half_sums
    _half_sums = bool(enabled)
