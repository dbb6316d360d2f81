"""The names of `flambeau.distributed` where PyTorch defines them."""

from __future__ import annotations

from typing import Any

from flambeau import distributed as _dist
from flambeau.distributed import *  # noqa: F403
from flambeau.distributed import (  # noqa: F401
    Backend,
    P2POp,
    batch_isend_irecv,
    default_pg_timeout,
    is_xccl_available,
    new_subgroups,
    new_subgroups_by_enumeration,
    recv_object_list,
    rendezvous,
    send_object_list,
)
from flambeau.distributed._more import _broadcast_coalesced  # noqa: F401


def _get_default_group() -> Any:
    """The group of all processes."""
    if not _dist.is_initialized():
        raise ValueError(_dist._NOT_STARTED)
    return _dist.group.WORLD


def _get_global_rank(group: Any, rank: int) -> int:
    """The global rank of a member of a group."""
    return _dist.get_global_rank(group, rank)


def _rank_not_in_group(group: Any) -> bool:
    """Whether this process is outside of a group."""
    return group is not None and group is _dist.GroupMember.NON_GROUP_MEMBER


def _get_process_group_name(group: Any) -> str:
    """The name of a group."""
    return group.group_name
