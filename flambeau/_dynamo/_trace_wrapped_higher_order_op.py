"""Indexing by tensors without dimension inside `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.overrides import TorchFunctionMode

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(TorchFunctionMode):
    """Context in which ``x[i]`` takes tensors `i` of samples as indices, as `vmap` does here everywhere: it
    changes nothing."""

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))
