"""`DTensor`: a tensor that several processes share. Its memory is the part of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._rules import RuledTensor
from flambeau.distributed.device_mesh import DeviceMesh

from ._redistribute import local_shape, redistribute
from .placement_types import Partial, Placement, Replicate, Shard

__all__ = [
    "DTensor",
    "distribute_module",
    "distribute_tensor",
    "empty",
    "full",
    "make",
    "ones",
    "rand",
    "randn",
    "zeros",
]

_plain_calls = _C.DisableTorchFunctionSubclass


class DTensor(RuledTensor):
    """A tensor of which each process of a mesh has a part.

    Made by `from_local` or `distribute_tensor`. Operators work on the parts where the rules in ``_rules.py``
    allow it; else every process computes on the whole tensor.
    """

    @property
    def _local_tensor(self) -> fb.Tensor:
        with _plain_calls():
            return self.as_subclass(fb.Tensor)

    @property
    def device_mesh(self) -> DeviceMesh:
        """The processes."""
        return self.__dict__["_mesh"]

    @property
    def placements(self) -> tuple[Placement, ...]:
        """How it is shared along each dimension of the mesh."""
        return self.__dict__["_placements"]

    @property
    def shape(self) -> fb.Size:
        """The shape of the whole."""
        return fb.Size(self.__dict__["_shape"])

    def size(self, dim: int | None = None) -> Any:
        """The shape of the whole, or one of its sizes."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements of the whole."""
        return self.shape.numel()

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """The strides of the whole, whose elements stand one after the other."""
        steps, step = [], 1
        for size in reversed(self.shape):
            steps.append(step)
            step *= max(size, 1)
        steps = tuple(reversed(steps))
        return steps if dim is None else steps[dim]

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return (
            f"DTensor(local_tensor={self._local_tensor.detach()}, device_mesh={self.device_mesh}, "
            f"placements={self.placements})"
        )

    __str__ = __repr__

    @staticmethod
    def from_local(
        local_tensor: fb.Tensor,
        device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None,
        *,
        run_check: bool = False,
        shape: Sequence[int] | None = None,
        stride: tuple[int, ...] | None = None,
        grad_placements: Sequence[Placement] | None = None,
    ) -> DTensor:
        """The tensor of which each process gives its part; parts are equal unless `shape` is given."""
        if device_mesh is None:
            raise NotImplementedError("DTensor.from_local without a device_mesh")
        if grad_placements is not None:
            raise NotImplementedError("DTensor.from_local with grad_placements")
        placements = _checked(placements, device_mesh, local_tensor.dim())
        if shape is None:
            sizes = list(local_tensor.shape)
            for d, placement in enumerate(placements):
                if isinstance(placement, Shard):
                    sizes[placement.dim] *= device_mesh.size(d)
            shape = sizes
        if run_check:
            from flambeau import distributed as dist

            for d, placement in enumerate(placements):
                if isinstance(placement, Replicate):
                    group = device_mesh.get_group(d)
                    dist.broadcast(local_tensor.detach(), group=group, group_src=0)
        return make(local_tensor, device_mesh, placements, shape)

    def to_local(self, *, grad_placements: Sequence[Placement] | None = None) -> fb.Tensor:
        """The part of this process."""
        if grad_placements is not None and tuple(grad_placements) != self.placements:
            raise NotImplementedError("DTensor.to_local with other grad_placements")
        return self._local_tensor

    def redistribute(
        self,
        device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None,
        *,
        async_op: bool = False,
        forward_dtype: fb.dtype | None = None,
        backward_dtype: fb.dtype | None = None,
    ) -> DTensor:
        """The same tensor, shared in another way."""
        if forward_dtype is not None or backward_dtype is not None:
            raise NotImplementedError("DTensor.redistribute with forward_dtype or backward_dtype")
        if device_mesh is not None and device_mesh != self.device_mesh:
            raise NotImplementedError("redistribute across device mesh is not supported yet")
        if placements is None:
            raise RuntimeError("placements is needed for redistribute!")
        target = _checked(placements, self.device_mesh, self.dim())
        if any(isinstance(b, Partial) and a != b for a, b in zip(self.placements, target)):
            raise RuntimeError(
                "Can not redistribute to Partial, redistributing to Partial is for internal use only!"
            )
        local = redistribute(self._local_tensor, self.shape, self.device_mesh, self.placements, target)
        return make(local, self.device_mesh, target, self.shape)

    def full_tensor(self, *, grad_placements: Sequence[Placement] | None = None) -> fb.Tensor:
        """The whole tensor, in every process."""
        return self.redistribute(placements=[Replicate()] * self.device_mesh.ndim).to_local()

    def __deepcopy__(self, memo: dict) -> DTensor:
        local = self._local_tensor.detach().clone()
        made = _leaf(local, self.device_mesh, self.placements, self.shape, self.requires_grad)
        if getattr(self, "_is_param", False):
            made._is_param = True
        memo[id(self)] = made
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotImplementedError("a DTensor in a pickle: use torch.distributed.checkpoint, or full_tensor()")


def make(
    local: fb.Tensor, mesh: DeviceMesh, placements: Sequence[Placement], shape: Sequence[int]
) -> DTensor:
    """The DTensor with this part, connected to the part's graph."""
    with _plain_calls():
        made = local.as_subclass(DTensor)
    if made is local:
        made = local.view_as(local).as_subclass(DTensor)
    made.__dict__.update(_mesh=mesh, _placements=tuple(placements), _shape=tuple(shape))
    return made


def _leaf(local: Any, mesh: Any, placements: Any, shape: Any, requires_grad: bool) -> DTensor:
    made = make(local.detach(), mesh, placements, shape)
    return made.requires_grad_() if requires_grad else made


def _checked(placements: Sequence[Placement] | None, mesh: DeviceMesh, dim: int) -> tuple[Placement, ...]:
    """Placements for every mesh dimension, negative dimensions counted from the front."""
    made = list(placements) if placements is not None else [Replicate()] * mesh.ndim
    if len(made) != mesh.ndim:
        raise ValueError(
            "`placements` must have the same length as `device_mesh.ndim`! "
            f"Found placements length: {len(made)}, and device_mesh.ndim: {mesh.ndim}."
        )
    return tuple(Shard(p.dim + dim) if isinstance(p, Shard) and p.dim < 0 else p for p in made)


def distribute_tensor(
    tensor: fb.Tensor,
    device_mesh: DeviceMesh | None = None,
    placements: Sequence[Placement] | None = None,
    *,
    src_data_rank: int | None = 0,
) -> DTensor:
    """Share the tensor of the first process; with `src_data_rank` None each takes its part of its own."""
    from flambeau import distributed as dist

    if device_mesh is None:
        raise NotImplementedError("distribute_tensor without a device_mesh")
    if isinstance(tensor, DTensor):
        if tensor.device_mesh != device_mesh or tensor.placements != tuple(placements):
            raise ValueError("Cannot distribute a DTensor to other placements: use redistribute")
        return tensor
    target = _checked(placements, device_mesh, tensor.dim())
    local = tensor.detach()
    if src_data_rank is not None:
        local = local.contiguous().clone()
        for d in range(device_mesh.ndim):
            dist.broadcast(local, group=device_mesh.get_group(d), group_src=src_data_rank)
    sizes, starts = local_shape(tensor.shape, device_mesh, target)
    for d, (size, start) in enumerate(zip(sizes, starts)):
        local = local.narrow(d, start, size)
    for d, placement in enumerate(target):
        if isinstance(placement, Partial) and device_mesh.get_local_rank(d) != 0:
            local = fb.zeros_like(local)
    made = _leaf(local.contiguous().clone(), device_mesh, target, tensor.shape, tensor.requires_grad)
    return fb.nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, fb.nn.Parameter) else made


def distribute_module(
    module: fb.nn.Module,
    device_mesh: DeviceMesh | None = None,
    partition_fn: Callable | None = None,
    input_fn: Callable | None = None,
    output_fn: Callable | None = None,
) -> fb.nn.Module:
    """Make the parameters of a module DTensors, by `partition_fn` or whole; hooks for inputs and outputs."""
    for name, part in module.named_modules():
        if partition_fn is not None:
            partition_fn(name, part, device_mesh)
        for store in (part._parameters, part._buffers):
            for key, tensor in list(store.items()):
                if tensor is not None and not isinstance(tensor, DTensor):
                    store[key] = distribute_tensor(tensor, device_mesh, [Replicate()] * device_mesh.ndim)
    if input_fn is not None:
        module.register_forward_pre_hook(lambda m, inputs: input_fn(m, inputs, device_mesh))
    if output_fn is not None:
        module.register_forward_hook(lambda m, inputs, output: output_fn(m, output, device_mesh))
    return module


def _factory(name: str, what: str) -> Callable[..., DTensor]:
    random = name.startswith("rand")

    def make_one(
        *size: Any,
        requires_grad: bool = False,
        dtype: fb.dtype | None = None,
        layout: fb.layout = fb.strided,
        device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None,
    ) -> DTensor:
        value = ()
        if name == "full":
            *size, fill = size
            value = (fill,)
        shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
        target = _checked(placements, device_mesh, len(shape))
        if random:  # the whole tensor of the first process, cut: the same numbers for every mesh
            made = distribute_tensor(getattr(fb, name)(shape, dtype=dtype), device_mesh, target)
        else:
            sizes, _ = local_shape(shape, device_mesh, target)
            made = make(getattr(fb, name)(sizes, *value, dtype=dtype), device_mesh, target, shape)
        return made.requires_grad_() if requires_grad else made

    make_one.__name__ = make_one.__qualname__ = name
    make_one.__doc__ = f"A shared tensor of {what}."
    return make_one


empty, zeros, ones = _factory("empty", "any numbers"), _factory("zeros", "zeros"), _factory("ones", "ones")
full, rand, randn = (
    _factory("full", "a value, the last argument"),
    _factory("rand", "numbers of [0, 1)"),
    _factory("randn", "normal numbers"),
)
