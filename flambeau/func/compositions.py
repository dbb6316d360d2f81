"""Operators of the core that are others, one after the other: under `vmap` the others are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flambeau import _C
from flambeau._C import Tensor

from ..ops import registry

__all__ = ["COMPOSITIONS"]


def _trace(input: Tensor) -> Tensor:
    if input.dim() != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.dim()}")
    return input.diagonal().sum()


def _hstack(tensors: Sequence[Tensor]) -> Tensor:
    parts = registry.find("atleast_1d")(*tensors)
    return _C.cat(parts, 0 if parts[0].dim() == 1 else 1)


def _vstack(tensors: Sequence[Tensor]) -> Tensor:
    return _C.cat(registry.find("atleast_2d")(*tensors), 0)


def _dstack(tensors: Sequence[Tensor]) -> Tensor:
    return _C.cat(registry.find("atleast_3d")(*tensors), 2)


def _column_stack(tensors: Sequence[Tensor]) -> Tensor:
    return _C.cat([t.reshape(t.numel(), 1) if t.dim() <= 1 else t for t in tensors], 1)


COMPOSITIONS: dict[str, Callable] = {
    "trace": _trace,
    "hstack": _hstack,
    "vstack": _vstack,
    "row_stack": _vstack,
    "dstack": _dstack,
    "column_stack": _column_stack,
}
