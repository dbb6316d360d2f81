"""Operators of the core under the names that functional gives them."""

from collections.abc import Callable

import flambeau as fb


def op(name: str) -> Callable:
    """The core's operator `name`; where the core has none yet, a function that says so when it is called."""
    for owner in (fb._C._nn, fb._C):
        found = getattr(owner, name, None)
        if found is not None:
            return found
    try:
        return getattr(fb, name)
    except AttributeError:

        def missing(*args, **kwargs):
            raise NotImplementedError(f"{name}: the core of flambeau does not have this operator yet")

        return missing
