"""The collective operations as methods of a group, with options in the place of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from . import _collectives as dist
from .group import Peers
from .options import _Options

Tensors = fb.Tensor | Sequence[fb.Tensor]


def _list(tensors: Tensors) -> list[fb.Tensor]:
    return [tensors] if isinstance(tensors, fb.Tensor) else list(tensors)


def _option(opts: Any, name: str, default: Any) -> Any:
    """What options say; where there are none, the value given in their place."""
    if opts is None:
        return default
    if not isinstance(opts, _Options):
        return opts
    if not hasattr(opts, name):
        raise TypeError(f"incompatible function arguments: {type(opts).__name__} has no {name}")
    return getattr(opts, name)


class ProcessGroup(Peers):
    """Some of the processes of a run; what it does with tensors gives a `Work` that is done."""

    def _root(self, opts: Any, what: str) -> int:
        root = _option(opts, "rootRank", 0)
        if not 0 <= root < self.size():
            raise RuntimeError(f"ProcessGroupGloo::{what}: invalid root rank: {root}")
        return root

    def _done(self, tensors: Any) -> Any:
        return dist.Work(tensors)

    def allreduce(self, tensors: Tensors, opts: Any = None) -> Any:
        """Put the sum (or what `AllreduceOptions` or an operation say) of all processes into each tensor."""
        made = _list(tensors)
        for tensor in made:
            dist.all_reduce(tensor, _option(opts, "reduceOp", dist.ReduceOp.SUM), self)
        return self._done(made)

    allreduce_coalesced = allreduce

    def broadcast(self, tensors: Tensors, opts: Any = None) -> Any:
        """Put the tensors of one process (of `BroadcastOptions` or a rank of the group) into all."""
        made, root = _list(tensors), self._root(opts, "broadcast")
        for tensor in made:
            dist.broadcast(tensor, group=self, group_src=root)
        return self._done(made)

    def reduce(self, tensors: Tensors, opts: Any = None, op: Any = None) -> Any:
        """`allreduce` for one process (of `ReduceOptions` or a rank of the group)."""
        made, root = _list(tensors), self._root(opts, "reduce")
        if op is None:
            op = getattr(opts, "reduceOp", dist.ReduceOp.SUM)
        for tensor in made:
            dist.reduce(tensor, op=op, group=self, group_dst=root)
        return self._done(made)

    def allgather(self, output_tensors: Sequence[Any], input_tensors: Tensors, opts: Any = None) -> Any:
        """Put the tensors of all processes into a list for each tensor of this one."""
        given = _list(input_tensors)
        lists = [output_tensors] if isinstance(input_tensors, fb.Tensor) else output_tensors
        for outputs, tensor in zip(lists, given, strict=True):
            dist.all_gather(list(outputs), tensor, self)
        return self._done([out for outputs in lists for out in outputs])

    def allgather_coalesced(
        self, output_lists: Sequence[Sequence[fb.Tensor]], input_list: Sequence[fb.Tensor], opts: Any = None
    ) -> Any:
        """Put the lists of tensors of all processes into lists, one for each process."""
        for k, tensor in enumerate(input_list):
            dist.all_gather([outputs[k] for outputs in output_lists], tensor, self)
        return self._done([out for outputs in output_lists for out in outputs])

    def gather(self, output_tensors: Sequence[Any], input_tensors: Tensors, opts: Any = None) -> Any:
        """Put the tensors of all processes into a list of one (of `GatherOptions` or a rank)."""
        root, outputs = self._root(opts, "gather"), list(output_tensors)
        if outputs and not isinstance(outputs[0], fb.Tensor):
            outputs = list(outputs[0])
        dist.gather(_list(input_tensors)[0], outputs or None, group=self, group_dst=root)
        return self._done(outputs)

    def scatter(self, output_tensors: Tensors, input_tensors: Sequence[Any], opts: Any = None) -> Any:
        """Give each process one of the tensors of one (of `ScatterOptions` or a rank)."""
        root, inputs = self._root(opts, "scatter"), list(input_tensors)
        if inputs and not isinstance(inputs[0], fb.Tensor):
            inputs = list(inputs[0])
        made = _list(output_tensors)
        dist.scatter(made[0], inputs or None, group=self, group_src=root)
        return self._done(made)

    def reduce_scatter(self, output_tensors: Tensors, input_tensors: Sequence[Any], opts: Any = None) -> Any:
        """Element k of the lists of all processes, reduced, for process k."""
        made = _list(output_tensors)
        lists = [input_tensors] if isinstance(output_tensors, fb.Tensor) else input_tensors
        for out, inputs in zip(made, lists, strict=True):
            dist.reduce_scatter(out, list(inputs), _option(opts, "reduceOp", dist.ReduceOp.SUM), self)
        return self._done(made)

    def alltoall(
        self, output_tensors: Sequence[fb.Tensor], input_tensors: Sequence[fb.Tensor], opts: Any = None
    ) -> Any:
        """Give process k element k of a list, and take element k of the other list from it."""
        dist.all_to_all(list(output_tensors), list(input_tensors), self)
        return self._done(list(output_tensors))

    def alltoall_base(
        self,
        output: fb.Tensor,
        input: fb.Tensor,
        output_split_sizes: Sequence[int],
        input_split_sizes: Sequence[int],
        opts: Any = None,
    ) -> Any:
        """`alltoall` of parts of one tensor, split along its first dimension."""
        sizes = list(output_split_sizes) or None, list(input_split_sizes) or None
        dist.all_to_all_single(output, input, *sizes, group=self)
        return self._done([output])

    all_to_all_single = alltoall_base

    def barrier(self, opts: Any = None) -> Any:
        """Wait until all processes are here."""
        self.gather_bytes(b"")
        return self._done(None)

    def send(self, tensors: Tensors, dstRank: int, tag: int = 0) -> Any:
        """Send a tensor to a process of the group."""
        made = _list(tensors)
        dist.send(made[0], group=self, tag=tag, group_dst=dstRank)
        return self._done(made)

    def recv(self, tensors: Tensors, srcRank: int, tag: int = 0) -> Any:
        """Receive a tensor from a process of the group."""
        made = _list(tensors)
        dist.recv(made[0], group=self, tag=tag, group_src=srcRank)
        return self._done(made)
