"""Operations made of the basic ones: batches of sends, lists of objects, groups of equal size."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import distributed as dist

from ._backend_names import Backend
from .group import ReduceOp


def get_default_backend_for_device(device: str | fb.device) -> str:
    """The backend that is used for tensors of a device."""
    kind = device.type if isinstance(device, fb.device) else fb.device(device).type
    if kind not in Backend.default_device_backend_map:
        raise ValueError(f"Default backend not registered for device : {device}")
    return Backend.default_device_backend_map[kind]


@dataclasses.dataclass
class P2POp:
    """A send or a receive of a batch.

    Parameters
    ----------
    op : `isend` or `irecv`.
    tensor : what is sent, or where it is put.
    peer, group_peer : the other process, by its rank among all or in `group`.
    """

    op: Callable
    tensor: fb.Tensor
    peer: int | None = None
    group: Any = None
    tag: int = 0
    group_peer: int | None = None

    def __post_init__(self) -> None:
        if self.op not in (dist.isend, dist.irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        dist._check(self.tensor)
        if (self.peer is None) == (self.group_peer is None):
            raise ValueError("Must specify either peer or group_peer")
        if self.peer is None:
            self.peer = dist.get_global_rank(dist._group(self.group), self.group_peer)


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Any]:
    """Begin all sends and receives; a `Work` for each."""
    if not isinstance(p2p_op_list, list) or not all(isinstance(op, P2POp) for op in p2p_op_list):
        raise ValueError(
            "Invalid ``p2p_op_list``. Each op is expected to to be of type ``torch.distributed.P2POp``."
        )
    if len({op.group for op in p2p_op_list}) > 1:
        raise ValueError("All ops need to use the same group.")
    works = [op.op(op.tensor, op.peer, op.group, op.tag) for op in p2p_op_list]
    receives = [work for op, work in zip(p2p_op_list, works) if op.op is dist.irecv]
    return receives if receives and len(receives) == len(works) else works


def send_object_list(
    object_list: list[Any], dst: int | None = None, group: Any = None, device: Any = None,
    group_dst: int | None = None, use_batch: bool = False,
) -> None:  # fmt: skip
    """Send picklable objects to a process."""
    members = dist._group(group)
    members.mesh.send(dist._receiver(members, dst, group_dst), dist.pickled(list(object_list)), -2)


def recv_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None,
    group_src: int | None = None, use_batch: bool = False,
) -> int:  # fmt: skip
    """Replace the objects of a list by those that a process sent; its rank, -1 outside the group."""
    import pickle

    if group is dist.GroupMember.NON_GROUP_MEMBER:
        return -1
    members = dist._group(group)
    if src is None and group_src is None:
        peer, data = members.mesh.receive_any([r for r in members.ranks if r != members.mesh.rank], -2)
    else:
        peer = members.ranks[dist._place(members, src, group_src, "src")]
        data = members.mesh.receive(peer, -2)
    object_list[:] = pickle.loads(data)  # from a process of the run, which is trusted
    return peer


def new_subgroups(
    group_size: int | None = None, group: Any = None, timeout: Any = None, backend: str | None = None,
    pg_options: Any = None, group_desc: str | None = None,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """Groups of `group_size` neighbours: that of this process, and all of them."""
    size = dist.get_world_size(group)
    if group_size is None:
        raise ValueError("Default group size only takes effect when CUDA is available.")
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    if size < group_size:
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size ({size})")
    if size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by 'group_size={group_size}'")
    ranks = dist.get_process_group_ranks(group)
    return new_subgroups_by_enumeration(
        [ranks[k : k + group_size] for k in range(0, size, group_size)],
        timeout,
        backend,
        pg_options,
        group_desc,
    )


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: Sequence[Sequence[int]], timeout: datetime.timedelta | None = None,
    backend: str | None = None, pg_options: Any = None, group_desc: str | None = None,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """Groups of these processes: that of this process (None in none), and all of them."""
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    seen: set[int] = set()
    mine, made = None, []
    for ranks in ranks_per_subgroup_list:
        if seen & set(ranks):
            rank = min(seen & set(ranks))
            other = next(list(r) for r in ranks_per_subgroup_list if rank in r)
            raise ValueError(f"Rank {rank} has appeared in both subgroup {other} and {list(ranks)}")
        seen |= set(ranks)
        made.append(dist.new_group(list(ranks), timeout, backend, pg_options, group_desc=group_desc))
        if dist.get_rank() in ranks:
            mine = made[-1]
    return mine, made


def all_reduce_coalesced(
    tensors: list[fb.Tensor], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """`all_reduce` of several tensors."""
    for tensor in tensors:
        dist.all_reduce(tensor, op, group)
    return dist.Work() if async_op else None


def all_gather_single(
    output_tensor: fb.Tensor, input_tensor: fb.Tensor, group: Any = None, async_op: bool = False
) -> Any:
    """Put the tensors of all processes one after the other into one.

    Parameters
    ----------
    output_tensor : has the sizes of the concatenation or of the stack of the tensors.
    input_tensor : that of this process.
    """
    return dist.all_gather_into_tensor(output_tensor, input_tensor, group, async_op)


def reduce_scatter_single(
    output: fb.Tensor, input: fb.Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """Reduce the tensors of all processes and give each an equal part of the result.

    Parameters
    ----------
    output : where the part of this process goes.
    input : its tensor, a concatenation or a stack of parts.
    """
    return dist.reduce_scatter_tensor(output, input, op, group, async_op)


def all_gather_coalesced(
    output_tensor_lists: list[list[fb.Tensor]],
    input_tensor_list: list[fb.Tensor],
    group: Any = None,
    async_op: bool = False,
) -> Any:
    """Put the lists of tensors of all processes into lists, one for each process.

    Parameters
    ----------
    output_tensor_lists : for each process a list of tensors with the sizes of those of `input_tensor_list`.
    input_tensor_list : the tensors of this process.
    """
    if group is dist.GroupMember.NON_GROUP_MEMBER:
        return None
    _check_list(input_tensor_list, "input_tensor_list")
    if not isinstance(output_tensor_lists, list):
        raise TypeError("Invalid function argument: output_tensor_lists should be a list")
    for tensors in output_tensor_lists:
        _check_list(tensors, "output_tensor_lists")
    work = dist._group(group).allgather_coalesced(output_tensor_lists, input_tensor_list)
    return work if async_op else None


def _check_list(tensors: Any, name: str) -> None:
    if not isinstance(tensors, list) or not all(isinstance(t, fb.Tensor) for t in tensors):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
            f"             but got {type(tensors)} instead."
        )


def _broadcast_coalesced(
    process_group: Any, tensors: Sequence[fb.Tensor], buffer_size: int = 0, src: int = 0
) -> None:
    """`broadcast` of several tensors, all in one message; `src` is a rank of the group."""
    from .group import from_bytes, to_bytes

    members = dist._group(process_group)
    mine = members.rank() == src
    data = members.spread(b"".join(bytes(to_bytes(t)) for t in tensors) if mine else None, src)
    if mine:
        return
    start = 0
    with fb.no_grad():
        for t in tensors:
            end = start + t.numel() * t.dtype.itemsize
            t.detach().copy_(from_bytes(data[start:end], t))
            start = end


def sync_module_states(
    module: fb.nn.Module,
    process_group: Any,
    broadcast_bucket_size: int = 0,
    src: int = 0,
    params_and_buffers_to_ignore: Sequence[str] = (),
    broadcast_buffers: bool = True,
) -> None:
    """Make parameters and buffers those of process `src` of the group."""
    named = [*module.named_parameters(), *(module.named_buffers() if broadcast_buffers else ())]
    _broadcast_coalesced(
        process_group, [t.detach() for name, t in named if name not in params_and_buffers_to_ignore], src=src
    )
