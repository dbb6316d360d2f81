"""Errors of PyTorch's code generator, for code that catches them: nothing is generated here."""

from __future__ import annotations

from typing import Any

from flambeau._dynamo.exc import BackendCompilerFailed, TorchDynamoException

__all__ = [
    "CUDACompileError", "CppCompileError", "CppWrapperCodegenError", "GPUTooOldForTriton", "InductorError",
    "InvalidCxxCompiler", "LoweringException", "MissingOperatorWithDecomp", "MissingOperatorWithoutDecomp",
    "OperatorIssue", "ShortenTraceback", "SubgraphLoweringException", "TritonMissing",
]  # fmt: skip


class ShortenTraceback(TorchDynamoException):
    """An error whose traceback begins at the user's line."""


class OperatorIssue(RuntimeError):
    """An operator that could not be lowered."""

    @staticmethod
    def operator_str(target: Any, args: list[Any], kwargs: dict[str, Any]) -> str:
        """An operator and its arguments, one a line."""
        lines = [f"target: {target}", *(f"args[{i}]: {arg}" for i, arg in enumerate(args))]
        return "\n".join(f"  {line}" for line in lines + ([f"kwargs: {kwargs}"] if kwargs else []))


class MissingOperatorWithoutDecomp(OperatorIssue):
    """An operator that the generator does not know."""

    def __init__(self, target: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(f"missing lowering\n{self.operator_str(target, args, kwargs)}")


class MissingOperatorWithDecomp(OperatorIssue):
    """The same; a composition of others is known."""

    def __init__(self, target: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(f"missing decomposition\n{self.operator_str(target, args, kwargs)}")


class LoweringException(OperatorIssue):
    """An error while an operator was lowered."""

    def __init__(
        self,
        exc: Exception,
        target: Any,
        args: list[Any],
        kwargs: dict[str, Any],
        stack_trace: str | None = None,
    ) -> None:
        super().__init__(f"{type(exc).__name__}: {exc}\n{self.operator_str(target, args, kwargs)}")


class SubgraphLoweringException(RuntimeError):
    """A part of a graph that could not be lowered."""


class InvalidCxxCompiler(RuntimeError):
    """No compiler of C++ was found."""


class CppWrapperCodegenError(RuntimeError):
    """A program could not be written in C++."""

    def __init__(self, msg: str) -> None:
        super().__init__(f"C++ wrapper codegen error: {msg}")


class CppCompileError(RuntimeError):
    """A compiler refused what was generated."""

    def __init__(self, cmd: list[str], output: str | bytes) -> None:
        said = output.decode("utf-8") if isinstance(output, bytes) else output
        self.cmd, self.output = cmd, said
        super().__init__(f"C++ compile error\n\nCommand:\n{' '.join(cmd)}\n\nOutput:\n{said}")


class CUDACompileError(CppCompileError):
    """The same, of CUDA."""


class TritonMissing(ShortenTraceback):
    """Triton is not installed."""


class GPUTooOldForTriton(ShortenTraceback):
    """The GPU is older than those that Triton knows."""


class InductorError(BackendCompilerFailed):
    """An error of the generator itself."""
