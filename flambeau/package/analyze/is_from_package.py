"""Whether something came out of a package."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .._mangling import is_mangled


def is_from_package(obj: Any) -> bool:
    """Whether a module is one of a package, or an object an instance of a class of one."""
    return is_mangled(obj.__name__ if isinstance(obj, ModuleType) else type(obj).__module__)
