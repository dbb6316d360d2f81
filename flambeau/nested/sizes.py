"""Sizes of tensors with a ragged dimension: its length is a symbol, one for each set of offsets."""

from __future__ import annotations

import weakref
from typing import Any

import flambeau as fb

__all__ = ["NestedInt", "NestedSize", "symbol_of"]

_last = 0
_symbols: dict[int, tuple[Any, NestedInt]] = {}  # of the offsets that are alive, by their id


class NestedInt(fb.SymInt):
    """The length of a ragged dimension, at least 2 as far as comparisons know; prints as ``j1``."""

    def __init__(self, number: int, coefficient: int = 1) -> None:
        self.number, self.coefficient = number, coefficient

    def __repr__(self) -> str:
        return f"j{self.number}" if self.coefficient == 1 else f"{self.coefficient}*j{self.number}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NestedInt) and (self.number, self.coefficient) == (
            other.number,
            other.coefficient,
        )

    def __hash__(self) -> int:
        return self.number

    def __bool__(self) -> bool:
        return True

    def __ge__(self, other: Any) -> bool:
        if self == other or (isinstance(other, int) and other <= 2):
            return True
        raise ValueError("ge: relation is indeterminate")

    def __gt__(self, other: Any) -> bool:
        return self != other and self >= (other + 1 if isinstance(other, int) else other)

    def __lt__(self, other: Any) -> bool:
        return self != other and not self >= other

    def __le__(self, other: Any) -> bool:
        return self == other or not self > other

    def __mul__(self, other: Any) -> NestedInt:
        if not isinstance(other, int):
            raise ValueError(f"unsupported: {type(other)}")
        return NestedInt(self.number, self.coefficient * other)

    __rmul__ = __mul__


class NestedSize(tuple):
    """Sizes one of which is a `NestedInt`."""

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(repr, self))}])"

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        if not isinstance(index, slice):
            return part
        return NestedSize(part) if any(isinstance(n, NestedInt) for n in part) else fb.Size(part)

    def numel(self) -> Any:
        """The product of the sizes, a multiple of the symbol."""
        count: Any = 1
        for n in self:
            count = count * n
        return count


def symbol_of(offsets: Any) -> NestedInt:
    """The symbol of the lengths that offsets (or a tensor of lengths) describe: one for one tensor object."""
    global _last
    key = id(offsets)
    if key not in _symbols:
        _last += 1
        forget = weakref.ref(offsets, lambda _: _symbols.pop(key, None))
        _symbols[key] = forget, NestedInt(_last)
    return _symbols[key][1]
