"""From where to where a number, or a truth, may lie."""

from __future__ import annotations

import math
from typing import Any

from .numbers import _Endless, int_oo

__all__ = ["ValueRangeError", "ValueRanges"]


class ValueRangeError(RuntimeError):
    """A range whose ends are the wrong way round."""


class ValueRanges:
    """All numbers from `lower` to `upper`; of truths False comes before True.

    Raises
    ------
    ValueRangeError : there are none.
    """

    def __init__(self, lower: Any, upper: Any) -> None:
        try:
            right = lower <= upper
        except TypeError as error:
            raise TypeError(f"Could not compare {lower} <= {upper}") from error
        if not right:
            raise ValueRangeError(f"Invalid ranges [{lower}:{upper}]")
        if isinstance(lower, bool) != isinstance(upper, bool):
            raise AssertionError((lower, upper))
        self.lower, self.upper = lower, upper
        self.is_bool = isinstance(lower, bool)
        self.is_int = not self.is_bool and all(isinstance(x, (int, _Endless)) for x in (lower, upper))
        self.is_float = not self.is_bool and not self.is_int

    @staticmethod
    def unknown() -> ValueRanges:
        """All numbers."""
        return ValueRanges(-math.inf, math.inf)

    @staticmethod
    def unknown_int() -> ValueRanges:
        """All whole numbers."""
        return ValueRanges(-int_oo, int_oo)

    @staticmethod
    def unknown_bool() -> ValueRanges:
        """Both truths."""
        return ValueRanges(False, True)

    @staticmethod
    def wrap(arg: Any) -> ValueRanges:
        """One number as a range, or a range itself."""
        return arg if isinstance(arg, ValueRanges) else ValueRanges(arg, arg)

    def __contains__(self, x: Any) -> bool:
        return ValueRanges.wrap(x).issubset(self)

    def issubset(self, other: ValueRanges) -> bool:
        """Whether all of it lies in another range."""
        return other.lower <= self.lower and self.upper <= other.upper

    def is_singleton(self) -> bool:
        """Whether it is one number."""
        return self.lower == self.upper

    def __and__(self, other: ValueRanges) -> ValueRanges:
        if self.is_bool:
            return ValueRanges(self.lower or other.lower, self.upper and other.upper)
        return ValueRanges(max(self.lower, other.lower), min(self.upper, other.upper))

    def __or__(self, other: ValueRanges) -> ValueRanges:
        if self.is_bool:
            return ValueRanges(self.lower and other.lower, self.upper or other.upper)
        return ValueRanges(min(self.lower, other.lower), max(self.upper, other.upper))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValueRanges) and (self.lower, self.upper) == (other.lower, other.upper)

    def __hash__(self) -> int:
        return hash((self.lower, self.upper))

    def __repr__(self) -> str:
        ends = [str(x).replace("inf", "oo") for x in (self.lower, self.upper)]
        return f"VR[{', '.join(ends)}]"
