"""Structures of arguments by a given specification: what code of graphs with ``concrete_args`` calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.utils import _pytree as pytree

SUPPORTED_NODES: dict[type, Callable] = {}


def register_pytree_flatten_spec(
    cls: type,
    flatten_fn_spec: Callable[[Any, Any], list],
    flatten_fn_exact_match_spec: Callable[[Any, Any], bool] | None = None,
) -> None:
    """Give a type the function that takes its values apart by a specification."""
    SUPPORTED_NODES[cls] = flatten_fn_spec


def tree_flatten_spec(tree: Any, spec: Any) -> list[Any]:
    """The leaves of ``tree``, as far as ``spec`` describes it: what lies below a leaf of it stays whole."""
    if spec.is_leaf():
        return [tree]
    if spec.type in SUPPORTED_NODES:
        children = SUPPORTED_NODES[spec.type](tree, spec)
    elif issubclass(spec.type, dict):
        children = [tree[k] for k in spec.context]
    elif issubclass(spec.type, (list, tuple)):
        children = [tree[k] for k in range(len(spec.children()))]
    else:
        _, children, _ = pytree._children(tree, None)
    return [leaf for child, s in zip(children, spec.children()) for leaf in tree_flatten_spec(child, s)]
