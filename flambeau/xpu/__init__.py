"""Intel GPUs. Not supported: questions are answered as on a machine without one, the rest refuses."""

from __future__ import annotations

import importlib
from typing import Any

from flambeau._no_device import (  # noqa: F401
    Device,
    device_count,
    empty_cache,
    get_rng_state_all,
    is_available,
    is_bf16_supported,
    is_initialized,
    manual_seed,
    manual_seed_all,
    memory_allocated,
    memory_stats,
)
from flambeau._refused import refusing, table

default_generators: tuple = ()
_NEED_A_DEVICE = table("""
    Event enable_timing=
    Stream device= priority=0 **kwargs
    XPUGraph keep_graph=
    can_device_access_peer device peer
    clock_rate device=
    current_device
    current_stream device=
    device_memory_used device=
    get_device_capability device=
    get_device_name device=
    get_device_properties device=
    get_per_process_memory_fraction device=
    get_rng_state device=
    get_stream_from_external data_ptr device=
    init
    initial_seed
    max_memory_allocated device=
    max_memory_reserved device=
    mem_get_info device=
    memory_usage device=
    power_draw device=
    reset_accumulated_memory_stats device=
    reset_peak_memory_stats device=
    set_device device
    set_per_process_memory_fraction fraction device=
    set_rng_state new_state device=
    set_stream stream
    synchronize device=
    temperature device=
    utilization device=
""")
# name -> submodule
_HOMES = {
    **dict.fromkeys(
        ("graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables"), "graphs"),
    **dict.fromkeys(
        ("MemPool", "XPUPluggableAllocator", "change_current_allocator", "memory_snapshot",
         "memory_stats_as_nested_dict", "use_mem_pool"), "memory"),
    **dict.fromkeys(("seed", "seed_all", "set_rng_state_all"), "random"),
}  # fmt: skip
_PARTS = ("graphs", "memory", "random", "streams")


def _no_xpu() -> Exception:
    return AssertionError(
        "Torch not compiled with XPU enabled\nflambeau has no support for Intel GPUs; use the device 'cpu' "
        "(torch.xpu.is_available() tells a program so)."
    )


def is_tf32_supported() -> bool:
    """Whether the device computes with TF32."""
    return False


def get_arch_list() -> list[str]:
    """The architectures that there are kernels for."""
    return []


def memory_reserved(device: Device = None) -> int:
    """The bytes held for tensors."""
    return 0


def get_gencode_flags() -> str:
    """The architectures that this build has kernels for, as the compiler's flags."""
    return ""


class device:
    """Context manager: which device is the current one; there is none.

    Parameters
    ----------
    device : a number, or a device.
    """

    def __init__(self, device: Device) -> None:
        self.idx = device

    def __enter__(self) -> None:
        raise NotImplementedError("PyTorch was compiled without XPU support")

    def __exit__(self, *error: object) -> bool:
        return False


class device_of(device):
    """Context manager: the device of a tensor is the current one; there is none.

    Parameters
    ----------
    obj : a tensor or a storage.
    """

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if getattr(obj, "is_xpu", False) else -1)


class StreamContext:
    """Context manager: which stream is the current one.

    Parameters
    ----------
    stream : a stream; None changes nothing.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            raise _no_xpu()

    def __exit__(self, *error: object) -> None:
        """There is nothing to undo."""


def stream(stream: Any) -> StreamContext:
    """Context manager: which stream is the current one.

    Parameters
    ----------
    stream : a stream; None changes nothing.
    """
    return StreamContext(stream)


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        return refusing(name, _NEED_A_DEVICE[name], _no_xpu)
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name in _PARTS:
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module 'torch.xpu' has no attribute '{name}'")
