"""The table ONNX operator -> function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

READERS: dict[str, Callable[..., Any]] = {}


def reader(*names: str) -> Callable[[Callable], Callable]:
    """Decorator: the function computes these ONNX operators.

    It gets the inputs by position (None for one left out) and the attributes by name; ``opset`` and
    ``count`` (of
    the outputs) if it has parameters of these names. It returns the result, or a tuple of several.
    """

    def enter(function: Callable) -> Callable:
        for name in names:
            READERS[name] = function
        return function

    return enter
