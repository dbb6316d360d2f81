"""Questions about sizes, which are plain numbers here."""

from __future__ import annotations

from typing import Any

__all__ = ["guard_int", "guard_or_false", "guard_or_true", "guard_size_oblivious", "statically_known_true"]


def guard_or_false(a: Any) -> bool:
    """Whether it holds."""
    return bool(a)


guard_or_true = guard_size_oblivious = statically_known_true = guard_or_false


def guard_int(a: Any) -> int:
    """The number."""
    return int(a)
