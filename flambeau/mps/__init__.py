"""Apple GPUs. Not supported: questions are answered as on a machine without one, the rest refuses."""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

from flambeau._no_device import (  # noqa: F401
    device_count,
    is_available,
)
from flambeau._refused import refusing

# public name -> the call that PyTorch's message names, and the parameters
_NEED_A_DEVICE = {
    "current_allocated_memory": ("getCurrentAllocatedMemory", ""),
    "driver_allocated_memory": ("getDriverAllocatedMemory", ""),
    "empty_cache": ("emptyCache", ""),
    "get_rng_state": ("getDefaultGenerator", "device="),
    "manual_seed": ("getDefaultGenerator", "seed"),
    "recommended_max_memory": ("getRecommendedMaxMemory", ""),
    "seed": ("getDefaultGenerator", ""),
    "set_per_process_memory_fraction": ("setMemoryFraction", "fraction"),
    "set_rng_state": ("getDefaultGenerator", "new_state device="),
    "synchronize": ("deviceSynchronize", ""),
}


def compile_shader(source: str) -> NoReturn:
    """Compile a program in Metal's language."""
    raise RuntimeError("MPS is not available")


def load_metallib(source: Any) -> NoReturn:
    """Load a compiled program in Metal's language.

    Parameters
    ----------
    source : its bytes, or the path of a file.
    """
    raise RuntimeError("MPS is not available")


def _no_mps(call: str) -> RuntimeError:
    return RuntimeError(
        f"Cannot execute {call}() without MPS backend.\nflambeau has no support for Apple GPUs; use the "
        "device 'cpu' (torch.mps.is_available() tells a program so)."
    )


def __getattr__(name: str) -> Any:
    if name in _NEED_A_DEVICE:
        call, parameters = _NEED_A_DEVICE[name]
        return refusing(name, parameters, lambda: _no_mps(call))
    if name in ("event", "profiler"):
        return importlib.import_module("." + name, __name__)
    if name == "Event":
        return importlib.import_module(".event", __name__).Event
    raise AttributeError(f"module 'torch.mps' has no attribute '{name}'")
