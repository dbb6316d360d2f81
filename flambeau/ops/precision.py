"""Autocast of operators that are written in Python: the core casts only what it computes itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import _C
from flambeau._C import Tensor


def follows_autocast(name: str) -> Callable[[Callable], Callable]:
    """Decorator of an operator: under autocast its tensors are cast as PyTorch's lists say for ``name``."""
    if _C._autocast_of(name, "cpu") == "none" and _C._autocast_of(name, "cuda") == "none":
        return lambda body: body

    def decorate(body: Callable) -> Callable:
        @functools.wraps(body)
        def op(*args: Any, **kwargs: Any) -> Any:
            if not _C._autocast_active():
                return body(*args, **kwargs)
            return _call(name, body, args, kwargs)

        return op

    return decorate


def _call(name: str, body: Callable, args: tuple, kwargs: dict) -> Any:
    first = next(_tensors((*args, *kwargs.values())), None)
    device = "cpu" if first is None else first.device.type
    enabled, lower = _C._autocast_setting(device)
    how = _C._autocast_of(name, device) if enabled else "none"
    if how == "none":
        return body(*args, **kwargs)
    dtype = lower
    if how == "full":
        dtype = _C.float32
    elif how == "promote":
        found = {t.dtype for t in _tensors((*args, *kwargs.values())) if _castable(t, device)}
        dtype = found.pop() if len(found) == 1 else _C.float32

    def cast(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(dtype) if _castable(value, device) else value
        return type(value)(map(cast, value)) if type(value) in (list, tuple) else value

    from ..amp.autocast_mode import autocast

    with autocast(device, enabled=False):
        return body(*map(cast, args), **{k: cast(v) for k, v in kwargs.items()})


def _tensors(values: tuple) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif type(value) in (list, tuple):
            yield from _tensors(tuple(value))


def _castable(t: Any, device: str) -> bool:
    return t.is_floating_point() and t.dtype != _C.float64 and t.device.type == device
