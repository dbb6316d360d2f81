"""Types of tensors by their sizes, for annotations: which are consistent, and which says more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Dyn", "TensorType", "is_consistent", "is_more_precise"]


class TensorType:
    """A tensor of these sizes, each a number or `Dyn`: ``def forward(self, x: TensorType((1, 2, Dyn)))``.

    Parameters
    ----------
    dim : the sizes.
    """

    __origin__: Any

    def __init__(self, dim: Sequence[Any]) -> None:
        self.__origin__ = TensorType
        self.__args__ = dim

    def __repr__(self) -> str:
        return f"TensorType[{self.__args__}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and list(self.__args__) == list(other.__args__)

    __hash__ = None  # its sizes may be a list

    @staticmethod
    def __class_getitem__(*args: Any) -> TensorType:
        if len(args) == 1 and isinstance(args[0], tuple):
            args = args[0]
        return TensorType(tuple(args))


class _DynType:
    """Nothing is known."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DynType)

    __hash__ = None

    def __repr__(self) -> str:
        return "Dyn"


Dyn = _DynType()


def is_consistent(t1: object, t2: object) -> bool:
    """Whether a value can be of both types: equal where both say something.

    Parameters
    ----------
    t1, t2 : numbers, `TensorType` s or `Dyn`.
    """
    if t1 == t2 or isinstance(t1, _DynType) or isinstance(t2, _DynType):
        return True
    return _sizewise(is_consistent, t1, t2)


def is_more_precise(t1: object, t2: object) -> bool:
    """Whether the first type says all that the second says.

    Parameters
    ----------
    t1, t2 : numbers, `TensorType` s or `Dyn`.
    """
    if t1 == t2 or isinstance(t2, _DynType):
        return True
    return _sizewise(is_more_precise, t1, t2)


def _sizewise(relation: Any, t1: object, t2: object) -> bool:
    if not (isinstance(t1, TensorType) and isinstance(t2, TensorType)):
        return False
    one, two = t1.__args__, t2.__args__
    return len(one) == len(two) and all(map(relation, one, two))
