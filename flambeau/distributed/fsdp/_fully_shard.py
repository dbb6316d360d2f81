"""`fully_shard`: cut the parameters of a module, in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau import nn
from flambeau.distributed.device_mesh import DeviceMesh, init_device_mesh
from flambeau.distributed.tensor import Replicate, Shard

from ._unshard import Group

__all__ = [
    "CPUOffloadPolicy",
    "FSDPModule",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "UnshardHandle",
    "fully_shard",
    "register_fsdp_forward_method",
]


@dataclasses.dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes of parameters in use, of the sums of gradients, and of what the forward gives."""

    param_dtype: fb.dtype | None = None
    reduce_dtype: fb.dtype | None = None
    output_dtype: fb.dtype | None = None
    cast_forward_inputs: bool = True


@dataclasses.dataclass
class OffloadPolicy:
    """Parameters stay where they are."""


@dataclasses.dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Parameters stay in main memory while they are not used."""

    pin_memory: bool = True


class UnshardHandle:
    """What `FSDPModule.unshard` gives with ``async_op=True``: the tensors are there already."""

    def wait(self) -> None:
        """Wait for the whole tensors."""


class FSDPModule:
    """What a module becomes by `fully_shard`; its class is made of this one and of its own."""

    def _groups(self, recurse: bool = True) -> list[Group]:
        modules = self.modules() if recurse else [self]
        return [m.__dict__["_fsdp_group"] for m in modules if "_fsdp_group" in m.__dict__]

    def unshard(self, async_op: bool = False) -> UnshardHandle | None:
        """Put the whole parameters into the module; `reshard` takes them out again."""
        (group,) = self._groups(recurse=False)
        if not group.depth:
            group.unshard()
        return UnshardHandle() if async_op else None

    def reshard(self) -> None:
        """Put the parts of this process back into the module."""
        (group,) = self._groups(recurse=False)
        group.reshard()

    def set_requires_gradient_sync(self, requires_gradient_sync: bool, *, recurse: bool = True) -> None:
        """Whether backwards average gradients; else they add up in each process until one does."""
        for group in self._groups(recurse):
            group.sync = requires_gradient_sync

    def set_gradient_divide_factor(self, factor: float) -> None:
        """By what sums of gradients are divided, instead of the number of processes."""
        for group in self._groups(recurse=False):
            group.divisor = factor

    set_reduce_scatter_divide_factor = set_gradient_divide_factor

    def set_reshard_after_forward(self, reshard_after_forward: bool, recurse: bool = True) -> None:
        """Accepted: whole tensors live as long as the graph in any case."""

    def set_reshard_after_backward(self, reshard_after_backward: bool, *, recurse: bool = True) -> None:
        """Accepted: whole tensors live as long as the graph in any case."""

    def set_is_last_backward(self, is_last_backward: bool) -> None:
        """Accepted: nothing waits for the end of a backward."""

    def set_modules_to_forward_prefetch(self, modules: list) -> None:
        """Accepted: nothing is fetched ahead."""

    def set_modules_to_backward_prefetch(self, modules: list) -> None:
        """Accepted: nothing is fetched in the backward."""

    def set_requires_all_reduce(self, requires_all_reduce: bool, *, recurse: bool = True) -> None:
        """Not there."""
        raise NotImplementedError("FSDPModule.set_requires_all_reduce")


_classes: dict[type, type] = {}


def fully_shard(
    module: Any,
    *,
    mesh: DeviceMesh | None = None,
    reshard_after_forward: bool | int | None = None,
    shard_placement_fn: Callable[[nn.Parameter], Any] | None = None,
    mp_policy: MixedPrecisionPolicy = MixedPrecisionPolicy(),
    offload_policy: OffloadPolicy = OffloadPolicy(),
    ignored_params: set[nn.Parameter] | None = None,
    dp_mesh_dims: Any = None,
) -> Any:
    """Cut the parameters of a module among processes.

    Each becomes a `DTensor` cut along its first dimension. They are whole during the forward, and until the
    graph of it is gone; gradients are averaged. Call it on inner modules first: what is left over is put
    together for the whole forward of the outer one.

    Parameters
    ----------
    mesh : one dimension; or two, of which the first has copies.
    shard_placement_fn : the `Shard` of a parameter, where not the first dimension.
    mp_policy : dtypes.
    ignored_params : what stays as it is.
    reshard_after_forward, offload_policy : accepted.
    """
    if dp_mesh_dims is not None:
        raise NotImplementedError("fully_shard with dp_mesh_dims")
    modules = [module] if isinstance(module, nn.Module) else list(module)
    if len(modules) != 1:
        raise NotImplementedError("fully_shard of several modules as one")
    module = modules[0]
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        raise ValueError(f"fully_shard does not support containers that do not implement forward: {module}")
    if isinstance(module, FSDPModule):
        raise AssertionError("Each distinct composable distributed API can only be applied to a module once.")
    if mesh is None:
        mesh = (
            init_device_mesh("cpu", (dist.get_world_size(),))
            if dist.is_initialized()
            else init_device_mesh("cpu", (1,))
        )
    if mesh.ndim > 2:
        raise ValueError(f"fully_shard expects a 1D or 2D DeviceMesh but got {mesh}")

    def placements(parameter: nn.Parameter) -> list:
        cut = shard_placement_fn(parameter) if shard_placement_fn is not None else None
        if cut is not None and not isinstance(cut, Shard):
            raise NotImplementedError(f"fully_shard: the placement {cut}")
        return [Replicate()] * (mesh.ndim - 1) + [cut or Shard(0)]

    skipped = {id(p) for p in ignored_params or ()}
    skipped |= {id(part) for part in module.modules() if isinstance(part, FSDPModule)}
    group = Group(
        module, skipped, mesh, placements, None, mp_policy.param_dtype, mp_policy.reduce_dtype,
        mp_policy.output_dtype, mp_policy.cast_forward_inputs and mp_policy.param_dtype is not None,
    )  # fmt: skip
    module.__dict__["_fsdp_group"] = group
    module.register_forward_pre_hook(group.before, prepend=True, with_kwargs=True)
    module.register_forward_hook(group.after, always_call=True)
    kind = type(module)
    if kind not in _classes:
        _classes[kind] = type(f"FSDP{kind.__name__}", (FSDPModule, kind), {})
    module.__class__ = _classes[kind]
    return module


def register_fsdp_forward_method(module: nn.Module, method_name: str) -> None:
    """Make the parameters whole during another method of a module, too."""
    if not isinstance(module, FSDPModule):
        return
    (group,) = module._groups(recurse=False)
    method = getattr(module, method_name)

    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = group.before(module, args, kwargs)
        output = None
        try:
            output = method(*args, **kwargs)
        finally:
            output = group.after(module, args, output)
        return output

    module.__dict__[method_name] = run
