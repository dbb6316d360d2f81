"""Calls of functions in other processes: not there."""

from __future__ import annotations

from typing import Any

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether remote procedure calls work here: they do not."""
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'torch.distributed.rpc' has no attribute '{name}'\nflambeau has no remote procedure calls"
    )
