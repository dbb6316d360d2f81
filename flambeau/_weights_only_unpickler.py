"""The pickle machine that makes nothing but data, under PyTorch's name: see `serialization.unpickler`."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

from flambeau.serialization import options, unpickler

__all__ = ["Unpickler", "UnpicklingError", "load"]


class Unpickler:
    """Reads one pickle; anything but plain data, tensors and what was allowed is refused.

    Parameters
    ----------
    file : a file open for reading.
    encoding : of texts of Python 2.
    """

    def __init__(self, file: Any, *, encoding: str = "bytes") -> None:
        self.file, self.encoding = file, encoding

    def persistent_load(self, pid: Any) -> Any:
        """What a persistent id stands for: to be overridden."""
        raise UnpicklingError("unsupported persistent id encountered")

    def load(self) -> Any:
        """The object.

        Raises
        ------
        pickle.UnpicklingError : the pickle names something that is no data, or is damaged.
        """
        encoding = "latin1" if self.encoding == "bytes" else self.encoding
        machine = unpickler.Unpickler(
            self.file, options.allowed_globals(), lambda pid: self.persistent_load(pid), encoding
        )
        try:
            return machine.load()
        except unpickler.Refused as error:
            if error.path is None:
                raise UnpicklingError(str(error)) from None
            name = error.path.removeprefix("__builtin__.").removeprefix("builtins.")
            raise UnpicklingError(
                f"Unsupported global: GLOBAL {name} was not an allowed global by default. Please use "
                f"`torch.serialization.add_safe_globals([{name}])` or the "
                f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this global "
                "if you "
                "trust this class/function."
            ) from None


def load(file: Any, *, encoding: str = "ASCII") -> Any:
    """The object of one pickle."""
    return Unpickler(file, encoding=encoding).load()
