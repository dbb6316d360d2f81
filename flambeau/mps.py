"""Apple GPUs. Not supported: questions are answered as on a machine without one, the rest refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

# public name -> the call that PyTorch's message names
_NEED_A_DEVICE = {
    "current_allocated_memory": "getCurrentAllocatedMemory",
    "driver_allocated_memory": "getDriverAllocatedMemory",
    "empty_cache": "emptyCache",
    "get_rng_state": "getDefaultGenerator",
    "manual_seed": "getDefaultGenerator",
    "recommended_max_memory": "getRecommendedMaxMemory",
    "seed": "getDefaultGenerator",
    "set_per_process_memory_fraction": "setMemoryFraction",
    "set_rng_state": "getDefaultGenerator",
    "synchronize": "deviceSynchronize",
}


def is_available() -> bool:
    """Whether there is a usable Apple GPU."""
    return False


def device_count() -> int:
    """The number of Apple GPUs."""
    return 0


def compile_shader(source: str) -> NoReturn:
    """Compile a program in Metal's language."""
    raise RuntimeError("MPS is not available")


def _refusal(call: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(
            f"Cannot execute {call}() without MPS backend.\nflambeau has no support for Apple GPUs; use the "
            "device 'cpu' (torch.mps.is_available() tells a program so)."
        )

    return refuse


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        return _refusal(_NEED_A_DEVICE[name])
    raise AttributeError(f"module 'torch.mps' has no attribute '{name}'")
