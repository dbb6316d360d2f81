"""The tracer of quantization: layers and layers computed together are leaves, nodes know their module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import fx, nn
from flambeau._own_methods import is_ours
from flambeau.ao.nn.intrinsic import _FusedModule
from flambeau.ao.quantization.stubs import DeQuantStub, QuantStub

__all__ = ["QuantizationTracer"]


class QuantizationTracer(fx.Tracer):
    """Traces a network for quantization.

    Parameters
    ----------
    skipped_module_names : list of str
    skipped_module_classes : list of classes
        Modules that are not looked into.
    """

    def __init__(self, skipped_module_names: list[str], skipped_module_classes: list[Callable]) -> None:
        super().__init__()
        self.skipped_module_names = skipped_module_names
        self.skipped_module_classes = tuple(skipped_module_classes)
        self.node_name_to_scope: dict[str, tuple[str, type | None]] = {}
        self._scopes: list[tuple[str, type | None]] = [("", None)]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node."""
        home = type(m).__module__
        ours = is_ours(home, "nn", "ao.nn") and not isinstance(m, nn.Sequential)
        return (
            ours
            or isinstance(m, (_FusedModule, QuantStub, DeQuantStub))
            or module_qualified_name in self.skipped_module_names
            or type(m) in self.skipped_module_classes
        )

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Note where the nodes inside come from."""
        self._scopes.append((self.path_of_module(m), type(m)))
        try:
            return super().call_module(m, forward, args, kwargs)
        finally:
            self._scopes.pop()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """A node, whose place is noted."""
        node = super().create_node(*args, **kwargs)
        self.node_name_to_scope[node.name] = self._scopes[-1]
        return node
