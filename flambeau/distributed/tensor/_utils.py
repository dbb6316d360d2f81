"""Which part of a tensor a process has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._redistribute import local_shape
from .placement_types import Placement

__all__ = ["compute_local_shape", "compute_local_shape_and_global_offset"]


def compute_local_shape_and_global_offset(
    global_shape: Sequence[int], mesh: Any, placements: Sequence[Placement]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the part of this process, and where it begins in the whole."""
    return local_shape(global_shape, mesh, placements)


def compute_local_shape(
    global_shape: Sequence[int], mesh: Any, placements: Sequence[Placement]
) -> tuple[int, ...]:
    """The shape of the part of this process."""
    return local_shape(global_shape, mesh, placements)[0]
