"""Collectives between the GPUs of a process. There is no GPU, and NCCL is not here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from . import _refuse

__all__ = ["all_reduce", "reduce", "broadcast", "all_gather", "reduce_scatter"]

SUM = 0


def is_available(tensors: Any) -> bool:
    """Whether NCCL can work on these tensors: it is not here."""
    warnings.warn("PyTorch is not compiled with NCCL support", stacklevel=2)
    return False


def version() -> tuple[int, ...]:
    """The version of NCCL."""
    return _refuse()


def unique_id() -> bytes:
    """A name for a new group."""
    return _refuse()


def init_rank(num_ranks: int, uid: bytes, rank: int) -> Any:
    """Join a group."""
    return _refuse()


def all_reduce(
    inputs: Any, outputs: Any = None, op: int = SUM, streams: Any = None, comms: Any = None
) -> None:
    """Sum tensors of all devices, for all."""
    _refuse()


def reduce(
    inputs: Sequence, output: Any = None, root: int = 0, op: int = SUM, streams: Any = None,
    comms: Any = None, *, outputs: Any = None,
) -> None:  # fmt: skip
    """Sum tensors of all devices, for one."""
    _refuse()


def broadcast(inputs: Sequence, root: int = 0, streams: Any = None, comms: Any = None) -> None:
    """Copy a tensor to all devices."""
    _refuse()


def all_gather(inputs: Sequence, outputs: Sequence, streams: Any = None, comms: Any = None) -> None:
    """Collect the tensors of all devices, for all."""
    _refuse()


def reduce_scatter(
    inputs: Sequence, outputs: Sequence, op: int = SUM, streams: Any = None, comms: Any = None
) -> None:
    """Sum tensors of all devices, a part for each."""
    _refuse()
