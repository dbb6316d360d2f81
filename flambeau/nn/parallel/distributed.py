"""One model in several processes, each with its own data, whose gradients are averaged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flambeau as fb
from flambeau.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """Averages the gradients of a module over the processes of a group as the backward makes them.

    Parameters
    ----------
    module : Module
        Its parameters are made equal to those of the first process.
    device_ids, output_device, dim
        Accepted; a process has one device here, that of its module.
    broadcast_buffers : bool
        Make buffers equal to those of the first process before each forward.
    init_sync : bool
        Whether parameters are made equal at the start.
    process_group : ProcessGroup, optional
        The processes; all by default.
    bucket_cap_mb, find_unused_parameters, check_reduction, gradient_as_bucket_view, static_graph, …
        Accepted; gradients are averaged one by one.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[int | fb.device] | None = None,
        output_device: int | fb.device | None = None, dim: int = 0, broadcast_buffers: bool | None = None,
        init_sync: bool = True, process_group: "fb.distributed.ProcessGroup | None" = None,
        bucket_cap_mb: float | None = None, find_unused_parameters: bool = False,
        check_reduction: bool = False, gradient_as_bucket_view: bool = False, static_graph: bool = False,
        delay_all_reduce_named_params: Sequence[tuple[str, fb.nn.Parameter]] | None = None,
        param_to_hook_all_reduce: fb.nn.Parameter | None = None, mixed_precision: Any = None,
        device_mesh: Any = None, skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: Sequence[float] | None = None, batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if mixed_precision is not None:
            raise NotImplementedError(
                "DistributedDataParallel: mixed_precision is not supported by flambeau yet"
            )
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that "
                "requires a gradient."
            )
        self.module = module
        self.device_ids = device_ids
        self.output_device = output_device
        self.dim = dim
        self.broadcast_buffers = True if broadcast_buffers is None else broadcast_buffers
        self.process_group = process_group
        self.require_backward_grad_sync = True
        self._world_size = fb.distributed.get_world_size(process_group)
        if init_sync and self._world_size > 1:
            with fb.no_grad():
                for tensor in (*module.parameters(), *module.buffers()):
                    fb.distributed.broadcast(tensor, 0, group=process_group)
        if self._world_size > 1:
            for param in module.parameters():
                if param.requires_grad:
                    param.register_post_accumulate_grad_hook(self._average)

    def _average(self, param: fb.Tensor) -> None:
        if self.require_backward_grad_sync:
            with fb.no_grad():
                fb.distributed.all_reduce(param.grad, group=self.process_group)
                param.grad.div_(self._world_size)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Do not average gradients inside the ``with`` block; they add up until the next backward outside."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module."""
        if self.broadcast_buffers and self.training and self._world_size > 1:
            with fb.no_grad():
                for buffer in self.module.buffers():
                    fb.distributed.broadcast(buffer, 0, group=self.process_group)
        return self.module(*inputs, **kwargs)
