"""Writing through views: the value of a tensor after something was written to a view of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._table import OnnxGraph, Val, axis_of

_UNDO: dict[str, Callable] = {}


def undo(g: OnnxGraph, name: str, which: int, source: Val, written: Val, arguments: list[Any]) -> str:
    """``source`` after ``written`` was put where the operator ``name`` took result ``which`` from."""
    entry = _UNDO.get(name.partition(".")[0].rpartition("::")[2])
    if entry is None:
        raise NotImplementedError(f"a write to what '{name}' returned cannot be expressed in ONNX")
    return entry(g, which, source, written, *arguments)


def _way(*names: str) -> Callable[[Callable], Callable]:
    def enter(function: Callable) -> Callable:
        for name in names:
            _UNDO[name] = function
        return function

    return enter


@_way("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as", "reshape_as", "ravel")
def _reshaped(g: OnnxGraph, which: int, source: Val, written: Val, *rest: Any) -> str:
    return g.op("Reshape", written, g.shape_of(source))


@_way("alias", "contiguous", "to", "dropout", "detach", "type_as")
def _same(g: OnnxGraph, which: int, source: Val, written: Val, *rest: Any) -> str:
    return written.name


@_way("permute")
def _permuted(g: OnnxGraph, which: int, source: Val, written: Val, x: Val, dims: list[int]) -> str:
    order = [axis_of(d, source.rank) for d in dims]
    return g.op("Transpose", written, perm=[order.index(d) for d in range(source.rank)])


@_way("transpose", "t")
def _transposed(g: OnnxGraph, which: int, source: Val, written: Val, x: Val, a: int = 0, b: int = 1) -> str:
    order = list(range(source.rank))
    a, b = axis_of(a, source.rank), axis_of(b, source.rank)
    order[a], order[b] = order[b], order[a]
    return g.op("Transpose", written, perm=order)


def _placed(g: OnnxGraph, source: Val, part: Any, dim: int, start: int, end: int, step: int = 1) -> str:
    """``source`` with ``part`` at the places start, start + step, … of a dimension."""
    dim = axis_of(dim, source.rank)
    places = g.op("Range", g.number(start), g.number(end), g.number(step))
    places = g.op("Reshape", places, [-1] + [1] * (source.rank - 1 - dim))
    return g.op("ScatterElements", source, g.op("Expand", places, g.op("Shape", part)), part, axis=dim)


@_way("slice")
def _slice(
    g: OnnxGraph, which: int, source: Val, written: Val, x: Val, dim: int = 0, start: Any = 0,
    end: Any = None,
    step: int = 1,
) -> str:  # fmt: skip
    size = source.shape[axis_of(dim, source.rank)]
    return _placed(g, source, written, dim, start or 0, size if end is None else end, step)


@_way("select")
def _select(g: OnnxGraph, which: int, source: Val, written: Val, x: Val, dim: int, index: int) -> str:
    dim = axis_of(dim, source.rank)
    part = g.op("Unsqueeze", written, [dim])
    if index < 0:
        raise NotImplementedError("a write to a place counted from the end")
    return _placed(g, source, part, dim, index, index + 1)


@_way("split", "chunk", "split_with_sizes")
def _split(g: OnnxGraph, which: int, source: Val, written: Val, x: Val, size: Any, dim: int = 0) -> str:
    raise NotImplementedError("a write to a part of a split tensor")
