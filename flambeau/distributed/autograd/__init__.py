"""Gradients across remote procedure calls: not there, as there are no such calls (``distributed.rpc``)."""

from __future__ import annotations

from typing import Any

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether gradients across remote procedure calls work here: they do not."""
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'torch.distributed.autograd' has no attribute '{name}'\n"
        "flambeau has no remote procedure calls"
    )
