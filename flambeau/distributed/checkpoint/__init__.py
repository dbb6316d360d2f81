"""Checkpoints that all processes write and read together, each its parts."""

from __future__ import annotations

from flambeau._lookup import lazy

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
__getattr__ = lazy(__name__, _HOMES, _PARTS)
