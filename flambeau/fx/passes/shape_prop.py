"""Shapes of all nodes of a graph, by running it."""

from __future__ import annotations

from typing import Any, NamedTuple

import flambeau as fb
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.interpreter import Interpreter
from flambeau.fx.node import Node, map_aggregate

__all__ = ["TensorMetadata", "ShapeProp"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor without its values."""

    shape: fb.Size
    dtype: fb.dtype
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: fb.memory_format | None
    is_quantized: bool
    qparams: dict[str, Any]


def _extract_tensor_metadata(result: fb.Tensor, include_contiguity: bool = True) -> TensorMetadata:
    formats = [fb.contiguous_format]
    formats += [fb.channels_last] if result.dim() == 4 else [fb.channels_last_3d] if result.dim() == 5 else []
    fits = next((f for f in formats if include_contiguity and result.is_contiguous(memory_format=f)), None)
    return TensorMetadata(result.shape, result.dtype, result.requires_grad, result.stride(), fits, False, {})


class ShapeProp(Interpreter):
    """Runs a graph and keeps each node's shape and type in ``meta["tensor_meta"]`` and ``meta["type"]``."""

    def __init__(self, gm: GraphModule, fake_mode: Any = None) -> None:
        super().__init__(gm)
        if fake_mode is not None:
            raise NotImplementedError("ShapeProp(fake_mode=...): use tensors on device='meta' instead")

    def run_node(self, n: Node) -> Any:
        """The node's value; what is known of it goes into ``meta``."""
        result = super().run_node(n)
        found = False

        def describe(value: Any) -> Any:
            nonlocal found
            if not isinstance(value, fb.Tensor):
                return value
            found = True
            return _extract_tensor_metadata(value)

        meta = map_aggregate(result, describe)
        if found:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Run the graph; returns its result."""
        return super().run(*args)
