"""Operations between processes that give new tensors; those that end in `_autograd` have gradients."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.device_mesh import DeviceMesh
from flambeau.distributed.nn import functional as F

__all__ = [
    "all_gather_tensor",
    "all_gather_tensor_autograd",
    "all_reduce",
    "all_to_all_single",
    "all_to_all_single_autograd",
    "broadcast",
    "permute_tensor",
    "reduce_scatter_tensor",
    "reduce_scatter_tensor_autograd",
    "wait_tensor",
]


class AsyncCollectiveTensor(fb.Tensor):
    """A result that may not have arrived yet. Here operations wait, so none is one unless it is made so.

    Parameters
    ----------
    elem : the tensor, which is there.
    """

    __torch_function__ = fb._C._disabled_torch_function_impl

    def __new__(cls, elem: fb.Tensor) -> AsyncCollectiveTensor:
        return elem.as_subclass(cls)

    def wait(self) -> fb.Tensor:
        """The tensor."""
        return self.as_subclass(fb.Tensor)

    trigger_wait = wait


def _members(group: Any) -> Any:
    if isinstance(group, DeviceMesh):
        return group.get_group()
    if isinstance(group, tuple) and len(group) == 2 and isinstance(group[0], DeviceMesh):
        return group[0].get_group(group[1])
    if isinstance(group, (list, str)):
        raise NotImplementedError(f"a group given as {group!r}: give a ProcessGroup or a DeviceMesh")
    return group


def wait_tensor(tensor: fb.Tensor) -> fb.Tensor:
    """The tensor: it is there already."""
    return tensor


def all_reduce(self: fb.Tensor, reduceOp: str, group: Any, tag: str = "") -> fb.Tensor:
    """The sum (or `reduceOp`) of the tensors of all processes."""
    made = self.detach().clone()
    dist.all_reduce(made, getattr(dist.ReduceOp, reduceOp.upper()), _members(group))
    return made


def broadcast(self: fb.Tensor, src: int, group: Any, tag: str = "") -> fb.Tensor:
    """The tensor of process `src` of all."""
    made = self.detach().clone()
    dist.broadcast(made, src, _members(group))
    return made


def all_gather_tensor_autograd(self: fb.Tensor, gather_dim: int, group: Any, tag: str = "") -> fb.Tensor:
    """The tensors of all processes, joined along a dimension."""
    return fb.cat(F.all_gather(self.contiguous(), _members(group)), gather_dim)


def all_gather_tensor(self: fb.Tensor, gather_dim: int, group: Any, tag: str = "") -> fb.Tensor:
    """The tensors of all processes, joined along a dimension."""
    return all_gather_tensor_autograd(self.detach(), gather_dim, group)


def reduce_scatter_tensor_autograd(
    self: fb.Tensor, reduceOp: str, scatter_dim: int, group: Any, tag: str = ""
) -> fb.Tensor:
    """The part of this process of the sum of the tensors, cut along a dimension."""
    members = _members(group)
    size = dist.get_world_size(members)
    if self.shape[scatter_dim] % size:
        raise AssertionError(
            f"input dimension {scatter_dim} ({self.shape[scatter_dim]} must be a multiple of "
            f"group_size {size})"
        )
    parts = [part.contiguous() for part in self.chunk(size, scatter_dim)]
    if reduceOp.lower() not in ("sum", "avg"):
        raise NotImplementedError(f"reduce_scatter_tensor with {reduceOp}")
    made = F.reduce_scatter(fb.empty_like(parts[0]), parts, group=members)
    return made / size if reduceOp.lower() == "avg" else made


def reduce_scatter_tensor(
    self: fb.Tensor, reduceOp: str, scatter_dim: int, group: Any, tag: str = ""
) -> fb.Tensor:
    """The part of this process of the sum of the tensors, cut along a dimension."""
    return reduce_scatter_tensor_autograd(self.detach(), reduceOp, scatter_dim, group)


def all_to_all_single_autograd(
    self: fb.Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group: Any,
    tag: str = "",
) -> fb.Tensor:
    """Parts of the tensor for each process; what each had for this one, joined."""
    length = sum(output_split_sizes) if output_split_sizes is not None else self.shape[0]
    output = self.new_empty((length, *self.shape[1:]))
    return F.all_to_all_single(output, self, output_split_sizes, input_split_sizes, _members(group))


def all_to_all_single(
    self: fb.Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group: Any,
    tag: str = "",
) -> fb.Tensor:
    """Parts of the tensor for each process; what each had for this one, joined."""
    return all_to_all_single_autograd(self.detach(), output_split_sizes, input_split_sizes, group)


def permute_tensor(self: fb.Tensor, src_dst: list[int], group: Any, tag: str = "") -> fb.Tensor:
    """The tensor of the process that sends to this one: process k sends to ``src_dst[k]``."""
    members = _members(group)
    size, rank = dist.get_world_size(members), dist.get_rank(members)
    if sorted(src_dst) != list(range(size)):
        raise AssertionError("src_dst must be a permutation of the ranks of the group")
    data = self.detach().contiguous().reshape(-1)
    length = data.numel()
    outgoing = [length if k == src_dst[rank] else 0 for k in range(size)]
    incoming = [length if src_dst[k] == rank else 0 for k in range(size)]
    made = data.new_empty(length)
    dist.all_to_all(list(made.split(incoming)), list(data.split(outgoing)), members)
    return made.reshape(self.shape)
