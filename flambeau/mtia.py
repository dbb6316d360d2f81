"""Meta's accelerators. Not supported: questions are answered as on a machine without one, others refuse."""

from __future__ import annotations

from typing import Any, NoReturn

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


def max_memory_allocated(device: Device = None) -> int:
    """The most bytes that tensors ever had."""
    return 0


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        return _refuse
    raise AttributeError(f"module 'torch.mtia' has no attribute '{name}'")
