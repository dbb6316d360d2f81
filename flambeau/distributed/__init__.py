"""Several processes working together on CPU tensors, over TCP connections between them (the backend
"gloo").
"""

from __future__ import annotations

import datetime
import functools
import importlib
import inspect
import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlparse

import flambeau as fb

from .group import Mesh, ProcessGroup, RedOpType, ReduceOp, combine, from_bytes, pickled, to_bytes
from .store import FileStore, HashStore, PrefixStore, Store, TCPStore

default_pg_timeout = datetime.timedelta(seconds=1800)
_NOT_STARTED = "Default process group has not been initialized, please make sure to call init_process_group."
_world: ProcessGroup | None = None
_groups = 0
_members: list[ProcessGroup] = []  # the groups that this process is in


class _GroupNames(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        return _world


class GroupMember(metaclass=_GroupNames):
    """What `new_group` gives to processes that are not in the group; ``GroupMember.WORLD`` is all of them."""

    NON_GROUP_MEMBER = object()


class group(metaclass=_GroupNames):
    """``group.WORLD`` is the group of all processes."""


class Work:
    """An operation under way; here operations are done when they return."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def wait(self, timeout: datetime.timedelta | None = None) -> bool:
        """Wait until it is done; True."""
        return True

    def is_completed(self) -> bool:
        """Whether it is done."""
        return True

    def is_success(self) -> bool:
        """Whether it was done without an error."""
        return True

    def exception(self) -> BaseException | None:
        """The error that ended it: none, errors are raised at once."""
        return None

    def result(self) -> list:
        """The tensors it made."""
        return [] if self.value is None else self.value

    def get_future(self) -> Any:
        """A future of its result."""
        from flambeau.futures import Future

        future = Future()
        future.set_result(self.result())
        return future

    def source_rank(self) -> int:
        """The rank of the process that a message came from."""
        return self.value


def is_available() -> bool:
    """Whether this package works here."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return _world is not None


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
    global _world
    if _world is not None:
        raise ValueError("trying to initialize the default process group twice!")
    name, config = (backend or "gloo").lower(), None
    if backend is None or ":" in name:
        from ._backends import BackendConfig

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
    _world = ProcessGroup(mesh, range(world_size), group_name or "default_pg")
    _world.store = store
    _members[:] = [_world]
    if config is not None:
        _world.backend_config = str(config)


def rendezvous(url: str, rank: int = -1, world_size: int = -1, **kwargs: Any) -> Any:
    """The meeting places of an init_method, one after the other: (store, rank, number of processes)."""
    yield _meeting_place(url, rank, world_size, kwargs.get("timeout") or default_pg_timeout)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leave a group; without an argument, all of them."""
    global _world, _groups
    if _world is None and group is None:
        raise AssertionError("Process group cannot be None")
    if group is None or group is _world:
        barrier()
        _world.mesh.close()
        _world, _groups = None, 0
        _members.clear()
    elif group in _members:
        _members.remove(group)


def _group(given: Any) -> ProcessGroup:
    if given is GroupMember.NON_GROUP_MEMBER:
        raise ValueError("this process is not in the group")
    if given is None and _world is None:
        raise ValueError(_NOT_STARTED)
    return given or _world


def get_rank(group: ProcessGroup | None = None) -> int:
    """The number of this process."""
    return -1 if group is GroupMember.NON_GROUP_MEMBER else _group(group).rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """The number of processes."""
    return -1 if group is GroupMember.NON_GROUP_MEMBER else _group(group).size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """The name of what carries the data."""
    return _group(group).name()


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The global ranks of a group."""
    return list(_group(group).ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The global rank of a member."""
    return group.ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank in a group of a process."""
    if global_rank not in group.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return group.ranks.index(global_rank)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """The number of this process on its machine."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is not None:
        return int(fallback_rank)
    raise RuntimeError(
        "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` "
        "to work, assuming you are not running in a multi-device context and want the code to run locally "
        "instead."
    )


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
    global _groups
    world = _group(None)
    _groups += 1
    members = list(range(world.size())) if ranks is None else (sorted(ranks) if sort_ranks else list(ranks))
    if any(not 0 <= member < world.size() for member in members):
        raise ValueError("The new group's rank should be within the world_size set by init_process_group")
    made = ProcessGroup(world.mesh, members, group_desc or f"group{_groups}")
    if made.rank() < 0:
        return GroupMember.NON_GROUP_MEMBER
    _members.append(made)
    return made


def _check(tensor: Any, name: str = "tensor") -> None:
    if not isinstance(tensor, fb.Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(tensor)} instead."
        )


def _place(members: ProcessGroup, global_rank: int | None, group_rank: int | None, what: str) -> int:
    """The rank in the group of a process given in one way or the other."""
    if (global_rank is None) == (group_rank is None):
        raise ValueError(f"Must specify either {what} or group_{what}")
    if group_rank is not None:
        return group_rank
    if global_rank not in members.ranks:
        raise RuntimeError(f"ProcessGroupGloo: invalid root rank: {global_rank}")
    return members.ranks.index(global_rank)


def _collective(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without gradients; gives a `Work` when it was asked for, and nothing to processes outside the group."""

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    place = list(signature.parameters).index("group") + 1  # where PyTorch has `async_op`
    option = inspect.Parameter(
        "async_op", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation="bool"
    )

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place:
            args, kwargs = (*args[:place], *args[place + 1 :]), {**kwargs, "async_op": args[place]}
        async_op = kwargs.pop("async_op", False)
        group = args[place - 1] if len(args) >= place else kwargs.get("group")
        if group is GroupMember.NON_GROUP_MEMBER:
            return None
        with fb.no_grad():
            function(*args, **kwargs)
        return Work([args[0]] if args and isinstance(args[0], fb.Tensor) else None) if async_op else None

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*parameters[:place], option, *parameters[place:]]
    )
    return run


@_collective
def all_reduce(tensor: fb.Tensor, op: RedOpType = ReduceOp.SUM, group: Any = None) -> None:
    """Put the sum (or `op`) of the tensors of all processes into each of them."""
    _check(tensor)
    members = _group(group)
    if members.size() > 1:
        tensor.copy_(combine(members.gather_tensors(tensor), op))


@_collective
def reduce(
    tensor: fb.Tensor,
    dst: int | None = None,
    op: RedOpType = ReduceOp.SUM,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """Put the sum (or `op`) of all tensors into that of process `dst`."""
    _check(tensor)
    members = _group(group)
    target = _place(members, dst, group_dst, "dst")
    outgoing = [to_bytes(tensor) if k == target else b"" for k in range(members.size())]
    incoming = members.exchange(outgoing)
    if members.rank() == target and members.size() > 1:
        parts = [tensor if k == target else from_bytes(data, tensor) for k, data in enumerate(incoming)]
        tensor.copy_(combine(parts, op))


@_collective
def broadcast(
    tensor: fb.Tensor, src: int | None = None, group: Any = None, group_src: int | None = None
) -> None:
    """Copy the tensor of process `src` to all."""
    _check(tensor)
    members = _group(group)
    source = _place(members, src, group_src, "src")
    data = members.spread(to_bytes(tensor) if members.rank() == source else None, source)
    if members.rank() != source:
        tensor.copy_(from_bytes(data, tensor))


@_collective
def all_gather(tensor_list: list[fb.Tensor], tensor: fb.Tensor, group: Any = None) -> None:
    """Put the tensors of all processes into a list, in all processes."""
    _check(tensor)
    for out, data in zip(tensor_list, _group(group).gather_bytes(to_bytes(tensor)), strict=True):
        out.copy_(from_bytes(data, out))


@_collective
def all_gather_into_tensor(output_tensor: fb.Tensor, input_tensor: fb.Tensor, group: Any = None) -> None:
    """Put the tensors of all processes one after the other into one."""
    parts = _group(group).gather_tensors(input_tensor)
    output_tensor.copy_(fb.cat([part.reshape(-1) for part in parts]).reshape(output_tensor.shape))


@_collective
def gather(
    tensor: fb.Tensor,
    gather_list: list[fb.Tensor] | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """Put the tensors of all processes into a list in process `dst` (default 0)."""
    members = _group(group)
    target = _place(members, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    incoming = members.exchange([to_bytes(tensor) if k == target else b"" for k in range(members.size())])
    if members.rank() == target:
        for k, out in enumerate(gather_list):
            out.copy_(tensor if k == target else from_bytes(incoming[k], out))


@_collective
def scatter(
    tensor: fb.Tensor,
    scatter_list: list[fb.Tensor] | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """Give each process one of the tensors of process `src` (default 0)."""
    members = _group(group)
    source = _place(members, 0 if src is None and group_src is None else src, group_src, "src")
    mine = members.rank() == source
    incoming = members.exchange([to_bytes(part) for part in scatter_list] if mine else [b""] * members.size())
    tensor.copy_(scatter_list[source] if mine else from_bytes(incoming[source], tensor))


@_collective
def reduce_scatter(
    output: fb.Tensor, input_list: list[fb.Tensor], op: RedOpType = ReduceOp.SUM, group: Any = None
) -> None:
    """Element k of the lists of all processes, reduced, for process k."""
    members = _group(group)
    incoming = members.exchange([to_bytes(part) for part in input_list])
    mine = members.rank()
    parts = [input_list[mine] if k == mine else from_bytes(data, output) for k, data in enumerate(incoming)]
    output.copy_(combine(parts, op))


@_collective
def reduce_scatter_tensor(
    output: fb.Tensor, input: fb.Tensor, op: RedOpType = ReduceOp.SUM, group: Any = None
) -> None:
    """`reduce_scatter` of equal parts of one tensor."""
    parts = [part.reshape(output.shape) for part in input.reshape(-1).chunk(_group(group).size())]
    reduce_scatter(output, parts, op, group=group)


@_collective
def all_to_all(
    output_tensor_list: list[fb.Tensor], input_tensor_list: list[fb.Tensor], group: Any = None
) -> None:
    """Give process k element k of a list, and take element k of the other list from it."""
    members = _group(group)
    incoming = members.exchange([to_bytes(part) for part in input_tensor_list])
    for k, out in enumerate(output_tensor_list):
        out.copy_(input_tensor_list[k] if k == members.rank() else from_bytes(incoming[k], out))


@_collective
def all_to_all_single(
    output: fb.Tensor,
    input: fb.Tensor,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: Any = None,
) -> None:
    """`all_to_all` of parts of one tensor, split along its first dimension."""
    size = _group(group).size()
    outputs = output.split(output_split_sizes or output.size(0) // size)
    all_to_all(list(outputs), list(input.split(input_split_sizes or input.size(0) // size)), group=group)


@_collective
def barrier(group: Any = None, device_ids: Any = None, timeout: Any = None) -> None:
    """Wait until all processes are here."""
    _group(group).gather_bytes(b"")


def monitored_barrier(
    group: Any = None, timeout: datetime.timedelta | None = None, wait_all_ranks: bool = False
) -> None:
    """Wait until all processes are here; RuntimeError naming those (or the first) that did not come."""
    if group is GroupMember.NON_GROUP_MEMBER:
        return
    members = _group(group)
    first, others = members.ranks[0], members.ranks[1:]
    patience = timeout or members.mesh.timeout
    if members.rank() != 0:
        members.mesh.send(first, b"", -3)
        members.mesh.receive(first, -3, patience)
        return
    end = time.monotonic() + patience.total_seconds()
    missing = []
    for peer in others:
        left = datetime.timedelta(seconds=max(end - time.monotonic(), 0.001))
        try:
            members.mesh.receive(peer, -3, left)
        except RuntimeError:
            missing.append(peer)
            if not wait_all_ranks:
                break
    if missing:
        text = f"{'Ranks' if wait_all_ranks else 'Rank'} {', '.join(map(str, missing))}"
        took = round(patience.total_seconds() * 1000)
        raise RuntimeError(f"{text} failed to pass monitoredBarrier in {took} ms")
    for peer in others:
        members.mesh.send(peer, b"", -3)


# one to one


def _receiver(members: ProcessGroup, dst: int | None, group_dst: int | None) -> int:
    """The global rank of another process."""
    peer = members.ranks[_place(members, dst, group_dst, "dst")]
    if peer == members.mesh.rank:
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the current "
            "process."
        )
    return peer


def send(
    tensor: fb.Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> None:
    """Send a tensor to a process."""
    _check(tensor)
    members = _group(group)
    members.mesh.send(_receiver(members, dst, group_dst), to_bytes(tensor), tag)


def recv(
    tensor: fb.Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> int:
    """Receive a tensor from a process, or from any; returns which."""
    _check(tensor)
    members = _group(group)
    if src is None and group_src is None:
        others = [rank for rank in members.ranks if rank != members.mesh.rank]
        peer, data = members.mesh.receive_any(others, tag)
    else:
        peer = members.ranks[_place(members, src, group_src, "src")]
        data = members.mesh.receive(peer, tag)
    with fb.no_grad():
        tensor.copy_(from_bytes(data, tensor))
    return peer


def isend(
    tensor: fb.Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> Work:
    """`send` that does not wait for the other; the tensor must not change until its `Work` is done."""
    _check(tensor)
    members = _group(group)
    peer = _receiver(members, dst, group_dst)
    return _Sending(members.mesh.begin_to_send(peer, to_bytes(tensor), tag))


class _Sending(Work):
    """A send that may be under way."""

    def __init__(self, future: Any) -> None:
        super().__init__()
        self.future = future

    def wait(self, timeout: datetime.timedelta | None = None) -> bool:
        if self.future is not None:
            self.future.result(None if timeout is None else timeout.total_seconds())
        return True

    def is_completed(self) -> bool:
        return self.future is None or self.future.done()


class _Receiving(Work):
    """A receive that is done when it is waited for."""

    def __init__(self, receive: Callable[[], int]) -> None:
        super().__init__()
        self.receive: Callable[[], int] | None = receive

    def wait(self, timeout: datetime.timedelta | None = None) -> bool:
        if self.receive is not None:
            self.value, self.receive = self.receive(), None
        return True

    def is_completed(self) -> bool:
        return self.receive is None


def irecv(
    tensor: fb.Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> Work:
    """`recv` that happens when its `Work` is waited for."""
    return _Receiving(lambda: recv(tensor, src, group, tag, group_src))


# objects


def all_gather_object(object_list: list, obj: Any, group: Any = None) -> None:
    """Put the objects of all processes into a list."""
    object_list[:] = [pickle.loads(data) for data in _group(group).gather_bytes(pickled(obj))]


def broadcast_object_list(
    object_list: list,
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Replace the objects of a list by those of process `src` (default 0)."""
    members = _group(group)
    source = _place(members, 0 if src is None and group_src is None else src, group_src, "src")
    data = members.spread(pickled(object_list) if members.rank() == source else None, source)
    object_list[:] = pickle.loads(data)


def gather_object(
    obj: Any,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """Put the objects of all processes into a list in process `dst` (default 0)."""
    members = _group(group)
    target = _place(members, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    incoming = members.exchange([pickled(obj) if k == target else b"" for k in range(members.size())])
    if members.rank() == target:
        object_gather_list[:] = [
            obj if k == target else pickle.loads(data) for k, data in enumerate(incoming)
        ]


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """Give each process one of the objects of process `src` (default 0), as the first of its list."""
    members = _group(group)
    source = _place(members, 0 if src is None and group_src is None else src, group_src, "src")
    mine = members.rank() == source
    incoming = members.exchange(
        [pickled(o) for o in scatter_object_input_list] if mine else [b""] * members.size()
    )
    scatter_object_output_list[0] = (
        scatter_object_input_list[source] if mine else pickle.loads(incoming[source])
    )


_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor

# submodule -> names
_NAMES = {
    "_backends": """
        BackendConfig ProcessGroupGloo get_backend_config get_pg_count shrink_group split_group
    """,
    "_errors": """
        DebugLevel DistBackendError DistError DistNetworkError DistStoreError QueueEmptyError
        get_debug_level set_debug_level set_debug_level_from_env
    """,
    "_more": """
        Backend P2POp _broadcast_coalesced all_gather_coalesced all_gather_single
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
