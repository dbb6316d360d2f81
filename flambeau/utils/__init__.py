"""Utilities around training: data loading, hooks, checkpointing. Every submodule is loaded when it is first
used.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return importlib.import_module("." + name, __name__)
    except ModuleNotFoundError as error:
        if error.name != __name__ + "." + name:
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None
