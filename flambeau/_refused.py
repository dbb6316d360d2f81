"""Functions of devices that are not there: they have PyTorch's parameters, and refuse."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


def signature(parameters: str) -> inspect.Signature:
    """The signature that words mean: ``"device= fraction priority=0 **kwargs"``, the defaults are None."""
    made = []
    for word in parameters.split():
        name, equals, default = word.partition("=")
        if name.startswith("**"):
            made.append(inspect.Parameter(name[2:], inspect.Parameter.VAR_KEYWORD))
            continue
        value = int(default) if default else None
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        made.append(inspect.Parameter(name, kind, default=value if equals else inspect.Parameter.empty))
    return inspect.Signature(made)


def refusing(name: str, parameters: str, error: Callable[[], Exception]) -> Callable[..., NoReturn]:
    """A function of that name that checks what it is given and raises `error()`."""
    takes = signature(parameters)

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        try:
            takes.bind(*args, **kwargs)
        except TypeError as problem:
            raise TypeError(f"{name}() {problem}") from None
        raise error()

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__signature__ = takes  # type: ignore[attr-defined]
    return refuse


def table(text: str) -> Mapping[str, str]:
    """Names and parameters, a name on each line."""
    lines = (line.split(None, 1) for line in text.strip().splitlines())
    return {words[0]: words[1] if len(words) > 1 else "" for words in lines}
