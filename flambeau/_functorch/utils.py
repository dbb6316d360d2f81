"""Small tools of PyTorch's module."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["argnums_t", "exposed_in"]

argnums_t = int | tuple[int, ...]


def exposed_in(module: str) -> Callable[[Callable], Callable]:
    """Decorate a function that is to say that it is of another module."""

    def placed(fn: Callable) -> Callable:
        fn.__module__ = module
        return fn

    return placed
