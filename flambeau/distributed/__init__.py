"""Several processes working together on CPU tensors, over TCP connections between them (the backend
"gloo").
"""

from __future__ import annotations

import datetime
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlparse

from . import _collectives
from ._collectives import (  # noqa: F401
    _NOT_STARTED,
    GroupMember,
    Known,
    Work,
    _all_gather_base,
    _check,
    _group,
    _place,
    _receiver,
    _reduce_scatter_base,
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    broadcast_object_list,
    gather,
    gather_object,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    irecv,
    isend,
    monitored_barrier,
    recv,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    scatter_object_list,
    send,
)  # fmt: skip
from ._methods import ProcessGroup
from .group import Mesh, RedOpType, ReduceOp, combine, from_bytes, pickled, to_bytes  # noqa: F401
from .store import FileStore, HashStore, PrefixStore, Store, TCPStore

for _shown in vars(_collectives).values():
    if getattr(_shown, "__module__", None) == _collectives.__name__:
        _shown.__module__ = __name__  # where users find it

default_pg_timeout = datetime.timedelta(seconds=1800)


def is_available() -> bool:
    """Whether this package works here."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return Known.world is not None


def is_gloo_available() -> bool:
    """Whether the backend "gloo" is there: it always is."""
    return True


def is_nccl_available() -> bool:
    """Whether the backend "nccl" is there."""
    return False


def is_mpi_available() -> bool:
    """Whether the backend "mpi" is there."""
    return False


is_ucc_available = is_xccl_available = is_mpi_available


def is_backend_available(backend: str) -> bool:
    """Whether the backend of that name is there."""
    return backend.lower() == "gloo"


def is_torchelastic_launched() -> bool:
    """Whether a launcher that restarts failed workers started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _own_handler(scheme: str) -> Callable | None:
    """What a program registered for addresses of this kind."""
    tools = sys.modules.get(f"{__name__}._tools")
    return None if tools is None else tools.rendezvous_handlers.get(scheme)


def _meeting_place(method: str, rank: int, size: int, timeout: datetime.timedelta) -> tuple[Store, int, int]:
    """The store of an init_method, and rank and size, which it may tell."""
    if method == "env://":
        values = {}
        for name, given in (("RANK", rank), ("WORLD_SIZE", size)):
            if given >= 0:
                values[name] = given
            elif name in os.environ:
                values[name] = int(os.environ[name])
            else:
                raise ValueError(
                    "Error initializing torch.distributed using env:// rendezvous: environment variable "
                    f"{name} expected, but not set"
                )
        for name in ("MASTER_ADDR", "MASTER_PORT"):
            if name not in os.environ:
                raise ValueError(
                    "Error initializing torch.distributed using env:// rendezvous: environment variable "
                    f"{name} expected, but not set"
                )
        rank, size = values["RANK"], values["WORLD_SIZE"]
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        return TCPStore(host, port, size, rank == 0, timeout, multi_tenant=True), rank, size
    url = urlparse(method)
    if (handler := _own_handler(url.scheme)) is not None:
        return next(iter(handler(method, timeout=timeout)))
    query = {key: int(values[0]) for key, values in parse_qs(url.query).items()}
    rank, size = query.get("rank", rank), query.get("world_size", size)
    if rank < 0 or size < 0:
        raise ValueError(
            f"Error initializing torch.distributed using {url.scheme}:// rendezvous: rank or world_size "
            f"missing"
        )
    if url.scheme == "tcp":
        store = TCPStore(url.hostname, url.port, size, rank == 0, timeout, multi_tenant=True)
        return store, rank, size
    if url.scheme == "file":
        return FileStore(url.path, size), rank, size
    raise RuntimeError(f"No rendezvous handler for {url.scheme}://")


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: datetime.timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Meet the other processes of the run.

    Parameters
    ----------
    backend : "gloo" (the default); others are not there yet.
    init_method : where to meet: "env://" (variables MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE),
        "tcp://host:port" or "file:///path".
    world_size, rank : the number of processes and the number of this one.
    store : in the place of `init_method`.
    """
    if Known.world is not None:
        raise ValueError("trying to initialize the default process group twice!")
    name, config = (backend or "gloo").lower(), None
    if backend is None or ":" in name:
        from ._backend_names import BackendConfig

        config = BackendConfig(backend or "undefined")
    if ":" in name:
        devices = config.get_device_backend_map()
        name = devices.get("cpu", next(iter(devices.values())))
    if name != "gloo":
        raise NotImplementedError(f'the backend "{backend}" is not there yet in flambeau: use "gloo"')
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    timeout = timeout or default_pg_timeout
    if store is None:
        store, rank, world_size = _meeting_place(init_method or "env://", rank, world_size, timeout)
    elif rank < 0 or world_size <= 0:
        raise AssertionError("rank and world_size are needed with a store")
    # Counted in the place where they meet: another process may have met others elsewhere before.
    meeting = store.add(f"mesh{group_name}/meetings/{rank}", 1)
    mesh = Mesh(PrefixStore(f"mesh{group_name}/{meeting}", store), rank, world_size, timeout)
    Known.world = ProcessGroup(mesh, range(world_size), group_name or "default_pg")
    Known.world.store = store
    Known.members[:] = [Known.world]
    if config is not None:
        Known.world.backend_config = str(config)


def rendezvous(url: str, rank: int = -1, world_size: int = -1, **kwargs: Any) -> Any:
    """The meeting places of an init_method, one after the other: (store, rank, number of processes)."""
    yield _meeting_place(url, rank, world_size, kwargs.get("timeout") or default_pg_timeout)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leave a group; without an argument, all of them."""
    if Known.world is None and group is None:
        raise AssertionError("Process group cannot be None")
    if group is None or group is Known.world:
        barrier()
        Known.world.mesh.close()
        Known.world, Known.made = None, 0
        Known.members.clear()
    elif group in Known.members:
        Known.members.remove(group)


def new_group(
    ranks: list[int] | None = None,
    timeout: Any = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
    sort_ranks: bool = True,
) -> Any:
    """A group of some processes; all processes call this, also those that are not in it."""
    world = _group(None)
    Known.made += 1
    members = list(range(world.size())) if ranks is None else (sorted(ranks) if sort_ranks else list(ranks))
    if any(not 0 <= member < world.size() for member in members):
        raise ValueError("The new group's rank should be within the world_size set by init_process_group")
    made = ProcessGroup(world.mesh, members, group_desc or f"group{Known.made}")
    if made.rank() < 0:
        return GroupMember.NON_GROUP_MEMBER
    Known.members.append(made)
    return made


# submodule -> names
_NAMES = {
    "_backend_names": "Backend BackendConfig",
    "_backends": """
        ProcessGroupGloo get_backend_config get_pg_count shrink_group split_group
    """,
    "_errors": """
        DebugLevel DistBackendError DistError DistNetworkError DistStoreError QueueEmptyError
        get_debug_level set_debug_level set_debug_level_from_env
    """,
    "_more": """
        P2POp _broadcast_coalesced all_gather_coalesced all_gather_single
        all_reduce_coalesced batch_isend_irecv get_default_backend_for_device new_subgroups
        new_subgroups_by_enumeration recv_object_list reduce_scatter_single send_object_list
    """,
    "_tools": "breakpoint record_comm reduce_op register_rendezvous_handler supports_complex",
    "device_mesh": "DeviceMesh init_device_mesh",
    "distributed_c10d": "_rank_not_in_group",
    "options": """
        AllToAllOptions AllreduceCoalescedOptions AllreduceOptions BarrierOptions BroadcastOptions
        GatherOptions ReduceOptions ReduceScatterOptions ScatterOptions
    """,
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    home = _HOMES.get(name)
    if home is not None:
        return getattr(importlib.import_module("." + home, __name__), name)
    try:
        return importlib.import_module("." + name, __name__)
    except ModuleNotFoundError as error:
        if error.name != __name__ + "." + name:
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None


__all__ = [
    "AllToAllOptions", "AllreduceCoalescedOptions", "AllreduceOptions", "Backend", "BackendConfig",
    "BarrierOptions", "BroadcastOptions", "DeviceMesh", "FileStore", "GatherOptions", "GroupMember",
    "HashStore", "P2POp", "PrefixStore", "ProcessGroup", "ProcessGroupGloo", "ReduceOp", "ReduceOptions",
    "ReduceScatterOptions", "ScatterOptions", "Store", "TCPStore", "Work", "all_gather",
    "all_gather_coalesced", "all_gather_into_tensor", "all_gather_object", "all_gather_single",
    "all_reduce", "all_to_all", "all_to_all_single", "barrier", "batch_isend_irecv",
    "broadcast", "broadcast_object_list", "destroy_process_group", "gather", "gather_object",
    "get_backend", "get_backend_config", "get_global_rank", "get_group_rank", "get_pg_count",
    "get_process_group_ranks", "get_rank", "get_world_size", "group", "init_device_mesh",
    "init_process_group", "irecv", "is_available", "is_backend_available", "is_gloo_available",
    "is_initialized", "is_mpi_available", "is_nccl_available", "isend", "monitored_barrier", "new_group",
    "new_subgroups", "new_subgroups_by_enumeration", "record_comm", "recv", "recv_object_list", "reduce",
    "reduce_op", "reduce_scatter", "reduce_scatter_single", "reduce_scatter_tensor",
    "register_rendezvous_handler", "scatter", "scatter_object_list", "send", "send_object_list",
    "shrink_group", "split_group", "supports_complex",
]  # fmt: skip
