"""`Variable`: the old name of a tensor that can be differentiated."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import _C

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, other: Any) -> bool:
        return isinstance(other, fb.Tensor)

    def __call__(cls, data: Any = None, requires_grad: bool = False) -> Any:
        if data is None:
            data = fb.empty(0)
        return (
            data.detach().requires_grad_(requires_grad)
            if data.requires_grad or requires_grad
            else data.detach()
        )


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor)`` is the tensor, detached."""

    _execution_engine = _C._ImperativeEngine()
