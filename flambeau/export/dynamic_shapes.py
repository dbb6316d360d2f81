"""Sizes of inputs that may change from call to call."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as fb
from flambeau._dynamo.exc import UserError, UserErrorType
from flambeau.utils import _pytree as pytree

__all__ = ["Dim", "dims"]


@dataclasses.dataclass(frozen=True)
class _DimHint:
    """A size that is dynamic, static, or whichever the program allows."""

    kind: str
    min: int | None = None
    max: int | None = None

    def __call__(self, min: int | None = None, max: int | None = None) -> _DimHint:
        if self.kind == "STATIC":
            raise TypeError("'DimHint' object is not callable: Dim.STATIC has no range")
        return dataclasses.replace(self, min=min, max=max)

    def __repr__(self) -> str:
        range_ = [f"{k}={v}" for k, v in (("min", self.min), ("max", self.max)) if v is not None]
        return f"DimHint({', '.join([self.kind, *range_])})"


class Dim:
    """A size with a name and a range. ``2 * d + 1`` is a size that follows it.

    Dimensions with equal names have equal sizes. `Dim.AUTO`, `Dim.DYNAMIC` and `Dim.STATIC` need no name.
    """

    AUTO = _DimHint("AUTO")
    DYNAMIC = _DimHint("DYNAMIC")
    STATIC = _DimHint("STATIC")

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        low, high = 0 if min is None else min, math.inf if max is None else max
        if not high > low:
            raise AssertionError(f"Cannot create Dim with inconsistent min={low}, max={high}")
        if not name.isidentifier():
            raise AssertionError(f"Dim name must be a valid identifier, got {name}")
        self.__name__, self.min, self.max = name, low, high

    def __repr__(self) -> str:
        low = f", min={self.min}" if self.min > 0 else ""
        high = f", max={self.max}" if self.max != math.inf else ""
        return f"Dim('{self.__name__}'{low}{high})"

    def _derived(self, factor: int, offset: int) -> _Derived:
        return _Derived(self, factor, offset)

    def __mul__(self, other: int) -> _Derived:
        return self._derived(_whole(other), 0)

    def __add__(self, other: int) -> _Derived:
        return self._derived(1, _whole(other))

    def __sub__(self, other: int) -> _Derived:
        return self._derived(1, -_whole(other))

    __rmul__, __radd__ = __mul__, __add__


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise NotImplementedError(f"Attempted to combine a Dim with {value}, where an integer was expected")
    return value


@dataclasses.dataclass(frozen=True)
class _Derived:
    """``factor * root + offset``."""

    root: Dim
    factor: int
    offset: int

    @property
    def __name__(self) -> str:
        text = self.root.__name__ if self.factor == 1 else f"{self.factor}*{self.root.__name__}"
        return text + (
            f" + {self.offset}" if self.offset > 0 else f" - {-self.offset}" if self.offset else ""
        )

    def __repr__(self) -> str:
        return self.__name__

    def __mul__(self, other: int) -> _Derived:
        return _Derived(self.root, self.factor * _whole(other), self.offset * other)

    def __add__(self, other: int) -> _Derived:
        return _Derived(self.root, self.factor, self.offset + _whole(other))

    def __sub__(self, other: int) -> _Derived:
        return self + -_whole(other)

    __rmul__, __radd__ = __mul__, __add__


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """A `Dim` for each name."""
    return tuple(Dim(name, min=min, max=max) for name in names)


@dataclasses.dataclass(frozen=True)
class Symbol:
    """The name of a size in an exported graph."""

    name: str

    def __repr__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True)
class ValueRanges:
    """The values a size may have."""

    lower: int
    upper: float

    def __repr__(self) -> str:
        return f"VR[{self.lower}, {'int_oo' if self.upper == math.inf else self.upper}]"


def error(text: str) -> UserError:
    """What a wrong use of `export` raises."""
    return UserError(UserErrorType.INVALID_INPUT, text)


def parameter_values(function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the parameters."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return {f"arg{k}": value for k, value in enumerate(args)} | dict(kwargs)
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        found |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    return found


def specs_of_leaves(values: dict[str, Any], dynamic_shapes: Any) -> list[dict[int, Any]]:
    """For each leaf of the arguments, what `dynamic_shapes` says of its dimensions."""
    if dynamic_shapes is None:
        return [{} for _ in pytree.tree_leaves(list(values.values()))]
    if isinstance(dynamic_shapes, Mapping):
        if set(dynamic_shapes) != set(values):
            raise error(
                "When `dynamic_shapes` is specified as a dict, its top-level keys must be the arg names "
                f"{list(values)} of `inputs`, but here they are {list(dynamic_shapes)}. "
            )
        given = [dynamic_shapes[name] for name in values]
    else:
        given = list(dynamic_shapes)
        if len(given) != len(values):
            raise error(
                f"Expected `dynamic_shapes` to have {len(values)} entries, one for each of {list(values)}, "
                f"but it has {len(given)}"
            )
    found: list[dict[int, Any]] = []
    for value, spec in zip(values.values(), given):
        _collect(value, spec, found)
    return found


def _collect(value: Any, spec: Any, found: list[dict[int, Any]]) -> None:
    if isinstance(value, fb.Tensor):
        entries = spec.items() if isinstance(spec, Mapping) else enumerate(spec or ())
        made = {}
        for d, size in entries:
            if d not in range(value.dim()):
                raise error(
                    f"dimension {d} of `dynamic_shapes` is not one of a tensor of shape {tuple(value.shape)}"
                )
            if isinstance(size, int) and size != value.shape[d]:
                raise error(f"Expected dimension {d} to be {size}, but got {value.shape[d]}")
            if isinstance(size, (Dim, _Derived, _DimHint)):
                made[d] = size
            elif size is not None and not isinstance(size, int):
                raise error(f"Unexpected dynamic dimension {size!r}: it is a Dim, a hint, an int or None")
        found.append(made)
    elif isinstance(value, Mapping):
        for key in value:
            _collect(value[key], spec[key] if spec is not None else None, found)
    elif isinstance(value, (tuple, list)):
        for k, item in enumerate(value):
            _collect(item, spec[k] if spec is not None else None, found)
    else:
        leaves = pytree.tree_leaves(value)
        if len(leaves) > 1 and spec is not None:
            raise NotImplementedError(f"export: dynamic_shapes inside a {type(value).__name__}")
        found.extend({} for _ in leaves)
