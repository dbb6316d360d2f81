"""CUDA devices. There is no GPU support yet: this says so, and lets programs that ask first run on the CPU.

Questions (`is_available`, `device_count`, memory statistics) and what concerns all devices
(`manual_seed_all`, `empty_cache`) are answered as on a machine without a GPU; what needs a device raises an
AssertionError as PyTorch does.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from ._refusal import refuse as _refuse

Device = Any
default_generators: tuple = ()
has_half = True
has_magma = False


class CudaError(RuntimeError):
    """An error of the CUDA driver."""


class DeferredCudaCallError(Exception):
    """An error of a call that had waited for CUDA to be initialized."""


OutOfMemoryError = getattr(_C, "OutOfMemoryError", CudaError)


def is_available() -> bool:
    """Whether there is a usable GPU."""
    return False


def device_count() -> int:
    """The number of GPUs."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA was used in this process."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes with bfloat16."""
    return False


def is_tf32_supported() -> bool:
    """Whether the GPU computes with TF32."""
    return False


def get_arch_list() -> list[str]:
    """The GPU architectures that there are kernels for."""
    return []


def get_gencode_flags() -> str:
    """The compiler flags for those architectures."""
    return ""


def init() -> None:
    """Start CUDA."""
    _refuse()


def current_device() -> int:
    """The number of the device in use."""
    return _refuse()


def set_device(device: Device) -> None:
    """Choose the device to use."""
    _refuse()


def get_device_name(device: Device = None) -> str:
    """The name of a GPU."""
    return _refuse()


def get_device_capability(device: Device = None) -> tuple[int, int]:
    """The compute capability of a GPU."""
    return _refuse()


def get_device_properties(device: Device = None) -> Any:
    """What is known of a GPU."""
    return _refuse()


def can_device_access_peer(device: Device, peer_device: Device) -> bool:
    """Whether a GPU can read the memory of another."""
    return _refuse()


def synchronize(device: Device = None) -> None:
    """Wait for the work of a device."""
    _refuse()


def current_stream(device: Device = None) -> Any:
    """The stream that work goes to."""
    return _refuse()


def default_stream(device: Device = None) -> Any:
    """The stream that work goes to unless another is chosen."""
    return _refuse()


def ipc_collect() -> None:
    """Free memory that other processes have released."""
    _refuse()


# memory


def empty_cache() -> None:
    """Give unused memory back; nothing to do without a GPU."""


def memory_allocated(device: Device = None) -> int:
    """The bytes in tensors."""
    return 0


def max_memory_allocated(device: Device = None) -> int:
    """The most bytes that were in tensors."""
    return 0


def memory_reserved(device: Device = None) -> int:
    """The bytes held for tensors."""
    return 0


def max_memory_reserved(device: Device = None) -> int:
    """The most bytes that were held for tensors."""
    return 0


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def memory_stats(device: Device = None) -> dict[str, Any]:
    """Statistics of the allocator."""
    return OrderedDict()


def mem_get_info(device: Device = None) -> tuple[int, int]:
    """Free and total bytes of a GPU."""
    return _refuse()


def memory_summary(device: Device = None, abbreviated: bool = False) -> str:
    """The statistics as a table."""
    return _refuse()


def reset_peak_memory_stats(device: Device = None) -> None:
    """Begin to measure the most bytes anew."""
    _refuse()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def set_per_process_memory_fraction(fraction: float, device: Device = None) -> None:
    """Limit the memory of this process."""
    _refuse()


# random numbers


def manual_seed(seed: int) -> None:
    """Seed the generator of the current GPU; nothing to do without one."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs; nothing to do without one."""
    int(seed)


def seed() -> None:
    """Seed the generator of the current GPU at random; nothing to do without one."""


def seed_all() -> None:
    """Seed the generators of all GPUs at random; nothing to do without one."""


def initial_seed() -> int:
    """The seed of the current GPU's generator."""
    return _refuse()


def get_rng_state(device: Device = "cuda") -> Tensor:
    """The state of a GPU's generator."""
    return _refuse()


def get_rng_state_all() -> list[Tensor]:
    """The states of all GPUs' generators."""
    return []


def set_rng_state(new_state: Tensor, device: Device = "cuda") -> None:
    """Set the state of a GPU's generator."""
    _refuse()


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Set the states of all GPUs' generators."""
    for state in new_states:
        set_rng_state(state)


class device:
    """Context manager that chooses a device; ``device(None)`` chooses nothing."""

    def __init__(self, device: Device) -> None:
        self.idx = -1 if device is None else getattr(device, "index", device)

    def __enter__(self) -> None:
        if self.idx != -1:
            _refuse()

    def __exit__(self, *_: object) -> bool:
        return False


class device_of(device):
    """Context manager that chooses the device of a tensor; a tensor on the CPU changes nothing."""

    def __init__(self, obj: Tensor) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else None)


class StreamContext:
    """Context manager that chooses a stream; None chooses nothing."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def stream(stream: Any) -> StreamContext:
    """Context manager that chooses a stream."""
    return StreamContext(stream)


def set_stream(stream: Any) -> None:
    """Choose a stream."""
    if stream is not None:
        _refuse()


_waiting: list[Any] = []


def _lazy_call(callable: Any, **kwargs: Any) -> None:
    """Call a function when CUDA is first used: without a GPU it waits for ever."""
    _waiting.append(callable)


_SUBMODULES = """
amp comm gds graphs green_contexts jiterator memory nccl nvtx profiler random sparse streams tunable
""".split()
_HOMES = {
    "streams": "CUDAGraph Event ExternalStream Stream",
    "green_contexts": "GreenContext",
    "memory": """caching_allocator_alloc caching_allocator_delete caching_allocator_enable
        caching_allocator_disabled get_per_process_memory_fraction memory_stats_as_nested_dict
        reset_accumulated_memory_stats host_memory_stats host_memory_stats_as_nested_dict
        reset_accumulated_host_memory_stats reset_peak_host_memory_stats memory_snapshot list_gpu_processes
        get_allocator_backend CUDAPluggableAllocator change_current_allocator MemPool use_mem_pool""",
    "graphs": "graph graph_pool_handle is_current_stream_capturing make_graphed_callables",
    "_monitor": """clock_rate device_memory_used memory_usage power_draw temperature utilization
        cudaStatus cudart check_error current_blas_handle current_solver_handle
        get_stream_from_external get_sync_debug_mode set_sync_debug_mode""",
}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module("." + name, __name__)
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module("." + home, __name__), name)
    if name.endswith(("Tensor", "Storage")):
        from . import _old_types

        classes = _old_types.tensors(False) if name.endswith("Tensor") else _old_types.storages()
        if name in classes:
            globals().update(classes)
            return classes[name]
    raise AttributeError(f"module 'torch.cuda' has no attribute '{name}'")
