"""The collective operations: what the processes of a group do together on tensors and objects."""

from __future__ import annotations

import datetime
import functools
import inspect
import os
import pickle
import time
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .group import Peers, RedOpType, ReduceOp, combine, from_bytes, pickled, to_bytes

_NOT_STARTED = "Default process group has not been initialized, please make sure to call init_process_group."


class Known:
    """What this process knows: the group of all processes, the groups it is in, and how many were made."""

    world: Peers | None = None
    members: list[Peers] = []
    made = 0


class _GroupNames(type):
    @property
    def WORLD(cls) -> Peers | None:
        return Known.world


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


def _group(given: Any) -> Peers:
    if given is GroupMember.NON_GROUP_MEMBER:
        raise ValueError("this process is not in the group")
    if given is None and Known.world is None:
        raise ValueError(_NOT_STARTED)
    return given or Known.world


def get_rank(group: Peers | None = None) -> int:
    """The number of this process."""
    return -1 if group is GroupMember.NON_GROUP_MEMBER else _group(group).rank()


def get_world_size(group: Peers | None = None) -> int:
    """The number of processes."""
    return -1 if group is GroupMember.NON_GROUP_MEMBER else _group(group).size()


def get_backend(group: Peers | None = None) -> str:
    """The name of what carries the data."""
    return _group(group).name()


def get_process_group_ranks(group: Peers | None) -> list[int]:
    """The global ranks of a group."""
    return list(_group(group).ranks)


def get_global_rank(group: Peers, group_rank: int) -> int:
    """The global rank of a member."""
    return group.ranks[group_rank]


def get_group_rank(group: Peers, global_rank: int) -> int:
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


def _check(tensor: Any, name: str = "tensor") -> None:
    if not isinstance(tensor, fb.Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(tensor)} instead."
        )


def _place(members: Peers, global_rank: int | None, group_rank: int | None, what: str) -> int:
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


def _receiver(members: Peers, dst: int | None, group_dst: int | None) -> int:
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
