"""Errors of programs that cannot be recorded, under the names that PyTorch gives them."""

__all__ = ["FrontendError", "FrontendTypeError", "NotSupportedError", "UnsupportedNodeError"]


class FrontendError(Exception):
    """A place in a source that cannot be taken over."""

    def __init__(self, source_range: object, msg: str) -> None:
        self.source_range, self.msg = source_range, msg

    def __str__(self) -> str:
        return f"{self.msg}:\n{self.source_range}".rstrip()


class NotSupportedError(FrontendError):
    """Python that TorchScript does not have."""


class UnsupportedNodeError(NotSupportedError):
    """A statement or expression that TorchScript does not have."""


class FrontendTypeError(FrontendError):
    """A type that TorchScript does not have."""
