"""Symbolic functions of PyTorch's operators, for functions that are registered to call.

Some are written here; any other name gives what the exporter's own table has. They write nodes of the version
that is exported, which the exporter starts with 16, whatever number the module has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _table, symbolic_helper
from ._symbolic import GraphContext, Value, _keys, val_of
from .errors import OnnxExporterError
from .symbolic_helper import parse_args

__all__ = ["dropout", "masked_fill", "select", "softmax", "squeeze", "unsqueeze"]


def masked_fill(g: GraphContext, self: Value, mask: Value, value: Any) -> Value:
    """`value` where the mask holds."""
    mask = g.op("Cast", mask, to_i=9)
    if not isinstance(value, Value):
        dtype = self.type().dtype()
        if dtype is None:
            raise OnnxExporterError("masked_fill: the type of the value to fill is not known")
        value = g.graph.constant(value, dtype)
    return g.op("Where", mask, value, self).setType(self.type())


@parse_args("v", "i", "none")
def softmax(g: GraphContext, input: Value, dim: int, dtype: Any = None) -> Value:
    """Shares along a dimension."""
    return g.op("Softmax", input, axis_i=dim).setType(input.type())


@parse_args("v", "f", "b")
def dropout(g: GraphContext, input: Value, p: float, train: bool) -> Value:
    """The value itself in evaluation."""
    if not train:
        return input
    ratio, training = g.graph.constant(p, input.type().dtype()), g.graph.constant(True)
    return g.op("Dropout", input, ratio, training, outputs=2)[0].setType(input.type())


@parse_args("v", "i")
def unsqueeze(g: GraphContext, self: Value, dim: int) -> Value:
    """A dimension of size one more."""
    made = symbolic_helper._unsqueeze_helper(g, self, [dim])
    known = self.type()
    if known._shape is None:
        return made
    at = dim + len(known._shape) + 1 if dim < 0 else dim
    return made.setType(known.with_sizes((*known._shape[:at], 1, *known._shape[at:])))


def squeeze(g: GraphContext, self: Value, dim: Any = None) -> Value:
    """Without dimensions of size one, or without one of them."""
    if dim is None:
        return g.op("Squeeze", self)
    sizes = self.type().sizes()
    if sizes is not None and sizes[dim] not in (1, None):
        return self
    return symbolic_helper._squeeze_helper(g, self, [int(dim)])


def select(g: GraphContext, self: Value, dim: Any, index: Any) -> Value:
    """One slice along a dimension."""
    return symbolic_helper._select_helper(g, self, int(dim), index)


def __getattr__(name: str) -> Callable:
    found = next((_table.SYMBOLS[key] for key in _keys(f"aten::{name}") if key in _entries()), None)
    if found is None or name.startswith("__"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

    def symbolic(g: GraphContext, *args: Any) -> Any:
        given = [val_of(a, g.graph) for a in args]
        made = found(g.graph, *given)
        return [Value.of(m) for m in made] if isinstance(made, list) else Value.of(made)

    symbolic.__name__ = symbolic.__qualname__ = name
    return symbolic


def _entries() -> dict[str, Callable]:
    from . import _export  # noqa: F401 (its imports fill the table)

    return _table.SYMBOLS
