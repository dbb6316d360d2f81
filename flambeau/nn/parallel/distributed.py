"""One model in several processes, each with its own data, whose gradients are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.nn.modules.module import Module
from flambeau.utils import _pytree as pytree

__all__ = ["DistributedDataParallel"]

_MEGABYTE = 1024 * 1024
_NOT_FINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This error "
    "indicates that your module has parameters that were not used in producing loss. You can enable unused "
    "parameter detection by passing the keyword argument `find_unused_parameters=True` to "
    "`torch.nn.parallel.DistributedDataParallel`, and by \nmaking sure all `forward` function outputs "
    "participate in calculating loss. "
)


class GradBucket:
    """Gradients that are sent together, one after the other in one tensor."""

    def __init__(self, index: int, parameters: list[fb.Tensor], is_last: bool) -> None:
        self._index, self._parameters, self._is_last = index, parameters, is_last
        self._buffer: fb.Tensor | None = None

    def index(self) -> int:
        """The number of the bucket."""
        return self._index

    def is_last(self) -> bool:
        """Whether no bucket comes after it."""
        return self._is_last

    def parameters(self) -> list[fb.Tensor]:
        """The parameters."""
        return self._parameters

    def buffer(self) -> fb.Tensor:
        """The gradients in one line."""
        return self._buffer

    def set_buffer(self, tensor: fb.Tensor) -> None:
        """Replace the gradients."""
        self._buffer = tensor

    def gradients(self) -> list[fb.Tensor]:
        """The gradients, each in its shape."""
        sizes = [p.numel() for p in self._parameters]
        return [part.view(p.shape) for part, p in zip(self._buffer.split(sizes), self._parameters)]


def _buckets(parameters: list[fb.Tensor], first: float, others: float) -> list[GradBucket]:
    """The last parameters, whose gradients come first, in the first bucket."""
    groups: list[list[fb.Tensor]] = [[]]
    size = 0
    for p in reversed(parameters):
        bytes_ = p.numel() * p.element_size()
        full = size + bytes_ > (first if len(groups) == 1 else others) * _MEGABYTE
        if groups[-1] and (full or groups[-1][0].dtype != p.dtype):
            groups.append([])
            size = 0
        groups[-1].append(p)
        size += bytes_
    return [GradBucket(k, group, k == len(groups) - 1) for k, group in enumerate(groups)]


class _Reducer:
    """The part of a wrapper that averages gradients, by the names that PyTorch's has."""

    def __init__(self, wrapper: DistributedDataParallel) -> None:
        self._wrapper = wrapper

    def _rebuild_buckets(self) -> bool:
        """Buckets stay as they are."""
        return False

    def prepare_for_backward(self, outputs: Any) -> None:
        """Average the gradients of the next backward, that of `outputs`."""
        self._wrapper._prepare_for_backward(outputs)


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
    bucket_cap_mb : float, optional
        How many megabytes of gradients are sent together.
    find_unused_parameters : bool
        Look for parameters that the outputs do not depend on; those unused everywhere get no gradient.
    check_reduction, gradient_as_bucket_view, static_graph, batched_grad_copy, …
        Accepted.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[int | fb.device] | None = None,
        output_device: int | fb.device | None = None, dim: int = 0, broadcast_buffers: bool | None = None,
        init_sync: bool = True, process_group: dist.ProcessGroup | None = None,
        bucket_cap_mb: float | None = None, find_unused_parameters: bool = False,
        check_reduction: bool = False, gradient_as_bucket_view: bool = False, static_graph: bool = False,
        delay_all_reduce_named_params: Sequence[tuple[str, fb.nn.Parameter]] | None = None,
        param_to_hook_all_reduce: fb.nn.Parameter | None = None, mixed_precision: Any = None,
        device_mesh: Any = None, skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: Sequence[float] | None = None, batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in (
            ("mixed_precision", mixed_precision),
            ("delay_all_reduce_named_params", delay_all_reduce_named_params),
            ("param_to_hook_all_reduce", param_to_hook_all_reduce),
            ("bucket_cap_mb_list", bucket_cap_mb_list),
        ):
            if value is not None:
                raise NotImplementedError(f"DistributedDataParallel: {name} is not supported by flambeau yet")
        if device_mesh is not None:
            if process_group is not None:
                raise RuntimeError("Cannot specify both process_group and device_mesh arguments.")
            process_group = device_mesh.get_group(0)
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that "
                "requires a gradient."
            )
        self.module = module
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim
        self.broadcast_buffers = True if broadcast_buffers is None else broadcast_buffers
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.process_group = process_group
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self._size = dist.get_world_size(process_group)
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        named = [(n, p) for n, p in module.named_parameters() if n not in ignored]
        self._kept_buffers = [b for n, b in module.named_buffers() if n not in ignored]
        parameters = [p for _, p in named if p.requires_grad]
        if init_sync and self._size > 1:
            dist._broadcast_coalesced(process_group, [*(p for _, p in named), *self._kept_buffers])
        cap = 25.0 if bucket_cap_mb is None else bucket_cap_mb
        self.bucket_bytes_cap = int(cap * 1024 * 1024)
        self.__dict__["_buckets"] = _buckets(parameters, min(1.0, cap) if bucket_cap_mb is None else cap, cap)
        self._places = {id(p): b.index() for b in self._buckets for p in b.parameters()}
        self._hook: tuple[Any, Callable] | None = None
        self._joining: bool | None = None  # inside of `join`: whether to divide by the number at the start
        self._divisor = self._size
        self._sending = False
        self._reset()
        if self._size > 1:
            for p in parameters:
                p.register_post_accumulate_grad_hook(self._ready)

    # ------------------------------------------------------------------ gradients
    def _reset(self) -> None:
        self._missing = [{id(p) for p in b.parameters()} for b in self._buckets]
        self._next, self._started = 0, False
        self._unused_everywhere: set[int] = set()

    def _ready(self, param: fb.Tensor) -> None:
        """A gradient is there: send the buckets that are complete, in their order."""
        if not self._sending:
            return
        self._started = True
        self._missing[self._places[id(param)]].discard(id(param))
        self._send_complete()

    def _send_complete(self) -> None:
        while self._next < len(self._buckets) and not self._missing[self._next]:
            self._send(self._buckets[self._next])
            self._next += 1
        if self._next == len(self._buckets):
            self._sending = False
            self._reset()

    def _send(self, bucket: GradBucket) -> None:
        with fb.no_grad():
            grads = [fb.zeros_like(p) if p.grad is None else p.grad for p in bucket.parameters()]
            bucket.set_buffer(fb.cat([g.reshape(-1) for g in grads]))
            if self._hook is not None:
                state, hook = self._hook
                made = hook(state, bucket).wait()
                bucket.set_buffer(made[0] if isinstance(made, (list, tuple)) else made)
            else:
                dist.all_reduce(bucket.buffer(), group=self.process_group)
                bucket.buffer().div_(self._divisor)
            for p, g in zip(bucket.parameters(), bucket.gradients()):
                if p.grad is not None:
                    p.grad.copy_(g)
                elif id(p) not in self._unused_everywhere:
                    p.grad = g.clone()

    def _find_unused(self, outputs: Any) -> None:
        """Parameters that the outputs do not depend on count as ready."""
        waiting = [t.grad_fn for t in pytree.tree_leaves(outputs) if isinstance(t, fb.Tensor) and t.grad_fn]
        used: set[int] = {id(t) for t in pytree.tree_leaves(outputs) if isinstance(t, fb.Tensor)}
        seen = set()
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            variable = getattr(node, "variable", None)
            if variable is not None:
                used.add(id(variable))
            waiting += [n for n, _ in node.next_functions if n is not None]
        parameters = [p for b in self._buckets for p in b.parameters()]
        everywhere = fb.tensor([int(id(p) in used) for p in parameters])
        dist.all_reduce(everywhere, dist.ReduceOp.MAX, self.process_group)
        self._unused_everywhere = {id(p) for p, yes in zip(parameters, everywhere.tolist()) if not yes}
        for p in parameters:
            if id(p) not in used:
                self._missing[self._places[id(p)]].discard(id(p))

    @property
    def reducer(self) -> _Reducer:
        """What programs call that begin a backward themselves: ``reducer.prepare_for_backward(outputs)``."""
        return _Reducer(self)

    def _prepare_for_backward(self, outputs: Any) -> None:
        """The next backward is averaged, whatever was said when the outputs were made."""
        self._reset()
        self._sending = self._size > 1
        if self._sending and self.find_unused_parameters:
            self._find_unused(outputs)

    def _get_ddp_logging_data(self) -> dict[str, Any]:
        """Facts of this wrapper, for logs."""
        parameters = [p for b in self._buckets for p in b.parameters()]
        bytes_of = [sum(p.numel() * p.element_size() for p in b.parameters()) for b in self._buckets]
        return {
            "module_name": type(self.module).__name__,
            "backend_name": dist.get_backend(self.process_group),
            "world_size": self._size,
            "rank": dist.get_rank(self.process_group),
            "bucket_sizes": ", ".join(map(str, bytes_of)),
            "bucket_cap_bytes": self.bucket_bytes_cap,
            "num_parameter_tensors": len(parameters),
            "total_parameter_size_bytes": sum(bytes_of),
            "device_ids": ", ".join(map(str, self.device_ids or ())),
            "broadcast_buffers": int(self.broadcast_buffers),
            "find_unused_parameters": int(self.find_unused_parameters),
            "has_sync_bn": int(any(isinstance(m, fb.nn.SyncBatchNorm) for m in self.module.modules())),
            "is_multi_device_module": 0,
        }

    def register_comm_hook(self, state: object, hook: Callable) -> None:
        """Average gradients by ``hook(state, bucket)``, which gives a future of the tensor."""
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        if self._hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")
        self._hook = (state, hook)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Do not average gradients of forwards inside the ``with`` block; they add up until one outside."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module."""
        sending = fb.is_grad_enabled() and self.require_backward_grad_sync and self._size > 1
        source = 0
        if sending:
            if self._started:
                raise RuntimeError(_NOT_FINISHED)
            if self._joining is not None:
                source = self._tell(True)
            self._reset()
        if self.broadcast_buffers and self.training and self._size > 1 and self._kept_buffers:
            dist._broadcast_coalesced(self.process_group, self._kept_buffers, src=source)
        output = self.module(*inputs, **kwargs)
        self._sending = sending
        if sending and self.find_unused_parameters:
            self._find_unused(output)
        return output

    # ------------------------------------------------------------------ different numbers of inputs
    def _tell(self, active: bool) -> int:
        """Say whether this process still has inputs; the first one that has, -1 if none."""
        flags = [fb.zeros(1) for _ in range(self._size)]
        dist.all_gather(flags, fb.tensor([float(active)]), group=self.process_group)
        having = [k for k, flag in enumerate(flags) if flag.item()]
        self._divisor = self._size if self._joining else max(len(having), 1)
        return having[0] if having else -1

    @contextmanager
    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[None]:
        """Let processes have different numbers of inputs, inside the ``with`` block.

        Those that are done give zeros until all are; then all take the parameters of one that was last.
        """
        if throw_on_early_termination:
            raise NotImplementedError("DistributedDataParallel.join with throw_on_early_termination")
        if self._hook is not None or self.find_unused_parameters:
            raise NotImplementedError("DistributedDataParallel.join with hooks or unused parameters")
        if not enable or self._size == 1:
            yield
            return
        self._joining = divide_by_initial_world_size
        last = dist.get_rank(self.process_group)
        try:
            yield
            while (source := self._tell(False)) >= 0:
                last = source
                if self.broadcast_buffers and self.training and self._kept_buffers:
                    dist._broadcast_coalesced(self.process_group, self._kept_buffers, src=source)
                for bucket in self._buckets:
                    first = bucket.parameters()[0]
                    size = sum(p.numel() for p in bucket.parameters())
                    dist.all_reduce(fb.zeros(size, dtype=first.dtype), group=self.process_group)
            asked = [None] * self._size
            dist.all_gather_object(asked, last, group=self.process_group)
            tensors = [*self.module.parameters(), *self._kept_buffers]
            dist._broadcast_coalesced(self.process_group, tensors, src=self._last_of(asked))
        finally:
            self._joining, self._divisor = None, self._size

    def _last_of(self, asked: list[int]) -> int:
        """The process that went on longest: the others saw it working when they were done already."""
        others = [seen for rank, seen in enumerate(asked) if seen != rank]
        return others[-1] if others else 0

    @staticmethod
    def _set_params_and_buffers_to_ignore_for_model(
        module: Module, params_and_buffers_to_ignore: Any
    ) -> None:
        module._ddp_params_and_buffers_to_ignore = params_and_buffers_to_ignore
