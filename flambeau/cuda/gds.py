"""Files read straight into a GPU's memory. There is no GPU."""

from __future__ import annotations

from typing import Any

from . import _refuse

__all__ = ["GdsFile", "gds_deregister_buffer", "gds_register_buffer"]


def gds_register_buffer(s: Any) -> None:
    """Make a storage known to the file system."""
    _refuse()


def gds_deregister_buffer(s: Any) -> None:
    """Forget it."""
    _refuse()


class GdsFile:
    """A file that storages of a GPU are read from and written to."""

    def __new__(cls, filename: str, flags: int) -> GdsFile:
        return _refuse()

    def load_storage(self, storage: Any, offset: int = 0) -> None:
        """Read a storage."""
        _refuse()

    def save_storage(self, storage: Any, offset: int = 0) -> None:
        """Write a storage."""
        _refuse()
