"""Classes that libraries in C++ register: there are none, and none can be loaded."""

from __future__ import annotations

from typing import Any, NoReturn

loaded_libraries: set[str] = set()


def load_library(path: str) -> NoReturn:
    """Raise: libraries made for PyTorch need its C++ interface."""
    raise NotImplementedError(
        f"flambeau cannot load {path}: libraries of C++ classes need PyTorch's own core"
    )


class ScriptObject:
    """An object of such a class, for ``isinstance``: none can be made."""

    def __init__(self, *args: Any) -> None:
        raise TypeError("ScriptObject: no class of C++ is registered")


class _Namespace:
    """The classes of one library by name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(
            f"Tried to instantiate class '{self._name}.{name}', but it does not exist! Ensure that it is "
            "registered via torch::class_\nflambeau has no such classes"
        )


def __getattr__(name: str) -> _Namespace:
    if name.startswith("__"):
        raise AttributeError(f"module 'torch.classes' has no attribute '{name}'")
    return _Namespace(name)
