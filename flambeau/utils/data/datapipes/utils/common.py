"""Files that are open as long as somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["StreamWrapper"]


class StreamWrapper:
    """A file object that is closed when nobody holds it any more."""

    def __init__(self, file_obj: Any, parent_stream: Any = None, name: str | None = None) -> None:
        self.file_obj, self.parent_stream, self.name = file_obj, parent_stream, name
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["file_obj"], name)

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the file."""
        if not self.closed:
            self.closed = True
            self.file_obj.close(*args, **kwargs)

    def autoclose(self) -> None:
        """Close the file."""
        self.close()

    def __iter__(self) -> Iterator:
        yield from self.file_obj

    def __next__(self) -> Any:
        return next(self.file_obj)

    def __del__(self) -> None:
        if "file_obj" in self.__dict__:
            self.close()

    def __repr__(self) -> str:
        return f"StreamWrapper<{self.name if self.name is not None else self.file_obj!r}>"


def _check_function(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"A callable function is expected, but {type(fn)} is provided.")
