"""One stage of a pipeline: its module, and what goes to and comes from its neighbours."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.utils._pytree import tree_leaves

__all__ = ["PipelineStage", "build_stage"]

_FORWARD, _BACKWARD = 1101, 1102  # tags: what goes to the next stage, what comes back


class PipelineStage:
    """A part of a model, in the process of the group whose rank is the number of the part.

    Its results are tensors, the inputs of the next stage. What they are like is told with the first of
    them, so
    examples are not needed.

    Parameters
    ----------
    submodule : the part.
    stage_index, num_stages : its number, and how many there are: as many as processes.
    device : where it runs.
    input_args, output_args, output_grads, input_grads : accepted; see above.
    group : the processes; None for all of them.

    Raises
    ------
    NotImplementedError : for several stages in one process, and for ``dw_builder``.
    """

    def __init__(
        self, submodule: fb.nn.Module, stage_index: int, num_stages: int, device: Any, input_args: Any = None,
        output_args: Any = None, output_grads: Any = None, input_grads: Any = None, group: Any = None,
        dw_builder: Any = None, get_mesh: Any = None,
    ) -> None:  # fmt: skip
        if stage_index >= num_stages:
            raise ValueError(f"Stage index {stage_index} is out of range of {num_stages}")
        if dw_builder is not None:
            raise NotImplementedError("PipelineStage: dw_builder, backwards in two parts")
        self.submod, self.stage_index, self.num_stages = submodule, stage_index, num_stages
        self.device, self.group = fb.device(device), group
        self.group_rank, self.group_size = dist.get_rank(group), dist.get_world_size(group)
        if self.group_size > num_stages:
            raise RuntimeError(
                f"Pipeline group size {self.group_size} cannot be larger than number of stages {num_stages}"
            )
        if self.group_size < num_stages or self.group_rank != stage_index:
            raise NotImplementedError(
                f"PipelineStage: stage {stage_index} of {num_stages} in process {self.group_rank} of "
                f"{self.group_size}: flambeau has one stage in each process, in order"
            )
        self.has_backward = False
        self._sending: list[Any] = []
        self._kept: dict[int, tuple[list[Any], list[fb.Tensor]]] = {}

    @property
    def is_first(self) -> bool:
        """Whether no stage comes before it."""
        return self.stage_index == 0

    @property
    def is_last(self) -> bool:
        """Whether no stage comes after it."""
        return self.stage_index == self.num_stages - 1

    def _send(self, tensor: fb.Tensor, stage: int, tag: int) -> None:
        sent = tensor.detach().contiguous()
        work = dist.isend(sent, group=self.group, tag=tag, group_dst=stage)
        self._sending.append((work, sent))  # its memory must live until it is gone

    def _received(self) -> list[fb.Tensor]:
        """The inputs from the stage before."""
        told: list[Any] = [None]
        dist.recv_object_list(told, group=self.group, group_src=self.stage_index - 1)
        found = []
        for shape, dtype, differentiable in told[0]:
            tensor = fb.empty(shape, dtype=getattr(fb, dtype), device=self.device)
            dist.recv(tensor, group=self.group, tag=_FORWARD, group_src=self.stage_index - 1)
            found.append(tensor.requires_grad_(differentiable and self.has_backward))
        return found

    def forward_one_chunk(self, number: int, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run a microbatch through the module and send the results on."""
        given = list(args) if self.is_first else self._received()
        result = self.submod(*given, **kwargs)
        outputs = [t for t in tree_leaves(result) if isinstance(t, fb.Tensor)]
        if not self.is_last:
            like = [(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.requires_grad) for t in outputs]
            dist.send_object_list([like], group=self.group, group_dst=self.stage_index + 1)
            for t in outputs:
                self._send(t, self.stage_index + 1, _FORWARD)
        if self.has_backward:
            self._kept[number] = given, outputs
        return result

    def backward_one_chunk(self, number: int, loss: fb.Tensor | None = None) -> None:
        """Run the backward of a microbatch and send the gradients of the inputs back."""
        given, outputs = self._kept.pop(number)
        if loss is not None:
            loss.backward()
        else:
            wanted = [t for t in outputs if t.requires_grad]
            grads = [fb.empty_like(t) for t in wanted]
            for g in grads:
                dist.recv(g, group=self.group, tag=_BACKWARD, group_src=self.stage_index + 1)
            fb.autograd.backward(wanted, grads)
        if not self.is_first:
            for t in given:
                if t.requires_grad:
                    grad = fb.zeros_like(t) if t.grad is None else t.grad
                    self._send(grad, self.stage_index - 1, _BACKWARD)

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
