"""Settings as attributes of a module."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

__all__ = ["Switch", "Settings", "flags_context"]


class Switch:
    """A setting that is read and written as an attribute; writing checks the type."""

    def __init__(
        self, default: Any, kind: type | tuple = bool, check: Callable[[Any], None] | None = None
    ) -> None:
        self.value, self.kind, self.check = default, kind, check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, obj: Any, owner: type) -> Any:
        return self.value

    def __set__(self, obj: Any, value: Any) -> None:
        if not isinstance(value, self.kind):
            expected = getattr(self.kind, "__name__", self.kind)
            raise TypeError(f"{self.name} must be {expected}, not {type(value).__name__}")
        if self.check is not None:
            self.check(value)
        self.value = value


# what `backends.fp32_precision` says for all libraries that say nothing themselves
_of_all = {"fp32_precision": "none"}


def _check_precision(value: str) -> None:
    if value not in ("none", "ieee", "tf32", "bf16"):
        raise RuntimeError(f"Unknown precision: {value}")


class Precision(Switch):
    """``fp32_precision`` of a library: that of all while it is ``"none"``."""

    def __init__(self) -> None:
        super().__init__("none", str, _check_precision)

    def __get__(self, obj: Any, owner: type) -> Any:
        return _of_all["fp32_precision"] if self.value == "none" else self.value


class PrecisionOfAll(Switch):
    """``fp32_precision`` of all libraries that say nothing themselves."""

    def __init__(self) -> None:
        super().__init__("none", str, _check_precision)

    def __get__(self, obj: Any, owner: type) -> Any:
        return _of_all["fp32_precision"]

    def __set__(self, obj: Any, value: Any) -> None:
        super().__set__(obj, value)
        _of_all["fp32_precision"] = value


class Settings(ModuleType):
    """A module whose class holds `Switch` attributes."""

    @classmethod
    def install(cls, name: str) -> None:
        """Give the module of this name the attributes of the class."""
        sys.modules[name].__class__ = cls


@contextlib.contextmanager
def flags_context(module: ModuleType, **values: Any) -> Iterator[None]:
    """Context manager: settings of a module for a block; None leaves one alone."""
    before = {k: getattr(module, k) for k in values}
    try:
        for k, v in values.items():
            if v is not None:
                setattr(module, k, v)
        yield
    finally:
        for k, v in before.items():
            setattr(module, k, v)
