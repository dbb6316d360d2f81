"""What the methods of a process group take beside tensors."""

from __future__ import annotations

import datetime
from typing import Any

from .group import RedOpType, ReduceOp

__all__ = [
    "AllToAllOptions",
    "AllgatherOptions",
    "AllreduceCoalescedOptions",
    "AllreduceOptions",
    "BarrierOptions",
    "BroadcastOptions",
    "GatherOptions",
    "ReduceOptions",
    "ReduceScatterOptions",
    "ScatterOptions",
]


class _Options:
    """Attributes that can be set; `timeout` below zero is that of the group."""

    timeout: datetime.timedelta = datetime.timedelta(milliseconds=-1)
    asyncOp: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        names = [n for n in dir(type(self)) if not n.startswith("_")]
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"


class _Reducing(_Options):
    reduceOp: RedOpType = ReduceOp.SUM


class _Rooted(_Options):
    rootRank: int = 0


class AllToAllOptions(_Options):
    """Of `ProcessGroup.alltoall`."""


class AllgatherOptions(_Options):
    """Of `ProcessGroup.allgather`."""


class AllreduceOptions(_Reducing):
    """Of `ProcessGroup.allreduce`: how tensors become one."""


class AllreduceCoalescedOptions(AllreduceOptions):
    """Of `ProcessGroup.allreduce_coalesced`."""


class BarrierOptions(_Options):
    """Of `ProcessGroup.barrier`."""

    device_ids: list[int] | None = None
    device: Any = None

    def __init__(self) -> None:
        self.device_ids = []


class BroadcastOptions(_Rooted):
    """Of `ProcessGroup.broadcast`: whose tensor it is, and which one of its list."""

    rootTensor: int = 0


class GatherOptions(_Rooted):
    """Of `ProcessGroup.gather`: who gets the tensors."""


class ReduceOptions(_Rooted, _Reducing):
    """Of `ProcessGroup.reduce`: who gets the result, of which tensor of the list, and how it is made."""

    rootTensor: int = 0


class ReduceScatterOptions(_Reducing):
    """Of `ProcessGroup.reduce_scatter`: how tensors become one."""


class ScatterOptions(_Rooted):
    """Of `ProcessGroup.scatter`: whose tensors they are."""
