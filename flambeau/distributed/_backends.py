"""Which backend carries the tensors of which kind of device, and the group of the one backend there is."""

from __future__ import annotations

import datetime
from typing import Any

from flambeau import distributed as dist

from ._backend_names import BackendConfig
from ._collectives import Known
from ._methods import ProcessGroup
from .group import Mesh
from .store import PrefixStore, Store


def get_backend_config(group: ProcessGroup | None = None) -> str:
    """Which backend carries what in a group: ``"cpu:gloo,cuda:gloo"``.

    Parameters
    ----------
    group : the group, by default that of all processes.
    """
    members = dist._group(group)
    return str(getattr(members, "backend_config", None) or BackendConfig(members.name()))


def get_pg_count() -> int:
    """How many groups were made since `init_process_group`, that of all processes among them."""
    return Known.made + 1 if dist.is_initialized() else 0


class ProcessGroupGloo(ProcessGroup):
    """A group of processes that meet at a store, without `init_process_group`.

    Parameters
    ----------
    store : where they meet.
    rank, size : the number of this process, and of all.
    timeout : how long one waits for another.
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        timeout: datetime.timedelta = datetime.timedelta(seconds=1800),
    ) -> None:
        super().__init__(Mesh(PrefixStore("mesh", store), rank, size, timeout), range(size), "gloo")
        self.store = store

    def shutdown(self) -> None:
        """Close the connections."""
        self.mesh.close()


def split_group(
    parent_pg: ProcessGroup | None = None,
    split_ranks: list | None = None,
    timeout: datetime.timedelta | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
    backend: str | None = None,
) -> ProcessGroup | None:
    """The group of this process among those that a group is split into; all processes of that call this.

    Parameters
    ----------
    parent_pg : what is split, by default the group of all processes.
    split_ranks : ranks of `parent_pg` for each new group.
    group_desc : the name of the new groups.

    Returns
    -------
    ProcessGroup or None : None where this process is in none of them.
    """
    parent = dist._group(parent_pg)
    if not split_ranks:
        raise ValueError("split_ranks cannot be None or empty")
    everyone = [rank for ranks in split_ranks for rank in ranks]
    if len(everyone) > parent.size():
        raise ValueError(f"The ranks {everyone} are more than the {parent.size()} of the group")
    if len(everyone) != len(set(everyone)):
        raise ValueError("the split group cannot have duplicate ranks")
    if any(not 0 <= rank < parent.size() for rank in everyone):
        raise ValueError(f"ranks of the group are 0 to {parent.size() - 1}, not {everyone}")
    Known.made += len(split_ranks)
    for number, ranks in enumerate(split_ranks):
        if parent.rank() in ranks:
            name = group_desc or f"{parent.group_name}:split{Known.made}:{number}"
            made = ProcessGroup(parent.mesh, [parent.ranks[rank] for rank in sorted(ranks)], name)
            made.backend_config = getattr(parent, "backend_config", None)
            return made
    return None


def shrink_group(
    ranks_to_exclude: list[int],
    group: ProcessGroup | None = None,
    shrink_flags: int = 0,
    pg_options: Any = None,
) -> ProcessGroup:
    """Leave processes out of a group: what NCCL can and "gloo" cannot, so that it raises.

    Parameters
    ----------
    ranks_to_exclude : ranks of the group.
    group : by default that of all processes.

    Raises
    ------
    TypeError : the backend of the group cannot do it.
    """
    if not ranks_to_exclude:
        raise ValueError(
            "ranks_to_exclude cannot be empty. To shrink a group, you must specify at least one rank to "
            "exclude. Example: [failed_rank_id]"
        )
    members = dist._group(group)
    if members.size() < 2:
        raise ValueError(
            f"Cannot shrink a process group with size {members.size()}. Group must have at least 2 ranks to "
            "support shrinking."
        )
    raise TypeError(
        f"Process group backend for '{members.group_name}' does not support shrinking operations."
    )
