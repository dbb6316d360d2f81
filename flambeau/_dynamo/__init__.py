"""``torch._dynamo``: the part of it that packages use; the engine is :mod:`flambeau.compiler`."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import _C

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable",
    "disallow_in_graph", "eval_frame", "exc", "explain", "external_utils", "forbid_in_graph", "graph_break",
    "is_compiling", "is_dynamo_supported", "list_backends", "mark_dynamic", "mark_static",
    "mark_static_address", "maybe_mark_dynamic", "optimize", "register_backend", "reset", "run",
    "set_stance", "substitute_in_graph",
]  # fmt: skip

_OF_COMPILER = frozenset(
    "allow_in_graph assume_constant_result disable is_compiling list_backends register_backend reset "
    "set_stance "
    "substitute_in_graph".split()
)


def __getattr__(name: str) -> Any:
    if name in _OF_COMPILER:
        return getattr(importlib.import_module("flambeau.compiler"), name)
    if name == "OptimizedModule":
        return importlib.import_module("flambeau._dynamo.eval_frame").OptimizedModule
    if name in ("config", "eval_frame", "exc", "external_utils", "utils", "backends", "output_graph"):
        return importlib.import_module(f"flambeau._dynamo.{name}")
    raise AttributeError(f"module 'torch._dynamo' has no attribute {name!r}")


def optimize(
    backend: str | Callable = "inductor",
    *,
    nopython: bool = False,
    disable: bool = False,
    dynamic: bool | None = None,
    **ignored: Any,
) -> Callable[[Callable], Callable]:
    """A decorator: ``flambeau.compile`` under its older name (``nopython`` is ``fullgraph``)."""
    import flambeau as fb

    return lambda fn: fb.compile(fn, backend=backend, fullgraph=nopython, disable=disable, dynamic=dynamic)


def graph_break(msg: str = "") -> None:
    """The call that reaches this is not recorded: it runs eagerly, or raises under ``fullgraph=True``."""
    _C._cannot_capture("it calls torch._dynamo.graph_break()" + (f": {msg}" if msg else ""))


def disallow_in_graph(fn: Callable) -> Callable:
    """``fn`` as one that is never recorded."""
    return __getattr__("disable")(fn)


def forbid_in_graph(fn: Callable | Sequence[Callable]) -> Any:
    """``fn`` as one that is never recorded, or a list of such."""
    return [disallow_in_graph(f) for f in fn] if isinstance(fn, (list, tuple)) else disallow_in_graph(fn)


def explain(f: Callable, *extra_args: Any, **extra_kwargs: Any) -> Any:
    """Tell what ``compile`` records of a call: ``explain(f)(*args)`` gives an ``ExplainOutput``.

    It has the graphs with their operators, and why a call is not recorded. There is one graph of a call or
    none: what PyTorch cuts in two runs eagerly as a whole.
    """
    from .backends.debugging import explained

    if not callable(f):
        raise AssertionError(f"A callable function is expected, but {type(f)} is provided.")
    if extra_args or extra_kwargs:
        warnings.warn(
            "explain(f, *args, **kwargs) is deprecated, use explain(f)(*args, **kwargs) instead.  If you"
            " don't migrate, we may break your explain call in the future if your user defined kwargs"
            " conflict with future kwargs added to explain(f).",
            FutureWarning,
            stacklevel=2,
        )
        return explained(f, extra_args, extra_kwargs)
    return lambda *args, **kwargs: explained(f, args, kwargs)


def run(fn: Callable | None = None) -> Callable:
    """``fn``, which uses what was recorded before and records nothing new where a stance says so."""
    return run if fn is None else fn


def is_dynamo_supported() -> bool:
    """Whether functions can be compiled: everywhere."""
    return True


def mark_dynamic(t: Any, index: int | Sequence[int], *args: Any, **kwargs: Any) -> None:
    """Nothing to mark: each shape is recorded as it comes."""


def maybe_mark_dynamic(t: Any, index: int | Sequence[int]) -> None:
    """Nothing to mark: each shape is recorded as it comes."""


def mark_static(t: Any, index: int | Sequence[int] | None = None) -> None:
    """Nothing to mark: each shape is recorded as it comes."""


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Nothing to mark: memory is looked up at each call."""
