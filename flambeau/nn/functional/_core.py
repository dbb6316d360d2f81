"""Operators of the core, found when they are first used."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import flambeau as fb


def op(name: str) -> Callable:
    """The operator `name`; where there is none yet, a function that says so when it is called."""
    found = _find(name)
    if found is not None:
        return found

    def missing(*args, **kwargs):
        # it may have come meanwhile: some operators are Python, loaded when first asked for
        later = _find(name)
        if later is None:
            raise NotImplementedError(f"flambeau has no operator '{name}' yet")
        return later(*args, **kwargs)

    return missing


def _find(name: str) -> Callable | None:
    for owner in (fb._C._nn, fb):
        found = getattr(owner, name, None)
        if found is not None:
            return found
    return None


def publish(space: dict[str, Any], *hidden: str) -> None:
    """Let ``__torch_function__`` see the functions of a module as themselves, not what they call.

    Parameters
    ----------
    space : the module's globals.
    hidden : functions that PyTorch does not show either.
    """
    for name, f in list(space.items()):
        if isinstance(f, FunctionType) and f.__module__ == space["__name__"]:
            if not name.startswith("_") and name not in hidden:
                space[name] = fb._C._PublicFunction(f)


class _Operators:
    """Operators as attributes, each looked up once."""

    def __getattr__(self, name: str) -> Callable:
        found = op(name)
        setattr(self, name, found)
        return found


core = _Operators()
