"""Where the nodes of a graph came from: kept while a graph is run into another one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_current: dict[str, Any] = {}
_preserve = False


@contextlib.contextmanager
def preserve_node_meta(enable: bool = True) -> Iterator[None]:
    """``with`` block in which :func:`set_current_meta` keeps a node's ``meta``."""
    global _preserve, _current
    before = _preserve, _current
    _preserve, _current = enable, {}
    try:
        yield
    finally:
        _preserve, _current = before


@contextlib.contextmanager
def set_current_meta(node: Any) -> Iterator[None]:
    """``with`` block in which :func:`get_current_meta` is this node's."""
    global _current
    if not _preserve or not node.meta:
        yield
        return
    before, _current = _current, dict(node.meta)
    try:
        yield
    finally:
        _current = before


def has_preserved_node_meta() -> bool:
    """Whether ``meta`` is being kept."""
    return _preserve


def get_current_meta() -> dict[str, Any]:
    """The ``meta`` of the node that is being run."""
    return _current
