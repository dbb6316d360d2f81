"""`rearrange`: axes moved, merged and split by a pattern of names (Rogozhnikov 2022)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import flambeau as fb

__all__ = ["rearrange"]

_REST = ["..."]  # the axes that an ellipsis stands for, each by itself; in brackets they are one
_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_]\w*|\d+|\(|\)|\S)")


def _parsed(side: str) -> list[list[str]]:
    """The axes of one side of a pattern; a group has several names, one of length 1 none."""
    axes: list[list[str]] = []
    group: list[str] | None = None
    seen: set[str] = set()
    for token in _TOKEN.findall(side):
        if token == "(":
            if group is not None:
                raise ValueError("Axis composition is one-level (brackets inside brackets not allowed)")
            group = []
        elif token == ")":
            if group is None:
                raise ValueError("Brackets are not balanced")
            axes.append(group)
            group = None
        elif token == "..." or token[0].isalpha() or token[0] == "_" or token == "1":
            if token != "1" and token in seen:
                raise ValueError(f"Indexing expression contains duplicate dimension '{token}'")
            seen.add(token)
            names = [] if token == "1" else [token]
            if group is None:
                axes.append(_REST if token == "..." else names)
            else:
                group.extend(names)
        elif token.isdigit():
            raise ValueError(
                f"Non-unitary anonymous axes are not supported in rearrange (exception is length 1): {token}"
            )
        else:
            raise ValueError(f"Unknown character '{token}'")
    if group is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{side}'")
    return axes


def _sides(pattern: str) -> tuple[list[list[str]], list[list[str]]]:
    parts = pattern.split("->")
    if len(parts) != 2:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = map(_parsed, parts)
    names = [{n for axis in side for n in axis} for side in (left, right)]
    if "..." in names[1] - names[0]:
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    if not any(axis is _REST for axis in left) and "..." in names[0]:
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    if differing := names[0] ^ names[1]:
        raise ValueError(
            f"Identifiers only on one side of rearrange expression (should be on both): {differing}"
        )
    return left, right


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Move, merge and split the axes of a tensor (or of the stack of several) by a pattern.

    Parameters
    ----------
    pattern : such as ``"batch (h w) c -> batch c h w"``; ``...`` is any axes, ``1`` one of length 1.
    axes_lengths : the lengths of named axes that cannot be told from the tensor.
    """
    x = tensor if isinstance(tensor, fb.Tensor) else fb.stack(list(tensor))
    left, right = _sides(pattern)
    has_rest = any(axis is _REST for axis in left)
    rest = x.dim() - len(left) + 1 if has_rest else 0
    wanted = len(left) - has_rest
    if rest < 0 or (not has_rest and x.dim() != len(left)):
        raise ValueError(
            f"Number of dimensions in pattern ({wanted}) must be "
            f"{'less than or equal to' if has_rest else 'equal to'} the number of dimensions in the "
            f"tensor ({x.dim()})"
        )
    hidden = [f"...{i}" for i in range(rest)]
    left = [axis for a in left for axis in ([[h] for h in hidden] if a is _REST else [a])]
    lengths = _lengths(left, x.shape, dict(axes_lengths))
    order = [name for axis in left for name in axis]
    x = x.reshape([lengths[n] for n in order])
    flat: list[list[str]] = [[h for n in axis for h in (hidden if n == "..." else [n])] for axis in right]
    flat = [
        part
        for axis, full in zip(right, flat)
        for part in ([[h] for h in hidden] if axis is _REST else [full])
    ]
    x = x.permute([order.index(n) for axis in flat for n in axis])
    return x.reshape([math.prod(lengths[n] for n in axis) for axis in flat])


def _lengths(axes: list[list[str]], shape: Sequence[int], known: dict[str, int]) -> dict[str, int]:
    """The length of every named axis of the left side."""
    for axis, size in zip(axes, shape):
        unknown = [n for n in axis if n not in known]
        product = math.prod(known[n] for n in axis if n in known)
        if len(unknown) > 1:
            raise ValueError(f"Cannot infer the lengths of {unknown}: give all but one of them")
        if size % max(product, 1) or (not unknown and product != size):
            shown = tuple("?" if n in unknown else known[n] for n in axis)
            raise ValueError(
                f"inferred dimension does not evenly fit into larger dimension: {size} vs {shown}"
            )
        if unknown:
            known[unknown[0]] = size // max(product, 1)
    return known
