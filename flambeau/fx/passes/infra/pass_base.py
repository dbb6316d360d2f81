"""The base class of passes."""

from __future__ import annotations

import abc
from typing import NamedTuple

from flambeau.fx.graph_module import GraphModule

__all__ = ["PassResult", "PassBase"]


class PassResult(NamedTuple):
    """What a pass gives: the module, and whether it changed anything."""

    graph_module: GraphModule
    modified: bool


class PassBase(abc.ABC):
    """A pass: ``call`` works, ``requires`` and ``ensures`` check before and after."""

    def __call__(self, graph_module: GraphModule) -> PassResult | None:
        self.requires(graph_module)
        result = self.call(graph_module)
        self.ensures(graph_module)
        return result

    @abc.abstractmethod
    def call(self, graph_module: GraphModule) -> PassResult | None:
        """The work."""

    def requires(self, graph_module: GraphModule) -> None:  # noqa: B027
        """Raise if the module is not what the pass needs."""

    def ensures(self, graph_module: GraphModule) -> None:  # noqa: B027
        """Raise if the result is not what it should be."""
