"""Meta's accelerators. Not supported: questions are answered as on a machine without one, others refuse."""

from __future__ import annotations

from typing import Any, NoReturn

Device = Any
default_generators: tuple = ()
_NEED_A_DEVICE = frozenset(
    """
    Event MTIAGraph Stream StreamContext attach_out_of_memory_observer current_device current_stream
    default_stream get_device_capability get_device_properties get_rng_state graph graph_pool_handle init
    initial_seed record_memory_history set_device set_rng_state set_rng_state_all set_stream snapshot stream
    synchronize device seed seed_all
    """.split()
)


class DeferredMtiaCallError(Exception):
    """A call that waited for the device failed."""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError(
        "Torch not compiled with MTIA enabled. Ensure you have `import mtia.host_runtime.torch_mtia` in your "
        "python src file and include `//mtia/host_runtime/torch_mtia:torch_mtia` as your target dependency!\n"
        "flambeau has no support for these devices; use the device 'cpu'."
    )


def is_available() -> bool:
    """Whether there is a usable device."""
    return False


def device_count() -> int:
    """The number of devices."""
    return 0


def is_initialized() -> bool:
    """Whether such a device was used in this process."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes with bfloat16."""
    return False


def empty_cache() -> None:
    """Give unused memory back; nothing to do without a device."""


def memory_allocated(device: Device = None) -> int:
    """The bytes in tensors."""
    return 0


def max_memory_allocated(device: Device = None) -> int:
    """The most bytes that tensors ever had."""
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


def get_rng_state_all() -> list:
    """The states of all devices' generators."""
    return []


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        return _refuse
    raise AttributeError(f"module 'torch.mtia' has no attribute '{name}'")
