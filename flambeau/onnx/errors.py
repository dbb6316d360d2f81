"""Errors of exporting to ONNX and of reading it."""

from __future__ import annotations

__all__ = ["OnnxExporterError", "OnnxExporterWarning", "SymbolicValueError", "UnsupportedOperatorError"]


class OnnxExporterWarning(UserWarning):
    """Something in an export that may not be what was meant."""


class OnnxExporterError(RuntimeError):
    """A program that cannot be exported."""


class UnsupportedOperatorError(OnnxExporterError):
    """An operator for which there is no entry in the table."""

    def __init__(self, name: str, version: int, supported_version: int | None, where: str = "") -> None:
        message = f"Exporting the operator '{name}' to ONNX opset version {version} is not supported"
        if supported_version is not None:
            message += (
                f". Support for this operator was added in version {supported_version}, try exporting with "
                "this version"
            )
        super().__init__(message + (f"\nit is called in {where}" if where else ""))


class SymbolicValueError(OnnxExporterError):
    """A value that has to be a constant and is not."""


def need_onnx() -> object:
    """The package ``onnx``, which is an optional dependency.

    Raises
    ------
    OnnxExporterError
        If it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise OnnxExporterError("Module onnx is not installed!\npip install 'flambeau[onnx]'") from None
    return onnx
