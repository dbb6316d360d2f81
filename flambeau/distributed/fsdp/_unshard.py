"""Parameters that are cut among processes and put together for a forward.

During the forward a module has the whole tensors, made from the parts by an operation whose backward averages
the gradients over the processes and leaves each with its part. They live as long as the graph does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from flambeau.distributed.tensor._redistribute import _moved, local_shape
from flambeau.utils import _pytree as pytree

__all__ = ["Group", "cast_floats"]


class _Whole(fb.autograd.Function):
    @staticmethod
    def forward(local: Any, entry: Any, dtype: Any) -> Any:
        parameter = entry.parameter
        local = local.detach().to(dtype or local.dtype)
        same = [Replicate()] * parameter.device_mesh.ndim
        whole = _moved(local, parameter.shape, parameter.device_mesh, parameter.placements, same)
        return whole.clone() if whole is local else whole

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        local, ctx.entry, _ = inputs
        ctx.dtype = local.dtype

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.entry.part_of_gradient(grad, ctx.dtype), None, None


class _Entry:
    """One parameter: where it is in the module, and a gradient that was not sent yet."""

    def __init__(self, group: Group, places: list[tuple[fb.nn.Module, str]], parameter: DTensor) -> None:
        self.group, self.places, self.parameter = group, places, parameter
        self.waiting: fb.Tensor | None = None

    def part_of_gradient(self, grad: fb.Tensor, dtype: fb.dtype) -> fb.Tensor | None:
        """The average over all processes, cut; None while gradients add up locally."""
        grad = grad.to(self.group.reduce_dtype or grad.dtype)
        if self.waiting is not None:
            grad = grad + self.waiting.to(grad.dtype)
            self.waiting = None
        if not self.group.sync:
            self.waiting = grad.clone()
            return None
        parameter = self.parameter
        mesh = parameter.device_mesh
        for d, placement in enumerate(parameter.placements):
            members = mesh.get_group(d)
            if isinstance(placement, Shard):
                parts = []
                for k in range(mesh.size(d)):
                    length = grad.shape[placement.dim]
                    size, start = Shard.local_shard_size_and_offset(length, mesh.size(d), k)
                    parts.append(grad.narrow(placement.dim, start, size).contiguous())
                grad = fb.empty_like(parts[mesh.get_local_rank(d)])
                dist.reduce_scatter(grad, parts, group=members)
            else:
                grad = grad.contiguous().clone()
                dist.all_reduce(grad, group=members)
        return (grad / (self.group.divisor or mesh.size())).to(dtype)


def cast_floats(value: Any, dtype: fb.dtype | None) -> Any:
    """Floating point tensors of a structure in another dtype."""
    if dtype is None:
        return value
    return pytree.tree_map(
        lambda v: v.to(dtype) if isinstance(v, fb.Tensor) and v.is_floating_point() else v, value
    )


class Group:
    """The parameters that one module puts together for its forward."""

    def __init__(
        self,
        module: fb.nn.Module,
        skipped: set[int],
        mesh: Any,
        placements: Any,
        source: int | None,
        param_dtype: fb.dtype | None = None,
        reduce_dtype: fb.dtype | None = None,
        output_dtype: fb.dtype | None = None,
        cast_inputs: bool = False,
    ) -> None:
        """`skipped`: ids of parameters and modules that are not its own; `placements`: of each parameter."""
        self.param_dtype, self.reduce_dtype, self.output_dtype = param_dtype, reduce_dtype, output_dtype
        self.cast_inputs, self.sync, self.divisor = cast_inputs, True, None
        self.depth = 0
        self.module = module
        places: dict[int, list[tuple[fb.nn.Module, str]]] = {}
        found: dict[int, fb.nn.Parameter] = {}
        for part in _parts(module, skipped):
            for name, parameter in part._parameters.items():
                if parameter is None or id(parameter) in skipped:
                    continue
                if isinstance(parameter, DTensor):
                    raise NotImplementedError(
                        f"FSDP of shared tensors ({name} of {type(part).__name__}): "
                        "tensor parallelism together with FSDP"
                    )
                places.setdefault(id(parameter), []).append((part, name))
                found[id(parameter)] = parameter
        self.entries = []
        for key, parameter in found.items():
            shared = distribute_tensor(parameter, mesh, placements(parameter), src_data_rank=source)
            for part, name in places[key]:
                part._parameters[name] = shared
            self.entries.append(_Entry(self, places[key], shared))

    def unshard(self) -> None:
        """Put the whole tensors into the module."""
        self.depth += 1
        if self.depth > 1:
            return
        for entry in self.entries:
            whole = _Whole.apply(entry.parameter._local_tensor, entry, self.param_dtype)
            for part, name in entry.places:
                part._parameters[name] = whole

    def reshard(self) -> None:
        """Put the parts back."""
        self.depth = max(self.depth - 1, 0)
        if self.depth:
            return
        for entry in self.entries:
            for part, name in entry.places:
                part._parameters[name] = entry.parameter

    def before(self, module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
        """What runs before the forward."""
        self._follow()
        self.unshard()
        if self.cast_inputs:
            args, kwargs = cast_floats((args, kwargs), self.param_dtype)
        return args, kwargs

    def after(self, module: Any, args: Any, output: Any) -> Any:
        """What runs after it."""
        self.reshard()
        return cast_floats(output, self.output_dtype)

    def _follow(self) -> None:
        """Take parameters that were replaced in the module, as by loading with ``assign=True``."""
        if self.depth:
            return
        for entry in self.entries:
            part, name = entry.places[0]
            if isinstance(part._parameters[name], DTensor):
                entry.parameter = part._parameters[name]

    def whole_tensors(self) -> dict[int, fb.Tensor]:
        """The whole value of each parameter, by its id, without gradients."""
        with fb.no_grad():
            return {id(e.parameter): e.parameter.full_tensor() for e in self.entries}

    def write_back(self, wholes: Sequence[fb.Tensor]) -> None:
        """Give each parameter its part of a whole tensor."""
        with fb.no_grad():
            for entry, whole in zip(self.entries, wholes, strict=True):
                p = entry.parameter
                sizes, starts = local_shape(p.shape, p.device_mesh, p.placements)
                for d, (size, start) in enumerate(zip(sizes, starts)):
                    whole = whole.narrow(d, start, size)
                p._local_tensor.copy_(whole)


def _parts(module: fb.nn.Module, skipped: set[int]) -> list[fb.nn.Module]:
    """A module and what is in it, without what is skipped."""
    found = [module]
    for child in module.children():
        if id(child) not in skipped:
            found += _parts(child, skipped)
    return found
