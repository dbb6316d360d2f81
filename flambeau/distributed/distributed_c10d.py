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
from flambeau.distributed._collectives import Known
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


class _World:
    """What is known of the groups that this process is in; it can be looked at, not changed."""

    @property
    def default_pg(self) -> Any:
        """The group of all processes, None where there is none yet."""
        return _dist.group.WORLD if _dist.is_initialized() else None

    _default_pg = default_pg

    @property
    def pg_map(self) -> dict[Any, tuple[str, Any]]:
        """Groups to the name of their backend and the store that they met in."""
        return {g: (_dist.get_backend(g), getattr(g, "store", None)) for g in Known.members}

    @property
    def pg_names(self) -> dict[Any, str]:
        """Groups to their names."""
        return {g: g.group_name for g in Known.members}

    @property
    def pg_group_ranks(self) -> dict[Any, dict[int, int]]:
        """Groups to global ranks and the ranks that those have there."""
        return {g: {rank: k for k, rank in enumerate(g.ranks)} for g in Known.members}

    @property
    def pg_backend_config(self) -> dict[Any, str]:
        """Groups to what was said of their backends."""
        return {g: str(getattr(g, "backend_config", _dist.get_backend(g))) for g in Known.members}

    @property
    def group_count(self) -> int:
        """How many groups were made besides that of all processes."""
        return Known.made


_world = _World()


def __getattr__(name: str) -> Any:
    if name == "_pg_map":
        return _world.pg_map
    if name in ("_pickler", "_unpickler"):
        import pickle

        return pickle.Pickler if name == "_pickler" else pickle.Unpickler
    raise AttributeError(f"module 'torch.distributed.distributed_c10d' has no attribute '{name}'")
