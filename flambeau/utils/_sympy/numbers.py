"""The whole number that is larger than all others."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

__all__ = ["IntInfinity", "NegativeIntInfinity", "int_oo"]


@total_ordering
class _Endless:
    """One of the two; there is one object of each class."""

    _sign: int
    is_integer = is_extended_real = is_comparable = True
    is_finite = False
    _one: Any = None

    def __new__(cls) -> Any:
        if cls._one is None:
            cls._one = super().__new__(cls)
        return cls._one

    def _made(self, sign: int) -> Any:
        return IntInfinity() if sign > 0 else NegativeIntInfinity()

    def __neg__(self) -> Any:
        return self._made(-self._sign)

    def __abs__(self) -> Any:
        return IntInfinity()

    def __add__(self, other: Any) -> Any:
        if isinstance(other, _Endless) and other is not self:
            return float("nan")
        return other if isinstance(other, float) and abs(other) == float("inf") else self

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if other == 0:
            return float("nan")
        sign = other._sign if isinstance(other, _Endless) else (1 if other > 0 else -1)
        return self._made(self._sign * sign)

    __rmul__ = __mul__

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, _Endless):
            return self._sign < other._sign
        return float("-inf") < other if self._sign < 0 else other == float("inf")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash((_Endless, self._sign))

    def __float__(self) -> float:
        return self._sign * float("inf")

    def __int__(self) -> int:
        raise OverflowError("int_oo is no number")

    def __repr__(self) -> str:
        return "int_oo" if self._sign > 0 else "-int_oo"


class IntInfinity(_Endless):
    """More than every whole number, less than the infinite float."""

    _sign = 1


class NegativeIntInfinity(_Endless):
    """Less than every whole number, more than the negative infinite float."""

    _sign = -1


int_oo = IntInfinity()
