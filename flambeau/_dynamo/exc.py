"""Errors of ``flambeau.compile``."""

from __future__ import annotations

import enum


class TorchDynamoException(RuntimeError):
    """What compiling raises."""


class Unsupported(TorchDynamoException):
    """With ``fullgraph=True``: the call does something that no graph holds; the text names the line."""


class InvalidBackend(TorchDynamoException):
    """The name of a backend that does not exist."""


class InternalTorchDynamoError(TorchDynamoException):
    """An error of PyTorch's own; here for code that catches it."""


class BackendCompilerFailed(TorchDynamoException):
    """An error of PyTorch's backends; here for code that catches it."""


class TorchRuntimeError(TorchDynamoException):
    """An error of PyTorch's tracing; here for code that catches it."""


class RecompileError(TorchDynamoException):
    """``config.error_on_recompile``: a call fits no recording, and there is one already."""


class FailOnRecompileLimitHit(TorchDynamoException):
    """``config.fail_on_recompile_limit_hit``, or ``fullgraph=True``: more recordings than allowed."""


class RestartAnalysis(TorchDynamoException):
    """PyTorch's tracing begins again; here for code that catches it."""

    def __init__(self, *args: object, restart_reason: str | None = None) -> None:
        self.restart_reason = restart_reason
        super().__init__(*args)


class TensorifyScalarRestartAnalysis(RestartAnalysis):
    """The same, with numbers as tensors; here for code that catches it."""


class UserErrorType(enum.Enum):
    """What kind of wrong use a `UserError` is about."""

    DYNAMIC_CONTROL_FLOW = enum.auto()
    ANTI_PATTERN = enum.auto()
    STANDARD_LIBRARY = enum.auto()
    CONSTRAINT_VIOLATION = enum.auto()
    DYNAMIC_DIM = enum.auto()
    INVALID_INPUT = enum.auto()
    INVALID_OUTPUT = enum.auto()
    UNSUPPORTED_ALIASED_MUTATED_DYNAMIC_INPUTS = enum.auto()


class UserError(Unsupported):
    """A program that cannot be exported, or a wrong use of the exporter."""

    def __init__(self, error_type: UserErrorType, msg: str, case_name: str | None = None) -> None:
        super().__init__(msg)
        self.error_type, self.message, self.msg = error_type, msg, msg
