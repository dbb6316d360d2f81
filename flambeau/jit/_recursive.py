"""Where PyTorch's scripting keeps the types that it made of modules: here a module keeps its class."""

from __future__ import annotations

from typing import Any

__all__ = ["concrete_type_store"]


class ConcreteTypeStore:
    """The types by class: always none."""

    def __init__(self) -> None:
        self.type_store: dict[type, Any] = {}


concrete_type_store = ConcreteTypeStore()
