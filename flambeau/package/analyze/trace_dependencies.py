"""The modules that a call runs through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from flambeau._places import torch_name

__all__ = ["trace_dependencies"]


def trace_dependencies(callable: Callable[[Any], Any], inputs: Iterable[tuple[Any, ...]]) -> list[str]:
    """Call a function with each of `inputs` and note the modules whose code ran.

    Parameters
    ----------
    callable : the function.
    inputs : the arguments, a tuple for each call.

    Returns
    -------
    list of str : names of the modules, by order of their first use.
    """
    seen: dict[str, None] = {}

    def note(frame: Any, event: str, arg: Any) -> None:
        where = None
        if event == "call":
            where = frame.f_globals.get("__name__")
        elif event == "c_call" and arg is not sys.setprofile:
            where = getattr(arg, "__module__", None)
        if isinstance(where, str) and where not in ("builtins", __name__):
            seen[torch_name(where)] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for arguments in inputs:
            callable(*arguments)
    finally:
        sys.setprofile(before)
    return list(seen)
