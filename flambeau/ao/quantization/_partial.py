"""Constructors with some arguments given: what a `QConfig` holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["_PartialWrapper", "with_args", "with_callable_args"]


class _PartialWrapper:
    """A constructor with arguments, some of which are asked for at each call."""

    def __init__(self, p: Callable) -> None:
        self.p = p
        self.callable_args: dict[str, Callable[[], Any]] = {}

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        late = {name: ask() for name, ask in self.callable_args.items() if name not in keywords}
        return self.p(*args, **keywords, **late)

    def __repr__(self) -> str:
        return f"{self.p!r}{self.callable_args!r}"

    def with_args(self, **kwargs: Any) -> _PartialWrapper:
        """The same with further arguments."""
        return with_args(self, **kwargs)

    def with_callable_args(self, **kwargs: Callable[[], Any]) -> _PartialWrapper:
        """The same with further arguments that functions give at each call."""
        made = _PartialWrapper(self.p)
        made.callable_args = {**self.callable_args, **kwargs}
        return made


def with_args(cls_or_self: Any, **kwargs: Any) -> _PartialWrapper:
    """A constructor with keyword arguments."""
    return _PartialWrapper(partial(cls_or_self, **kwargs))


def with_callable_args(cls_or_self: Any, **kwargs: Callable[[], Any]) -> _PartialWrapper:
    """A constructor with keyword arguments that functions give at each call."""
    return _PartialWrapper(partial(cls_or_self)).with_callable_args(**kwargs)
