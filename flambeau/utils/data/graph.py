"""The pipes that a pipe is made of."""

from __future__ import annotations

from typing import Any

from flambeau._own_methods import is_ours

from .datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = ["traverse", "traverse_dps"]


def _is_pipe(x: Any) -> bool:
    return isinstance(x, (IterDataPipe, MapDataPipe))


def _held(x: Any, found: dict, seen: set) -> None:
    """Collect the pipes that an object holds, not those that they hold."""
    if id(x) in seen:
        return
    seen.add(id(x))
    if _is_pipe(x):
        found[id(x)] = x
    elif isinstance(x, dict):
        for v in x.values():
            _held(v, found, seen)
    elif isinstance(x, (list, tuple, set, frozenset)):
        for v in x:
            _held(v, found, seen)
    elif is_ours(type(x).__module__, "utils.data") and hasattr(x, "__dict__"):
        _held(vars(x), found, seen)


def traverse_dps(datapipe: Any) -> dict:
    """The graph of a pipe: ``{id: (pipe, graph of the pipes it reads)}``."""
    return _traverse(datapipe, set())


def _traverse(datapipe: Any, above: set) -> dict:
    if id(datapipe) in above:
        return {}
    above = above | {id(datapipe)}
    found: dict = {}
    _held(vars(datapipe), found, set())
    graph: dict = {}
    for pipe in found.values():
        graph.update(_traverse(pipe, above))
    return {id(datapipe): (datapipe, graph)}


def traverse(datapipe: Any, only_datapipe: bool | None = None) -> dict:
    """`traverse_dps` under its old name."""
    return traverse_dps(datapipe)
