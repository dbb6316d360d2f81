"""Styles of parallelism: how the parameters of a module are cut, what it takes and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.distributed.device_mesh import DeviceMesh
from flambeau.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor

__all__ = [
    "ColwiseParallel",
    "ParallelStyle",
    "PrepareModuleInput",
    "PrepareModuleInputOutput",
    "PrepareModuleOutput",
    "RowwiseParallel",
    "SequenceParallel",
]


class ParallelStyle(ABC):
    """A way of sharing a module among processes."""

    src_data_rank: int | None = 0

    @abstractmethod
    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module: ...

    def _cut(self, module: nn.Module, mesh: DeviceMesh, placements: dict[str, Placement]) -> None:
        for name, parameter in list(module.named_parameters(recurse=False)):
            shared = distribute_tensor(
                parameter, mesh, [placements.get(name, Replicate())], src_data_rank=self.src_data_rank
            )
            module.register_parameter(name, shared)


def _brought(value: Any, mesh: DeviceMesh, given: Placement | None, wanted: Placement | None) -> Any:
    """A tensor, of which each process has what `given` says, under `wanted`."""
    if given is None or not isinstance(value, fb.Tensor):
        return value
    shared = value if isinstance(value, DTensor) else DTensor.from_local(value, mesh, [given])
    return shared.redistribute(placements=[wanted or given])


def _given_back(value: Any, wanted: Placement | None, local: bool) -> Any:
    if wanted is None or not isinstance(value, DTensor):
        return value
    value = value.redistribute(placements=[wanted])
    return value.to_local() if local else value


class _Linear(ParallelStyle):
    """What the two ways of cutting a matrix share."""

    _input: Placement
    _output: Placement

    def __init__(
        self,
        *,
        input_layouts: Placement | None = None,
        output_layouts: Placement | None = None,
        use_local_output: bool = True,
    ) -> None:
        self.input_layouts = (input_layouts or self._input,)
        self.output_layouts = (output_layouts or self._output,)
        self.use_local_output = use_local_output

    def _placements(self, module: nn.Module) -> tuple[dict[str, Placement], Placement]:
        raise NotImplementedError

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        placements, desired = self._placements(module)
        self._cut(module, device_mesh, placements)

        def take(_: nn.Module, inputs: tuple) -> tuple:
            return (_brought(inputs[0], device_mesh, self.input_layouts[0], desired), *inputs[1:])

        def give(_: nn.Module, inputs: tuple, output: Any) -> Any:
            return _given_back(output, self.output_layouts[0], self.use_local_output)

        module.register_forward_pre_hook(take)
        module.register_forward_hook(give)
        return module

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_layouts={self.input_layouts}, "
            f"output_layouts={self.output_layouts}, use_local_output={self.use_local_output})"
        )


class ColwiseParallel(_Linear):
    """Each process has some of the outputs of a linear layer, or some columns of an embedding."""

    _input, _output = Replicate(), Shard(-1)

    def _placements(self, module: nn.Module) -> tuple[dict[str, Placement], Placement]:
        if isinstance(module, nn.Linear):
            return {"weight": Shard(0), "bias": Shard(0)}, Replicate()
        if isinstance(module, nn.Embedding):
            return {"weight": Shard(1)}, Replicate()
        raise NotImplementedError("ColwiseParallel currently only support nn.Linear and nn.Embedding!")


class RowwiseParallel(_Linear):
    """Each process has some of the inputs of a linear layer, or some rows of an embedding."""

    _input, _output = Shard(-1), Replicate()

    def __init__(
        self,
        *,
        input_layouts: Placement | None = None,
        output_layouts: Placement | None = None,
        use_local_output: bool = True,
    ) -> None:
        super().__init__(
            input_layouts=input_layouts, output_layouts=output_layouts, use_local_output=use_local_output
        )

    def _placements(self, module: nn.Module) -> tuple[dict[str, Placement], Placement]:
        if isinstance(module, nn.Linear):
            return {"weight": Shard(1), "bias": Replicate()}, Shard(-1)
        if isinstance(module, nn.Embedding):
            return {"weight": Shard(0)}, Replicate()
        raise NotImplementedError("RowwiseParallel currently only support nn.Linear and nn.Embedding!")


class SequenceParallel(ParallelStyle):
    """Each process has a piece of the sequence; the parameters are whole."""

    def __init__(self, *, sequence_dim: int = 1, use_local_output: bool = False) -> None:
        self.sequence_dim, self.use_local_output = sequence_dim, use_local_output

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        self._cut(module, device_mesh, {})
        cut = Shard(self.sequence_dim)
        module.register_forward_pre_hook(
            lambda _, inputs: (_brought(inputs[0], device_mesh, cut, cut), *inputs[1:])
        )
        if self.use_local_output:
            module.register_forward_hook(lambda _, inputs, output: output.to_local())
        return module


def _each(layouts: Any) -> tuple:
    return layouts if isinstance(layouts, tuple) else (layouts,)


class PrepareModuleInput(ParallelStyle):
    """The inputs of a module as shared tensors, under other placements."""

    def __init__(
        self,
        *,
        input_layouts: Placement | tuple[Placement | None, ...] | None = None,
        desired_input_layouts: Placement | tuple[Placement | None, ...] | None = None,
        input_kwarg_layouts: dict[str, Placement] | None = None,
        desired_input_kwarg_layouts: dict[str, Placement] | None = None,
        use_local_output: bool = False,
    ) -> None:
        self.input_layouts, self.desired_input_layouts = _each(input_layouts), _each(desired_input_layouts)
        if len(self.input_layouts) != len(self.desired_input_layouts):
            raise AssertionError("input_layouts and desired_input_layouts should have same length!")
        self.kwarg_layouts = input_kwarg_layouts or {}
        self.desired_kwarg_layouts = desired_input_kwarg_layouts or {}
        self.use_local_output = use_local_output

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def one(value: Any, given: Placement | None, wanted: Placement | None) -> Any:
            made = _brought(value, device_mesh, given, wanted)
            return made.to_local() if self.use_local_output and isinstance(made, DTensor) else made

        def take(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
            if self.input_layouts != (None,):
                if len(args) != len(self.input_layouts):
                    raise ValueError("module inputs and input_layouts should have same length!")
                args = tuple(map(one, args, self.input_layouts, self.desired_input_layouts))
            made = {
                k: one(v, self.kwarg_layouts.get(k), self.desired_kwarg_layouts.get(k))
                for k, v in kwargs.items()
            }
            return args, made

        module.register_forward_pre_hook(take, with_kwargs=True)
        return module


class PrepareModuleOutput(ParallelStyle):
    """The outputs of a module under other placements."""

    def __init__(
        self,
        *,
        output_layouts: Placement | tuple[Placement | None, ...],
        desired_output_layouts: Placement | tuple[Placement, ...],
        use_local_output: bool = True,
    ) -> None:
        self.output_layouts, self.desired_output_layouts = (
            _each(output_layouts),
            _each(desired_output_layouts),
        )
        if len(self.output_layouts) != len(self.desired_output_layouts):
            raise AssertionError("output_layouts and desired_output_layouts should have same length!")
        self.use_local_output = use_local_output

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def give(_: nn.Module, inputs: Any, output: Any) -> Any:
            several = isinstance(output, tuple)
            outputs = output if several else (output,)
            if len(outputs) != len(self.output_layouts):
                raise ValueError("module outputs and output_layouts should have same length!")
            made = tuple(
                _given_back(_brought(v, device_mesh, a, b), b, self.use_local_output)
                for v, a, b in zip(outputs, self.output_layouts, self.desired_output_layouts)
            )
            return made if several else made[0]

        module.register_forward_hook(give)
        return module


class PrepareModuleInputOutput(ParallelStyle):
    """`PrepareModuleInput` and `PrepareModuleOutput` in one."""

    def __init__(
        self, *, input_layouts: Any = None, desired_input_layouts: Any = None,
        input_kwarg_layouts: Any = None, desired_input_kwarg_layouts: Any = None,
        use_local_input: bool = False, output_layouts: Any,
        desired_output_layouts: Any, use_local_output: bool = True,
    ) -> None:  # fmt: skip
        self.prepare_module_input = PrepareModuleInput(
            input_layouts=input_layouts, desired_input_layouts=desired_input_layouts,
            input_kwarg_layouts=input_kwarg_layouts, desired_input_kwarg_layouts=desired_input_kwarg_layouts,
            use_local_output=use_local_input,
        )  # fmt: skip
        self.prepare_module_output = PrepareModuleOutput(
            output_layouts=output_layouts, desired_output_layouts=desired_output_layouts,
            use_local_output=use_local_output,
        )  # fmt: skip

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        self.prepare_module_input._apply(module, device_mesh)
        return self.prepare_module_output._apply(module, device_mesh)
