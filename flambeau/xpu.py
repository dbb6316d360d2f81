"""Intel GPUs. Not supported: questions are answered as on a machine without one, the rest refuses."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau as fb

Device = Any
default_generators: tuple = ()
_NEED_A_DEVICE = frozenset(
    """
    Event Stream StreamContext XPUGraph can_device_access_peer clock_rate current_device current_stream
    device_memory_used get_device_capability get_device_name get_device_properties
    get_per_process_memory_fraction get_rng_state get_stream_from_external init initial_seed
    max_memory_allocated max_memory_reserved mem_get_info memory_usage power_draw
    reset_accumulated_memory_stats reset_peak_memory_stats set_device set_per_process_memory_fraction
    set_rng_state set_stream synchronize temperature utilization
    """.split()
)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError(
        "Torch not compiled with XPU enabled\nflambeau has no support for Intel GPUs; use the device 'cpu' "
        "(torch.xpu.is_available() tells a program so)."
    )


def is_available() -> bool:
    """Whether there is a usable Intel GPU."""
    return False


def device_count() -> int:
    """The number of Intel GPUs."""
    return 0


def is_initialized() -> bool:
    """Whether such a device was used in this process."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes with bfloat16."""
    return False


def is_tf32_supported() -> bool:
    """Whether the device computes with TF32."""
    return False


def get_arch_list() -> list[str]:
    """The architectures that there are kernels for."""
    return []


def empty_cache() -> None:
    """Give unused memory back; nothing to do without a device."""


def memory_allocated(device: Device = None) -> int:
    """The bytes in tensors."""
    return 0


def memory_reserved(device: Device = None) -> int:
    """The bytes held for tensors."""
    return 0


def memory_stats(device: Device = None) -> dict[str, Any]:
    """Statistics of the allocator."""
    return {}


def manual_seed(seed: int) -> None:
    """Seed the generator of the current device; nothing to do without one."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices; nothing to do without one."""
    int(seed)


def get_rng_state_all() -> list[fb.Tensor]:
    """The states of all devices' generators."""
    return []


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        return _refuse
    raise AttributeError(f"module 'torch.xpu' has no attribute '{name}'")
