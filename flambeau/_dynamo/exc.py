"""Errors of ``flambeau.compile``."""

from __future__ import annotations


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
