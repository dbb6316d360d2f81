"""What goes wrong between processes, and how closely it is watched."""

from __future__ import annotations

import enum
import os

__all__ = [
    "DebugLevel", "DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "QueueEmptyError",
    "get_debug_level", "set_debug_level", "set_debug_level_from_env",
]  # fmt: skip


class DistError(RuntimeError):
    """Something went wrong between processes."""


class DistBackendError(DistError):
    """An operation of a backend failed."""


class DistNetworkError(DistError):
    """A connection could not be made, or was lost."""


class DistStoreError(DistError):
    """A key did not come in time."""


class QueueEmptyError(DistStoreError):
    """Nothing is waiting in a queue of a store."""


class DebugLevel(enum.Enum):
    """How closely operations between processes are watched; flambeau keeps the level and no records."""

    OFF = 0
    INFO = 1
    DETAIL = 2

    def __str__(self) -> str:
        return f"DebugLevel.{self.name}"


_level = DebugLevel.OFF


def get_debug_level() -> DebugLevel:
    """The level that is set."""
    return _level


def set_debug_level(level: DebugLevel) -> None:
    """Set the level."""
    global _level
    if not isinstance(level, DebugLevel):
        raise TypeError(
            "set_debug_level(): incompatible function arguments. The following argument types are supported:"
            f"\n    1. (arg0: DebugLevel) -> None\n\nInvoked with: {level!r}"
        )
    _level = level


def set_debug_level_from_env() -> None:
    """Set the level that the environment's ``TORCH_DISTRIBUTED_DEBUG`` names."""
    name = os.environ.get("TORCH_DISTRIBUTED_DEBUG", "OFF").upper()
    if name not in DebugLevel.__members__:
        raise ValueError("The value of TORCH_DISTRIBUTED_DEBUG must be OFF, INFO, or DETAIL.")
    set_debug_level(DebugLevel[name])
