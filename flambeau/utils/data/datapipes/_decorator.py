"""Decorators of pipe classes: function names, determinism, and checks of types."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

from .datapipe import IterDataPipe, MapDataPipe

__all__ = [
    "argument_validation", "functional_datapipe", "guaranteed_datapipes_determinism", "non_deterministic",
    "runtime_validation", "runtime_validation_disabled",
]  # fmt: skip


class functional_datapipe:
    """Class decorator: pipes get a function `name` that makes a pipe of the class."""

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name, self.enable_df_api_tracing = name, enable_df_api_tracing

    def __call__(self, cls: Any) -> Any:
        """Register the class under the name."""
        if isinstance(cls, type) and issubclass(cls, IterDataPipe):
            IterDataPipe.register_datapipe_as_function(self.name, cls, self.enable_df_api_tracing)
        elif isinstance(cls, type) and issubclass(cls, MapDataPipe):
            MapDataPipe.register_datapipe_as_function(self.name, cls)
        return cls


class guaranteed_datapipes_determinism:
    """Context in which pipes that are not deterministic cannot be made."""

    _on = False

    def __init__(self) -> None:
        self.before = guaranteed_datapipes_determinism._on
        guaranteed_datapipes_determinism._on = True

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None:
        guaranteed_datapipes_determinism._on = self.before


class non_deterministic:
    """Class decorator of pipes whose order may change; with a function, of those it says so of."""

    def __init__(self, arg: Any) -> None:
        self.cls = arg if isinstance(arg, type) else None
        self.is_so = None if isinstance(arg, type) else arg
        if self.cls is not None and not issubclass(self.cls, IterDataPipe):
            raise TypeError(
                f"Only `IterDataPipe` can be decorated with `non_deterministic`, but {arg} is found"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a pipe, or take the class that a function decides about."""
        if self.cls is None:
            if not (len(args) == 1 and isinstance(args[0], type) and issubclass(args[0], IterDataPipe)):
                raise TypeError(f"Only `IterDataPipe` can be decorated, but {args[0]} is found")
            self.cls = args[0]
            return self._made_if_allowed
        return self._made_if_allowed(*args, **kwargs)

    def _made_if_allowed(self, *args: Any, **kwargs: Any) -> Any:
        if guaranteed_datapipes_determinism._on and (self.is_so is None or self.is_so(*args, **kwargs)):
            raise TypeError(
                f"{self.cls.__name__} is non-deterministic, but you set 'guaranteed_datapipes_determinism'. "
                "You can turn off determinism for this DataPipe if that is acceptable for your application"
            )
        return self.cls(*args, **kwargs)


def _sample_type(hint: Any) -> Any:
    """The type of samples that an annotation such as ``IterDataPipe[int]`` names."""
    inner = typing.get_args(hint)
    return inner[0] if inner else Any


def _is_of(value: Any, kind: Any) -> bool:
    if kind is Any or isinstance(kind, typing.TypeVar):
        return True
    origin = typing.get_origin(kind)
    if origin in (typing.Union, getattr(__import__("types"), "UnionType", None)):
        return any(_is_of(value, k) for k in typing.get_args(kind))
    kind = origin or kind
    return isinstance(value, kind) if isinstance(kind, type) else True


def argument_validation(f: Callable) -> Callable:
    """Decorator that checks that arguments annotated as pipes are pipes."""
    signature, hints = inspect.signature(f), typing.get_type_hints(f)

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            hint = hints.get(name)
            origin = typing.get_origin(hint) or hint
            if isinstance(origin, type) and issubclass(origin, IterDataPipe):
                if not isinstance(value, IterDataPipe):
                    raise TypeError(f"Expected argument '{name}' as a IterDataPipe, but found {type(value)}")
                wanted, found = _sample_type(hint), _declared(type(value))
                plain = isinstance(wanted, type) and isinstance(found, type)
                if plain and not issubclass(found, wanted):
                    raise TypeError(
                        f"Expected type of argument '{name}' as a subtype of hint {wanted}, but found {found}"
                    )
        return f(*args, **kwargs)

    return wrapper


def _declared(cls: type) -> Any:
    """The type of samples of a pipe class ``class P(IterDataPipe[int])``."""
    for base in getattr(cls, "__orig_bases__", ()):
        if isinstance(typing.get_origin(base), type) and issubclass(typing.get_origin(base), IterDataPipe):
            return _sample_type(base)
    return Any


_checking = True


class runtime_validation_disabled:
    """Context in which `runtime_validation` checks nothing."""

    def __init__(self) -> None:
        global _checking
        self.before, _checking = _checking, False

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None:
        global _checking
        _checking = self.before


def runtime_validation(f: Callable) -> Callable:
    """Decorator of ``__iter__`` that checks that samples have the type that the pipe declares."""
    if f.__name__ != "__iter__":
        raise TypeError(
            f"Can not decorate function {f.__name__} with 'runtime_validation', only __iter__ is allowed"
        )

    @functools.wraps(f)
    def wrapper(self: Any) -> Iterator:
        kind = _declared(type(self))
        for sample in f(self):
            if _checking and not _is_of(sample, kind):
                raise RuntimeError(
                    f"Expected an instance as subtype of {kind}, but found {sample}({type(sample)})"
                )
            yield sample

    return wrapper
