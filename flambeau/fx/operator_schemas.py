"""Arguments of a call in the order of the function's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import nn
from flambeau._annotations import signature_of


class ArgsKwargsPair(NamedTuple):
    """Positional and keyword arguments."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def normalize_function(
    target: Callable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    arg_types: tuple | None = None,
    kwarg_types: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """All arguments with defaults filled in; None if the function has no signature or they do not fit."""
    try:
        signature = signature_of(target)
    except (TypeError, ValueError):
        return None
    return _by_signature(signature, args, kwargs or {}, normalize_to_only_use_kwargs)


def normalize_module(
    root: nn.Module,
    target: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """The same for the module with this path."""
    signature = signature_of(root.get_submodule(target).forward)
    return _by_signature(signature, args, kwargs or {}, normalize_to_only_use_kwargs)


def _by_signature(
    signature: inspect.Signature, args: tuple, kwargs: dict[str, Any], only_kwargs: bool
) -> ArgsKwargsPair | None:
    packed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if any(p.kind in packed for p in signature.parameters.values()):
        return None
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    if only_kwargs:
        return ArgsKwargsPair((), dict(bound.arguments))
    names = iter(signature.parameters)
    by_place = tuple(bound.arguments[n] for n, _ in zip(names, args))
    return ArgsKwargsPair(by_place, dict(list(bound.arguments.items())[len(by_place) :]))
