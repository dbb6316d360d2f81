"""What the free names of a function mean, where it is written as TorchScript."""

from __future__ import annotations

import ast
import builtins
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as fb
from flambeau._annotations import annotations_of

from . import _types
from ._layers import text
from ._source import dotted
from .frontend import UnsupportedNodeError


class Static(NamedTuple):
    """A value that is known before the program runs, and the expression for it, if there is one."""

    value: Any
    text: str = ""


def expression(source: str) -> ast.expr:
    """The node of an expression."""
    return ast.parse(source, mode="eval").body


def last(path: str) -> str:
    """The last part of a path."""
    return path.rpartition(".")[2]


def hints_of(of: Any) -> dict[str, Any]:
    """The annotations of a function or class, as far as they mean something."""
    try:
        return typing.get_type_hints(of)
    except (NameError, TypeError, AttributeError):
        return annotations_of(of)


def text_of_constant(value: Any) -> str:
    """A constant; tuples stay tuples."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of_constant, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, (fb.dtype, fb.layout, fb.memory_format)):
        return str(_types.number_of(value))
    if isinstance(value, fb.device):
        return f'torch.device("{value}")'
    return text(value)


class Names:
    """What the free names of a function mean."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.free = {**vars(builtins), **function.__globals__}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                self.free[name] = cell.cell_contents
            except ValueError:
                pass

    def refuse(self, node: ast.AST, why: str) -> UnsupportedNodeError:
        code = self.function.__code__
        line = code.co_firstlineno + getattr(node, "lineno", 1) - 1
        shown = ast.unparse(node).splitlines()[0] if isinstance(node, ast.AST) else ""
        return UnsupportedNodeError(
            f'  File "{code.co_filename}", line {line}, in {code.co_name}\n    {shown}', why
        )

    def named(self, node: ast.expr) -> Any:
        """What a path of names stands for; None where it stands for nothing."""
        first, *rest = dotted(node).split(".")
        value = self.free.get(first)
        for part in rest:
            value = getattr(value, part, None)
        return value

    def static(self, node: ast.expr) -> Static:
        """The value of a default."""
        try:
            return Static(ast.literal_eval(node))
        except ValueError:
            value = self.free.get(dotted(node).split(".")[0])
            for part in dotted(node).split(".")[1:]:
                value = getattr(value, part)
            return Static(value)
