"""Context managers that also decorate functions, generators and classes."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["context_decorator", "_DecoratorContextManager", "_NoParamDecoratorContextManager"]


def _wrap_generator(enter: Callable[[], Any], func: Callable) -> Callable:
    """The context is active only while the generator runs, never while it is suspended."""

    @functools.wraps(func)
    def generator(*args: Any, **kwargs: Any) -> Any:
        with enter():
            gen = func(*args, **kwargs)
        step, value = gen.send, None
        while True:
            try:
                with enter():
                    response = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                step, value = gen.send, (yield response)
            except GeneratorExit:
                with enter():
                    gen.close()
                raise
            except BaseException:
                step, value = gen.throw, sys.exc_info()[1]

    return generator


def context_decorator(ctx: Any, func: Callable) -> Callable:
    """Run `func` inside a context.

    Parameters
    ----------
    ctx : a context manager used for every call, or a function that makes one.
    func : function, generator function, or class (every instance is then made inside the context).
    """
    if hasattr(ctx, "__enter__") and not isinstance(ctx, type):
        if callable(ctx) and not isinstance(ctx, _DecoratorContextManager):
            raise TypeError(
                f"Passed in {ctx} is both callable and also a valid context manager (has __enter__), making"
                " it ambiguous"
            )

        def enter() -> Any:
            return ctx

    else:
        enter = ctx
    if inspect.isclass(func):
        raise RuntimeError(
            "Cannot decorate classes; it is ambiguous whether or not only the constructor or all methods"
            " should have the context manager applied; additionally, decorating a class at definition-site"
            " will prevent use of the identifier as a conventional type.  To specify which methods to"
            " decorate, decorate each of them individually."
        )
    if inspect.isgeneratorfunction(func):
        return _wrap_generator(enter, func)

    @functools.wraps(func)
    def decorate_context(*args: Any, **kwargs: Any) -> Any:
        with enter():
            return func(*args, **kwargs)

    return decorate_context


class _DecoratorContextManager:
    """Base of context managers such as `no_grad` that may be used as decorators."""

    def __call__(self, orig_func: Callable) -> Callable:
        if inspect.isclass(orig_func):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only"
                " decorate functions or methods. To preserve the current behavior of class decoration, you"
                " can directly decorate the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
            made = orig_func

            @functools.wraps(made, updated=())
            def construct(*args: Any, **kwargs: Any) -> Any:
                return made(*args, **kwargs)

            orig_func = construct
        return context_decorator(self.clone, orig_func)

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        raise NotImplementedError

    def clone(self) -> Any:
        """A fresh context of the same kind: recursive and threaded calls must not share state."""
        return self.__class__()


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """Allows ``@no_grad`` as well as ``@no_grad()``."""

    def __new__(cls, orig_func: Callable | None = None) -> Any:
        if orig_func is None:
            return super().__new__(cls)
        return cls()(orig_func)
