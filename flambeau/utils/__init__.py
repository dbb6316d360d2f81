"""Utilities around training: data loading, hooks, checkpointing. Every submodule is loaded when it is first
used.
"""

from __future__ import annotations

import importlib
from typing import Any

# name -> submodule
_HOMES = {
    "ThroughputBenchmark": "throughput_benchmark",
    "get_cpp_backtrace": "cpp_backtrace",
    "rename_privateuse1_backend": "backend_registration",
    "generate_methods_for_privateuse1_backend": "backend_registration",
    "swap_tensors": "_swap",
}


def set_module(obj: Any, mod: str) -> None:
    """Set the module that an object says it is from."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "cmake_prefix_path":
        raise AttributeError(
            "module 'torch.utils' has no attribute 'cmake_prefix_path'\n"
            "flambeau has no C++ headers and no CMake package of PyTorch to build against"
        )
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    try:
        return importlib.import_module("." + name, __name__)
    except ModuleNotFoundError as error:
        if error.name != __name__ + "." + name:
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None
