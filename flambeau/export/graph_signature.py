"""What the inputs and outputs of an exported graph stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

__all__ = [
    "ConstantArgument", "ExportBackwardSignature", "ExportGraphSignature", "InputKind", "InputSpec",
    "OutputKind",
    "OutputSpec", "SymIntArgument", "TensorArgument",
]  # fmt: skip


@dataclasses.dataclass
class TensorArgument:
    """A tensor: the name of its node."""

    name: str


@dataclasses.dataclass
class SymIntArgument:
    """A whole number that follows the inputs: the name of its node."""

    name: str


@dataclasses.dataclass
class ConstantArgument:
    """A value that is part of the program."""

    name: str
    value: int | float | bool | str | None


Argument = TensorArgument | SymIntArgument | ConstantArgument


class InputKind(Enum):
    """What an input is."""

    USER_INPUT = auto()
    PARAMETER = auto()
    BUFFER = auto()
    CONSTANT_TENSOR = auto()
    CUSTOM_OBJ = auto()
    TOKEN = auto()


class OutputKind(Enum):
    """What an output is."""

    USER_OUTPUT = auto()
    LOSS_OUTPUT = auto()
    BUFFER_MUTATION = auto()
    PARAMETER_MUTATION = auto()
    GRADIENT_TO_PARAMETER = auto()
    GRADIENT_TO_USER_INPUT = auto()
    USER_INPUT_MUTATION = auto()
    TOKEN = auto()


@dataclasses.dataclass
class InputSpec:
    """One input: its kind, its node, and the name of the parameter, buffer or constant it is."""

    kind: InputKind
    arg: Argument
    target: str | None
    persistent: bool | None = None

    def __str__(self) -> str:
        name = str(self.arg.name)
        target = f" target='{self.target}'" if self.target else ""
        persistent = "" if self.persistent is None else f" persistent={self.persistent}"
        return f"{name}: {self.kind.name}{target}{persistent}"


@dataclasses.dataclass
class OutputSpec:
    """One output: its kind and its node."""

    kind: OutputKind
    arg: Argument
    target: str | None

    def __str__(self) -> str:
        return f"{self.arg.name}: {self.kind.name}" + (f" target='{self.target}'" if self.target else "")


@dataclasses.dataclass
class ExportBackwardSignature:
    """Of a program with its backward: which results are gradients of what, and which is the loss."""

    gradients_to_parameters: dict[str, str]
    gradients_to_user_inputs: dict[str, str]
    loss_output: str


@dataclasses.dataclass
class ExportGraphSignature:
    """The inputs and outputs of an exported graph, in its order."""

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]

    def _targets(self, kind: InputKind) -> tuple[str, ...]:
        return tuple(s.target for s in self.input_specs if s.kind is kind and s.target is not None)

    def _lifted(self, kind: InputKind) -> Mapping[str, str]:
        return MappingProxyType(
            {s.arg.name: s.target for s in self.input_specs if s.kind is kind and s.target is not None}
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self._targets(InputKind.PARAMETER)

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffers."""
        return self._targets(InputKind.BUFFER)

    @property
    def non_persistent_buffers(self) -> tuple[str, ...]:
        """Names of the buffers that are not in the state dict."""
        return tuple(
            s.target for s in self.input_specs if s.kind is InputKind.BUFFER and s.persistent is False
        )

    @property
    def lifted_tensor_constants(self) -> tuple[str, ...]:
        """Names of the constants."""
        return self._targets(InputKind.CONSTANT_TENSOR)

    @property
    def user_inputs(self) -> tuple:
        """What a caller gives: names of nodes, and values that are part of the program."""
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name
            for s in self.input_specs
            if s.kind is InputKind.USER_INPUT
        )

    @property
    def user_outputs(self) -> tuple:
        """What a caller gets."""
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name
            for s in self.output_specs
            if s.kind in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT)
        )

    @property
    def inputs_to_parameters(self) -> Mapping[str, str]:
        """Nodes of parameters and what these are called in the module."""
        return self._lifted(InputKind.PARAMETER)

    @property
    def inputs_to_buffers(self) -> Mapping[str, str]:
        """Nodes of buffers and what these are called in the module."""
        return self._lifted(InputKind.BUFFER)

    @property
    def inputs_to_lifted_tensor_constants(self) -> Mapping[str, str]:
        """Nodes of constants and what these are called."""
        return self._lifted(InputKind.CONSTANT_TENSOR)

    @property
    def buffers_to_mutate(self) -> Mapping[str, str]:
        """Outputs that become new values of buffers: none, the graph writes them in place."""
        return MappingProxyType(
            {s.arg.name: s.target for s in self.output_specs if s.kind is OutputKind.BUFFER_MUTATION}
        )

    def __str__(self) -> str:
        inputs, outputs = ("\n".join(map(str, specs)) for specs in (self.input_specs, self.output_specs))
        return f"\n# inputs\n{inputs}\n\n# outputs\n{outputs}\n"
