"""`CompilationUnit`: functions from a text. TorchScript is a part of Python: the text runs as that."""

from __future__ import annotations

import linecache
import typing
from collections.abc import Callable
from typing import Any

import flambeau as fb

from . import script

__all__ = ["CompilationUnit"]

_TYPES = ("Any", "Dict", "Final", "List", "NamedTuple", "Optional", "Tuple", "Union")
_count = 0


class CompilationUnit:
    """Functions that a text defines, as attributes.

    Parameters
    ----------
    lang : the definitions.
    """

    def __init__(self, lang: str | None = None, _frames_up: int = 0) -> None:
        self._functions: dict[str, Any] = {}
        if lang is not None:
            self.define(lang)

    def define(self, lang: str, rcb: Callable | None = None, _frames_up: int = 0) -> None:
        """Add the functions of a text."""
        global _count
        _count += 1
        place = f"<CompilationUnit {_count}>"
        linecache.cache[place] = (len(lang), None, lang.splitlines(keepends=True), place)
        names: dict[str, Any] = {"torch": fb, "Tensor": fb.Tensor, **{n: getattr(typing, n) for n in _TYPES}}
        names.update(self._functions)
        before = set(names)
        exec(compile(lang, place, "exec"), names)
        for name in [n for n in names if n not in before and n != "__builtins__"]:
            if callable(names[name]) and not isinstance(names[name], type):
                self._functions[name] = names[name] = script(names[name])

    def create_function(self, qualified_name: str, graph: Any, shouldMangle: bool = False) -> Any:
        """Raise: there are no graphs of TorchScript here."""
        raise NotImplementedError(
            "torch.jit.CompilationUnit.create_function: flambeau has no TorchScript graphs"
        )

    def find_function(self, name: str) -> Any:
        """A function by name; None where there is none."""
        return self._functions.get(name.rpartition(".")[2])

    def get_functions(self) -> list:
        """All functions."""
        return list(self._functions.values())

    def drop_all_functions(self) -> None:
        """Forget all functions."""
        self._functions.clear()

    def set_optimized(self, optimized: bool) -> None:
        """Kept for old programs: nothing is optimized."""

    def __getattr__(self, name: str) -> Any:
        functions = self.__dict__.get("_functions", {})
        if name in functions:
            return functions[name]
        raise AttributeError(f"'CompilationUnit' has no attribute '{name}'")
