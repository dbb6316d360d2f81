"""One stage of a pipeline: its module, and what goes to and comes from its neighbours."""

from __future__ import annotations

import ast
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.utils._pytree import tree_leaves

__all__ = ["PipelineStage", "build_stage"]

_FORWARD, _BACKWARD = 0, 1  # what goes to the next stage, what comes back


def _tag(stage: int, microbatch: int, way: int) -> int:
    """Says which message it is: several stages of one process talk to several of another."""
    return 1 << 30 | stage << 17 | microbatch << 1 | way


def _items(result: Any) -> list[Any]:
    """The arguments that the next stage gets: tensors, and what has none in it."""
    made: list[Any] = []
    for item in result if type(result) in (tuple, list) else (result,):
        leaves = tree_leaves(item)
        made += leaves if any(isinstance(leaf, fb.Tensor) for leaf in leaves) else [item]
    return made


def _told(item: Any) -> tuple[Any, tuple | None]:
    """What another process is told of an item: its value, or what the tensor is like that follows."""
    if isinstance(item, fb.Tensor):
        return None, (tuple(item.shape), str(item.dtype).removeprefix("torch."), item.requires_grad)
    value = tuple(item) if isinstance(item, fb.Size) else item
    try:
        if ast.literal_eval(repr(value)) == value:
            return value, None
    except (SyntaxError, ValueError):
        pass
    raise TypeError(f"between stages go tensors, numbers and text, not {item!r} of {type(item)}")


class PipelineStage:
    """A part of a model, in one of the processes of a group.

    Its results are the inputs of the next stage: tensors, and numbers such as sizes. What the tensors are
    like is told with them, so examples are not needed. Stage k is in process k modulo their number;
    schedules in the form of a V change that.

    Parameters
    ----------
    submodule : the part.
    stage_index, num_stages : its number, and how many there are: at least as many as processes.
    device : where it runs.
    input_args, output_args, output_grads, input_grads : accepted; see above.
    group : the processes; None for all of them.

    Raises
    ------
    NotImplementedError : for ``dw_builder``.
    """

    def __init__(
        self, submodule: fb.nn.Module, stage_index: int, num_stages: int, device: Any, input_args: Any = None,
        output_args: Any = None, output_grads: Any = None, input_grads: Any = None, group: Any = None,
        dw_builder: Any = None, get_mesh: Any = None,
    ) -> None:  # fmt: skip
        if stage_index >= num_stages:
            raise ValueError(f"Stage index {stage_index} is out of range of {num_stages}")
        if dw_builder is not None:
            raise NotImplementedError("PipelineStage: dw_builder, a program's own gradients of weights")
        self.submod, self.stage_index, self.num_stages = submodule, stage_index, num_stages
        self.device, self.group = fb.device(device), group
        self.group_rank, self.group_size = dist.get_rank(group), dist.get_world_size(group)
        if self.group_size > num_stages:
            raise RuntimeError(
                f"Pipeline group size {self.group_size} cannot be larger than number of stages {num_stages}"
            )
        self.stage_index_to_group_rank = {k: k % self.group_size for k in range(num_stages)}
        self.has_backward = False
        self.neighbours: dict[int, PipelineStage] = {}  # stages of the same process
        self._sending: list[Any] = []
        self._given: dict[tuple[int, int], list[Any]] = {}  # by neighbours of the same process
        self._kept: dict[int, tuple[list[Any], list[fb.Tensor]]] = {}
        self._apart: dict[int, tuple[list[fb.Tensor], list[fb.Tensor | None]]] = {}

    @property
    def is_first(self) -> bool:
        """Whether no stage comes before it."""
        return self.stage_index == 0

    @property
    def is_last(self) -> bool:
        """Whether no stage comes after it."""
        return self.stage_index == self.num_stages - 1

    def _hand_on(self, items: list[Any], stage: int, microbatch: int, way: int) -> None:
        """Give tensors to another stage, and forwards what goes beside them."""
        tensors = [t for t in items if isinstance(t, fb.Tensor)]
        if stage in self.neighbours:
            self.neighbours[stage]._given[microbatch, way] = [
                t.detach() if isinstance(t, fb.Tensor) else t for t in items
            ]
            return
        peer, tag = self.stage_index_to_group_rank[stage], _tag(stage, microbatch, way)
        told = fb.tensor(list(repr([_told(t) for t in items]).encode()), dtype=fb.uint8)
        length = fb.tensor([told.numel()])
        for t in [length, told, *tensors] if way == _FORWARD else tensors:
            sent = t.detach().contiguous()
            work = dist.isend(sent, group=self.group, tag=tag, group_dst=peer)
            self._sending.append((work, sent))  # its memory must live until it is gone

    def _received(self, microbatch: int) -> list[Any]:
        """The inputs from the stage before."""
        before = self.stage_index - 1
        if before in self.neighbours:
            kept = self.neighbours[before]._kept.get(microbatch)
            found = self._given.pop((microbatch, _FORWARD))
            if not kept:
                return found
            made = iter(kept[1])
            return [
                t.detach().requires_grad_(next(made).requires_grad) if isinstance(t, fb.Tensor) else t
                for t in found
            ]
        peer, tag = self.stage_index_to_group_rank[before], _tag(self.stage_index, microbatch, _FORWARD)
        length = fb.empty(1, dtype=fb.int64)
        dist.recv(length, group=self.group, tag=tag, group_src=peer)
        told = fb.empty(int(length), dtype=fb.uint8)
        dist.recv(told, group=self.group, tag=tag, group_src=peer)
        found = []
        for value, like in ast.literal_eval(bytes(told.tolist()).decode()):
            if like is None:
                found.append(value)
                continue
            shape, dtype, differentiable = like
            tensor = fb.empty(shape, dtype=getattr(fb, dtype), device=self.device)
            dist.recv(tensor, group=self.group, tag=tag, group_src=peer)
            found.append(tensor.requires_grad_(differentiable and self.has_backward))
        return found

    def forward_one_chunk(self, number: int, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run a microbatch through the module and send the results on."""
        given = list(args) if self.is_first else self._received(number)
        result = self.submod(*given, **kwargs)
        items = _items(result)
        outputs = [t for t in items if isinstance(t, fb.Tensor)]
        if self.has_backward:
            self._kept[number] = given, outputs
        if not self.is_last:
            self._hand_on(items, self.stage_index + 1, number, _FORWARD)
        return result

    def _cotangents(self, number: int, outputs: list[fb.Tensor]) -> list[fb.Tensor | None]:
        """The gradients of the results, from the stage after."""
        if self.is_last:
            return [None] * len(outputs)
        if self.stage_index + 1 in self.neighbours:
            return self._given.pop((number, _BACKWARD))
        peer = self.stage_index_to_group_rank[self.stage_index + 1]
        grads = [fb.empty_like(t) for t in outputs]
        for g in grads:
            dist.recv(g, group=self.group, tag=_tag(self.stage_index, number, _BACKWARD), group_src=peer)
        return grads

    def _send_back(self, grads: list[fb.Tensor], number: int) -> None:
        if not self.is_first:
            self._hand_on(grads, self.stage_index - 1, number, _BACKWARD)

    def _ends(self, number: int, loss: fb.Tensor | None) -> tuple[list, list, list]:
        """Inputs and results of a microbatch that are differentiated, and gradients of the results."""
        given, outputs = self._kept.pop(number)
        wanted = [t for t in outputs if t.requires_grad] if loss is None else [loss]
        inputs = [t for t in given if isinstance(t, fb.Tensor) and t.requires_grad and not self.is_first]
        return inputs, wanted, self._cotangents(number, wanted)

    def backward_one_chunk(self, number: int, loss: fb.Tensor | None = None) -> None:
        """Run the backward of a microbatch and send the gradients of the inputs back."""
        inputs, wanted, grads = self._ends(number, loss)
        fb.autograd.backward(wanted, grads)
        self._send_back([fb.zeros_like(t) if t.grad is None else t.grad for t in inputs], number)

    def backward_input_one_chunk(self, number: int, loss: fb.Tensor | None = None) -> None:
        """Run the part of a backward for which the stage before waits; the graph stays for the other part."""
        inputs, wanted, grads = self._ends(number, loss)
        if inputs:
            found = fb.autograd.grad(wanted, inputs, grads, retain_graph=True, allow_unused=True)
            self._send_back([fb.zeros_like(t) if g is None else g for t, g in zip(inputs, found)], number)
        self._apart[number] = wanted, grads

    def backward_weight_one_chunk(self, number: int) -> None:
        """Run the other part: gradients of the parameters."""
        wanted, grads = self._apart.pop(number)
        weights = [p for p in self.submod.parameters() if p.requires_grad]
        if self.is_first:
            fb.autograd.backward(wanted, grads)  # also those of what the program gave
        elif weights:
            fb.autograd.backward(wanted, grads, inputs=weights)

    def settle(self) -> None:
        """Wait until everything that was sent is gone."""
        for work, _ in self._sending:
            work.wait()
        self._sending.clear()

    def scale_grads(self, factor: int) -> None:
        """Divide the gradients of the parameters."""
        for p in self.submod.parameters():
            if p.grad is not None:
                p.grad.div_(factor)


def build_stage(
    stage_module: fb.nn.Module, stage_index: int, pipe_info: Any, device: Any, group: Any = None
) -> PipelineStage:
    """The stage of a module; `pipe_info` has ``num_stages``."""
    return PipelineStage(stage_module, stage_index, pipe_info.num_stages, device, group=group)
