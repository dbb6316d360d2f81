"""Settings that are attributes, changed for a while."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def changed(
    settings: Any, changes: dict[str, Any] | str | None, value: Any = None, more: dict[str, Any] | None = None
) -> Iterator[None]:
    """Settings that have other values within a ``with`` block or a decorated function.

    Parameters
    ----------
    settings : what they are attributes of; ``"triton.cudagraphs"`` is one of a group.
    changes : the values by name, or the name of one.
    value : its value.
    more : others by name.
    """
    new = {**({changes: value} if isinstance(changes, str) else changes or {}), **(more or {})}
    with contextlib.ExitStack() as undo:
        for name, setting in new.items():
            group, _, own = name.rpartition(".")
            home = operator.attrgetter(group)(settings) if group else settings
            back = (setattr, home, own, getattr(home, own)) if hasattr(home, own) else (delattr, home, own)
            setattr(home, own, setting)
            undo.callback(*back)
        yield
