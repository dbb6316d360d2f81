"""Checkpoints that all processes write and read together, each its parts."""

from __future__ import annotations

import importlib
from typing import Any

# name -> submodule
_HOMES = {
    "CheckpointException": "api",
    "DefaultLoadPlanner": "default_planner",
    "DefaultSavePlanner": "default_planner",
    "FileSystemReader": "filesystem",
    "FileSystemWriter": "filesystem",
    "async_save": "state_dict_saver",
    "load": "state_dict_loader",
    "load_state_dict": "state_dict_loader",
    "save": "state_dict_saver",
    "save_state_dict": "state_dict_saver",
}
_PARTS = (
    "api",
    "default_planner",
    "filesystem",
    "format_utils",
    "state_dict",
    "state_dict_loader",
    "state_dict_saver",
    "stateful",
)

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name in _PARTS:
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
