"""The decorators and types that packages take from this private module instead of from ``torch.jit``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

from .jit import (
    Future,
    _overload,  # noqa: F401
    _overload_method,  # noqa: F401
    export,
    ignore,
    is_scripting,
    unused,
)
from .jit import isinstance as _isinstance  # noqa: F401
from .jit.annotations import BroadcastingList1, BroadcastingList2, BroadcastingList3
from .jit.frontend import FunctionModifiers

__all__ = [
    "BroadcastingList1",
    "BroadcastingList2",
    "BroadcastingList3",
    "Final",
    "FunctionModifiers",
    "Future",
    "boolean_dispatch",
    "export",
    "get_torchscript_modifier",
    "ignore",
    "is_scripting",
    "unused",
]


def _copy_to_script_wrapper(fn: Callable) -> Callable:
    """Marks a method that scripted modules keep as Python: they keep all."""
    fn._torchscript_modifier = FunctionModifiers.COPY_TO_SCRIPT_WRAPPER
    return fn


def _drop(fn: Callable) -> Callable:
    """Marks a function that scripting leaves out."""
    fn._torchscript_modifier = FunctionModifiers._DROP
    return fn


def get_torchscript_modifier(fn: Any) -> str | None:
    """The word that a decorator left on a function; None where `fn` is none."""
    if not callable(fn):
        return None
    return getattr(getattr(fn, "__func__", fn), "_torchscript_modifier", FunctionModifiers.DEFAULT)


def boolean_dispatch(
    arg_name: str, arg_index: int, default: bool, if_true: Callable, if_false: Callable,
    module_name: str | None, func_name: str | None,
) -> Callable:  # fmt: skip
    """A function that calls `if_true` or `if_false`, as its argument `arg_name` says."""

    def dispatched(*args: Any, **kwargs: Any) -> Any:
        chosen = args[arg_index] if arg_index < len(args) else kwargs.get(arg_name, default)
        return (if_true if chosen else if_false)(*args, **kwargs)

    if if_true.__doc__ is None and if_false.__doc__ is not None:
        dispatched.__doc__ = if_false.__doc__
    elif if_false.__doc__ is None and if_true.__doc__ is not None:
        dispatched.__doc__ = if_true.__doc__
    elif if_true.__doc__ is not None:
        raise RuntimeError("only one function can have a docstring")
    if module_name is not None:
        dispatched.__module__ = module_name
    if func_name is not None:
        dispatched.__name__ = func_name
    return dispatched


def createResolutionCallbackFromFrame(frames_up: int = 0) -> Callable[[str], Any]:
    """A function from names to what they stand for in the frame of the caller."""
    frame = inspect.currentframe()
    for _ in range(frames_up + 1):
        frame = frame.f_back if frame is not None else None
    names = {} if frame is None else {**frame.f_globals, **frame.f_locals}
    return functools.partial(dict.get, names)
