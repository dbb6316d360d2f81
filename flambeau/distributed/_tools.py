"""Debugging one process of several, names of collectives in profiles, meeting places of one's own."""

from __future__ import annotations

import datetime
import pdb
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flambeau as fb
from flambeau import distributed as dist

from .group import RedOpType, ReduceOp

_skipped: dict[tuple[str, int], int] = {}
rendezvous_handlers: dict[str, Callable] = {}
_BUNDLED = ("tcp", "env", "file")


def breakpoint(rank: int = 0, skip: int = 0, timeout_s: float = 3600) -> None:
    """Stop in the debugger in one process; the others wait for it.

    Parameters
    ----------
    rank : of which process.
    skip : how many calls at this place go by first.
    timeout_s : how many seconds the others wait.
    """
    frame = sys._getframe(1)
    place = frame.f_code.co_filename, frame.f_lineno
    if skip > 0:
        _skipped[place] = _skipped.get(place, 0) + 1
        if _skipped[place] <= skip:
            return
    if dist.get_rank() == rank:
        debugger = pdb.Pdb()
        debugger.message(
            f"\n!!! ATTENTION !!!\n\nType 'up' to get to the frame that called dist.breakpoint(rank={rank})\n"
        )
        debugger.set_trace(frame)
    world = dist._group(None).mesh
    before, world.timeout = world.timeout, datetime.timedelta(seconds=timeout_s)
    try:
        dist.barrier()
    finally:
        world.timeout = before


@contextmanager
def record_comm(name: str) -> Iterator[None]:
    """Have the collectives of a block in a profile under a name of one's own.

    Parameters
    ----------
    name : the name.
    """
    with fb.profiler.record_function(name):
        yield


def register_rendezvous_handler(scheme: str, handler: Callable) -> None:
    """Add a kind of meeting place for `init_method`.

    Parameters
    ----------
    scheme : what such an address begins with, before ``://``.
    handler : called with the address, gives an iterator over (store, rank, number of processes).

    Raises
    ------
    RuntimeError : there is one already.
    """
    if scheme in _BUNDLED or scheme in rendezvous_handlers:
        raise RuntimeError(f"Rendezvous handler for {scheme}:// already registered")
    rendezvous_handlers[scheme] = handler


def supports_complex(reduceOp: RedOpType) -> bool:
    """Whether an operation reduces complex numbers: sums and means do."""
    return reduceOp in (ReduceOp.SUM, ReduceOp.AVG)


class _reduce_op:
    """Deprecated names of operations: `ReduceOp` has them."""

    def __init__(self) -> None:
        self.__members__ = {op.name: op for op in RedOpType}

    def __getattribute__(self, key: str) -> Any:
        members = object.__getattribute__(self, "__dict__").get("__members__", {})
        if key not in members:
            return object.__getattribute__(self, key)
        warnings.warn(
            "`torch.distributed.reduce_op` is deprecated, please use `torch.distributed.ReduceOp` instead",
            FutureWarning,
            stacklevel=2,
        )
        return members[key]


reduce_op = _reduce_op()
