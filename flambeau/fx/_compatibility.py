"""How much a name of fx may be relied on, said in its documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["compatibility"]

_T = TypeVar("_T")
_BACK_COMPAT_OBJECTS: dict[Any, None] = {}
_MARKED_WITH_COMPATIBILITY: dict[Any, None] = {}
_STABLE = ".. note::\n    Backwards-compatibility for this API is guaranteed.\n"
_NEW = ".. warning::\n    This API is experimental and is *NOT* backward-compatible.\n"


def compatibility(is_backward_compatible: bool) -> Callable[[_T], _T]:
    """Decorator that notes whether a function or class keeps its behaviour."""

    def mark(found: _T) -> _T:
        text = textwrap.dedent(getattr(found, "__doc__", None) or "")
        found.__doc__ = text + "\n\n" + (_STABLE if is_backward_compatible else _NEW)
        if is_backward_compatible:
            _BACK_COMPAT_OBJECTS.setdefault(found)
        _MARKED_WITH_COMPATIBILITY.setdefault(found)
        return found

    return mark
