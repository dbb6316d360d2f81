"""Where classes and functions say that they are from while flambeau stands in for PyTorch."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import Any

from flambeau import _C
from flambeau._places import REBUILDERS, torch_place

_OWN = ("vision", "audio", "text", "compat", "cli", "seeing")  # packages of their own, or of flambeau alone
_OF_FILES = {name: module for module, names in REBUILDERS.items() for name in names}
_ONE_FILE = ("nn.functional", "optim.lr_scheduler", "serialization")  # modules of PyTorch's


def _one_file(place: str) -> str | None:
    """PyTorch's module of what is several files here and may not be complete yet."""
    inner = place.removeprefix("flambeau.")
    return next((f"torch.{part}" for part in _ONE_FILE if inner.startswith(part + ".")), None)


def _move(value: type | FunctionType, module: str) -> None:
    """Change the module that a value names; Python 3.13 forgets with it where a class is written."""
    line = vars(value).get("__firstlineno__") if isinstance(value, type) else None
    value.__module__ = module
    if line is not None:
        value.__firstlineno__ = line  # type: ignore[attr-defined]


class PublicNames:
    """Gives what modules define PyTorch's module names, and takes them back.

    Programs look at them (``type(m).__module__.startswith("torch.nn")``), messages show them, and pickles
    name classes by them: so what a program pickles opens where PyTorch itself is.
    """

    def __init__(self) -> None:
        self.changed: list[tuple[Any, str]] = []

    def give(self, module: ModuleType) -> None:
        """Rename what a module defines."""
        home = module.__spec__.name if module.__spec__ is not None else module.__name__
        if home.partition(".")[2].partition(".")[0] in _OWN:
            return
        sys.modules.setdefault("torch" + home.removeprefix("flambeau"), module)
        for shown in list(vars(module).values()):
            value = shown
            if type(value) is _C._PublicFunction:
                value = value.__wrapped__
            if not isinstance(value, (type, FunctionType)):
                continue
            place = vars(value).get("__module__", "") if isinstance(value, type) else value.__module__
            if not isinstance(place, str) or not (place == "flambeau" or place.startswith("flambeau.")):
                continue
            if place.partition(".")[2].partition(".")[0] in _OWN:
                continue
            theirs = _OF_FILES.get(value.__name__) or _one_file(place)
            theirs = theirs or torch_place(shown, place, value.__name__)
            try:
                _move(value, theirs)
            except TypeError:  # a type of the core that cannot be changed
                continue
            self.changed.append((value, place))

    def take_back(self) -> None:
        """Undo all renaming."""
        for value, place in self.changed:
            _move(value, place)
        self.changed.clear()
