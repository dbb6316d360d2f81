"""Functions that answer a remote call later than they return."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau.futures import Future

__all__ = ["async_execution"]


def async_execution(fn: Callable[..., Future]) -> Callable[..., Future]:
    """Decorator of a function that gives a `Future`: a remote caller gets the value of that.

    The thread that calls the function is free for others meanwhile. Of static and class methods it is the
    inner decorator.

    Parameters
    ----------
    fn : the function.
    """

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Future:
        return fn(*args, **kwargs)

    wrapper._wrapped_async_rpc_function = wrapper
    return wrapper


class Later(NamedTuple):
    """The result of such a function."""

    future: Future


def later(function: Callable, result: Any) -> Any:
    """The result of a function, as `Later` where the function is one of these."""
    if not hasattr(function, "_wrapped_async_rpc_function"):
        return result
    if not isinstance(result, Future):
        kind = type(result)
        raise RuntimeError(
            "Functions decorated with @rpc.async_function must return a torch.futures.Future object, but got "
            f"{kind.__module__}.{kind.__qualname__}"
        )
    return Later(result)
