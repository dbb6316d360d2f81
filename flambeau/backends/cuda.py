"""Settings of CUDA. Without a GPU they are kept and have no effect."""

from __future__ import annotations

import contextlib
import enum
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import cuda

from ._switch import Precision, Switch

__all__ = [
    "is_built", "matmul", "flash_sdp_enabled", "enable_flash_sdp", "mem_efficient_sdp_enabled",
    "enable_mem_efficient_sdp",
    "math_sdp_enabled", "enable_math_sdp", "cudnn_sdp_enabled", "enable_cudnn_sdp", "sdp_kernel",
    "preferred_linalg_library",
    "preferred_blas_library", "preferred_rocm_fa_library", "cufft_plan_cache", "cuBLASModule",
    "cuFFTPlanCache", "cuFFTPlanCacheAttrContextProp", "cuFFTPlanCacheManager", "blas_workspace_size",
    "cublas_workspace_size", "cublaslt_workspace_size",
]  # fmt: skip

_sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}
_preferred: dict[str, Any] = {"linalg": "default", "blas": "default"}


def is_built() -> bool:
    """Whether CUDA support is part of this build."""
    return False


class cuBLASModule:
    """Settings of matrix products."""

    allow_tf32 = Switch(False)
    allow_fp16_reduced_precision_reduction = Switch(True)
    allow_bf16_reduced_precision_reduction = Switch(True)
    allow_fp16_accumulation = Switch(False)
    fp32_precision = Precision()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError("Unknown attribute " + name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name):
            raise AttributeError("Unknown attribute " + name)
        object.__setattr__(self, name, value)


matmul = cuBLASModule()


class cuFFTPlanCacheAttrContextProp:
    """An attribute of the plans of a device, the current one while it is read or written.

    Parameters
    ----------
    getter, setter : called with the number of the device.
    """

    def __init__(self, getter: Callable[[int], int], setter: Callable[[int, int], None]) -> None:
        self.getter, self.setter = getter, setter

    def __get__(self, obj: Any, objtype: type | None = None) -> Any:
        return self if obj is None else self.getter(obj._number())

    def __set__(self, obj: Any, value: int) -> None:
        if isinstance(self.setter, str):
            raise RuntimeError(self.setter)
        self.setter(obj._number(), value)


_plan_limits: dict[int, int] = {}


class cuFFTPlanCache:
    """The kept plans of transforms of one device.

    Parameters
    ----------
    device_index : its number.
    """

    def __init__(self, device_index: int) -> None:
        self.device_index = device_index

    def _number(self) -> int:
        return cuda.current_device() if self.device_index is None else self.device_index

    size = cuFFTPlanCacheAttrContextProp(
        lambda number: 0,
        ".size is a read-only property showing the number of plans currently in the cache. To change the "
        "cache capacity, set cufft_plan_cache.max_size.",
    )
    max_size = cuFFTPlanCacheAttrContextProp(lambda n: _plan_limits.get(n, 4096), _plan_limits.__setitem__)

    def clear(self) -> None:
        """Forget all plans."""
        self._number()


class cuFFTPlanCacheManager(cuFFTPlanCache):
    """The kept plans of the current device, and of each by its number: ``cufft_plan_cache[1]``."""

    def __init__(self) -> None:
        super().__init__(None)

    def __getitem__(self, device: Any) -> cuFFTPlanCache:
        index = device if isinstance(device, int) else cuda._index(device)
        count = cuda.device_count()
        if not 0 <= index < count:
            raise RuntimeError(
                f"cufft_plan_cache: expected 0 <= device index < {count}, but got device with index {index}"
            )
        return cuFFTPlanCache(index)


cufft_plan_cache = cuFFTPlanCacheManager()


def _workspace(name: str, size: int | None) -> int:
    call = f"_cuda_{'get' if size is None else 'set'}{name}WorkspaceSize"
    raise AttributeError(
        f"module 'torch._C' has no attribute '{call}'\n"
        "flambeau gives these libraries what memory they ask for"
    )


def cublas_workspace_size(size: int | None = None) -> int:
    """The bytes that cuBLAS works in; sets them where given.

    Parameters
    ----------
    size : the bytes.
    """
    return _workspace("Cublas", size)


def cublaslt_workspace_size(size: int | None = None) -> int:
    """The bytes that cuBLASLt works in; sets them where given.

    Parameters
    ----------
    size : the bytes.
    """
    return _workspace("CublasLt", size)


def blas_workspace_size(size: int | None = None, backend: str | None = None) -> int:
    """The bytes that the library of matrix products works in; sets them where given.

    Parameters
    ----------
    size : the bytes.
    backend : which library; by default the preferred one.
    """
    which = preferred_blas_library() if backend is None else str(backend).lower()
    if which not in ("default", "cublas", "cublaslt"):
        raise RuntimeError(f"{which} has no workspace whose size can be set")
    return cublaslt_workspace_size(size) if which == "cublaslt" else cublas_workspace_size(size)


class _ROCmFABackend(enum.IntEnum):
    """Where flash attention comes from on AMD's GPUs."""

    Default = 0
    AOTriton = 1
    Ck = 2

    __str__ = enum.Enum.__str__


_ROCM_NAMES = {"default": 0, "aotriton": 1, "ck": 2}


def preferred_rocm_fa_library(backend: str | _ROCmFABackend | None = None) -> _ROCmFABackend:
    """Where flash attention on AMD's GPUs should come from; sets it where given. Nothing here asks for it.

    Parameters
    ----------
    backend : ``"default"``, ``"aotriton"`` or ``"ck"``.
    """
    if isinstance(backend, str):
        if backend not in _ROCM_NAMES:
            raise RuntimeError(f"Unknown input value. Choose from: {', '.join(_ROCM_NAMES)}.")
        backend = _ROCmFABackend(_ROCM_NAMES[backend])
    if backend is not None:
        if not isinstance(backend, _ROCmFABackend):
            raise RuntimeError(f"Unknown input value type: {type(backend)}")
        _preferred["rocm"] = backend
    return _preferred.get("rocm", _ROCmFABackend.Default)


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
