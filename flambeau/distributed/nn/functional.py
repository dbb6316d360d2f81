"""Operations between processes that gradients go through: the gradient of each is another of them."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed import ReduceOp
from flambeau.distributed.group import RedOpType

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


class _Broadcast(fb.autograd.Function):
    @staticmethod
    def forward(src: int, group: Any, tensor: Any) -> Any:
        made = tensor.detach().clone()
        dist.broadcast(made, src, group)
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.src, ctx.group, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        grad = _Reduce.apply(ctx.src, ReduceOp.SUM, ctx.group, grad)
        return None, None, grad if dist.get_rank() == ctx.src else fb.zeros_like(grad)


class _Reduce(fb.autograd.Function):
    @staticmethod
    def forward(dst: int, op: Any, group: Any, tensor: Any) -> Any:
        made = tensor.detach().clone()
        dist.reduce(made, dst, op, group)
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.dst, _, ctx.group, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return None, None, None, _Broadcast.apply(ctx.dst, ctx.group, grad)


class _AllReduce(fb.autograd.Function):
    @staticmethod
    def forward(op: Any, group: Any, tensor: Any) -> Any:
        made = tensor.detach().clone()
        dist.all_reduce(made, op, group)
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.op, ctx.group, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return None, None, _AllReduce.apply(ctx.op, ctx.group, grad)


class _AllToAll(fb.autograd.Function):
    """Tensors for each process; what each gave. The gradient goes the same way back."""

    @staticmethod
    def forward(group: Any, shapes: Any, *tensors: Any) -> Any:
        made = [tensors[0].new_empty(shape) for shape in shapes]
        dist.all_to_all(made, [t.detach().contiguous() for t in tensors], group)
        return tuple(made)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.group, _, *tensors = inputs
        ctx.shapes = [t.shape for t in tensors]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, None, *_AllToAll.apply(ctx.group, ctx.shapes, *grads)


def _size(group: Any) -> int:
    return dist.get_world_size(group)


def broadcast(tensor: fb.Tensor, src: int, group: Any = None) -> fb.Tensor:
    """The tensor of process `src`."""
    return _Broadcast.apply(src, group, tensor)


def reduce(tensor: fb.Tensor, dst: int, op: RedOpType = ReduceOp.SUM, group: Any = None) -> fb.Tensor:
    """The sum (or `op`) of all tensors in process `dst`; its own one in the others."""
    return _Reduce.apply(dst, op, group, tensor)


def all_reduce(tensor: fb.Tensor, op: RedOpType = ReduceOp.SUM, group: Any = None) -> fb.Tensor:
    """The sum (or `op`) of the tensors of all processes."""
    return _AllReduce.apply(op, group, tensor)


def all_gather(tensor: fb.Tensor, group: Any = None) -> tuple[fb.Tensor, ...]:
    """The tensors of all processes."""
    return _AllToAll.apply(group, [tensor.shape] * _size(group), *[tensor] * _size(group))


def gather(tensor: fb.Tensor, dst: int = 0, group: Any = None) -> tuple[fb.Tensor, ...]:
    """The tensors of all processes in process `dst`; zeros in the others."""
    members = dist._group(group)
    to = members.ranks.index(dst)
    empty = tensor.new_zeros(0)
    mine = [tensor if k == to else empty for k in range(_size(group))]
    here = members.rank() == to
    made = _AllToAll.apply(group, [tensor.shape if here else empty.shape] * _size(group), *mine)
    return made if here else tuple(part.sum() + fb.zeros_like(tensor) for part in made)


def scatter(tensors: list[fb.Tensor], src: int = 0, group: Any = None) -> fb.Tensor:
    """The tensor that process `src` has for this one."""
    members = dist._group(group)
    source = members.ranks.index(src)
    mine = tensors if members.rank() == source else [t[:0].reshape(-1) for t in tensors]
    shape = tensors[members.rank()].shape
    shapes = [shape if k == source else fb.Size([0]) for k in range(_size(group))]
    return _AllToAll.apply(group, shapes, *mine)[source]


def reduce_scatter(
    output: fb.Tensor, input_list: list[fb.Tensor], op: RedOpType = ReduceOp.SUM, group: Any = None
) -> fb.Tensor:
    """Element k of the lists of all processes, summed, for process k."""
    if op is not ReduceOp.SUM:
        raise NotImplementedError(f"distributed.nn.functional.reduce_scatter with {op}")
    parts = _AllToAll.apply(group, [output.shape] * _size(group), *input_list)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def all_to_all(
    output_tensor_list: list[fb.Tensor], input_tensor_list: list[fb.Tensor], group: Any = None
) -> tuple[fb.Tensor, ...]:
    """Element k of the list for process k; what each process had for this one."""
    return _AllToAll.apply(group, [t.shape for t in output_tensor_list], *input_tensor_list)


def all_to_all_single(
    output: fb.Tensor,
    input: fb.Tensor,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: Any = None,
) -> fb.Tensor:
    """`all_to_all` of parts of one tensor, split along its first dimension."""
    size = _size(group)
    outputs = output.split(output_split_sizes or output.size(0) // size)
    inputs = input.split(input_split_sizes or input.size(0) // size)
    return fb.cat(all_to_all(list(outputs), list(inputs), group))
