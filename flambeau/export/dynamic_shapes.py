"""Sizes of inputs that may change from call to call."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as fb
from flambeau._annotations import signature_of
from flambeau._dynamo.exc import UserError, UserErrorType
from flambeau.utils import _pytree as pytree

__all__ = ["AdditionalInputs", "Constraint", "Dim", "ShapesCollection", "dims"]


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

    @property
    def min(self) -> int:
        """The least size it has."""
        return self.factor * self.root.min + self.offset

    @property
    def max(self) -> float:
        """The largest size it has."""
        return self.factor * self.root.max + self.offset

    def __mul__(self, other: int) -> _Derived:
        return _Derived(self.root, self.factor * _whole(other), self.offset * other)

    def __add__(self, other: int) -> _Derived:
        return _Derived(self.root, self.factor, self.offset + _whole(other))

    def __sub__(self, other: int) -> _Derived:
        return self + -_whole(other)

    __rmul__, __radd__ = __mul__, __add__


Constraint = Dim | _Derived | _DimHint
"""What can be said of a dimension, for annotations."""


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """A `Dim` for each name."""
    return tuple(Dim(name, min=min, max=max) for name in names)


class ShapesCollection:
    """What is dynamic, said of the tensors themselves; `export` takes it as its `dynamic_shapes`.

    ``shapes[tensor] = {0: Dim("batch")}`` or ``shapes[tensor][0] = Dim("batch")``.
    """

    def __init__(self) -> None:
        self._shapes: dict[int, Any] = {}
        self._values: list[Any] = []  # an id names a value only while it lives

    def __setitem__(self, t: Any, shape: Any) -> None:
        if not isinstance(t, (fb.Tensor, int)):
            raise TypeError(f"Cannot assign shape to non-tensor or int type {type(t)}")
        known = self._shapes.get(id(t))
        if known is not None and known != shape:
            raise ValueError(
                f"Shapes assigned to input is a Tensor and {shape} does not match existing {known}"
            )
        if known is None:
            self._values.append(t)
        self._shapes[id(t)] = shape

    def __getitem__(self, t: Any) -> Any:
        if id(t) not in self._shapes:
            self._values.append(t)
        return self._shapes.setdefault(id(t), {})

    def __len__(self) -> int:
        return len(self._shapes)

    def dynamic_shapes(self, m: Any, args: tuple, kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What `dynamic_shapes` of `export` is for these arguments of the module.

        Raises
        ------
        ValueError
            A tensor of the collection is not among the arguments.
        """
        found: set[int] = set()

        def shape_of(leaf: Any) -> Any:
            if id(leaf) in self._shapes:
                found.add(id(leaf))
            return self._shapes.get(id(leaf))

        values = parameter_values(m.forward if isinstance(m, fb.nn.Module) else m, args, kwargs or {})
        made = {name: pytree.tree_map(shape_of, value) for name, value in values.items()}
        if len(found) < len(self._shapes):
            raise ValueError(
                "Some tensors that were assigned shapes were not found in args. Maybe such tensors were "
                "copied when passing them as args? Maybe such tensors are contained in classes that were "
                "not registered with pytree?"
            )
        return made


class AdditionalInputs:
    """More arguments of a program: sizes that differ among them are dynamic.

    `export` takes it as its `dynamic_shapes`; `verify` runs the program on all of them.
    """

    def __init__(self) -> None:
        self._examples: list[tuple[tuple, dict[str, Any]]] = []

    def add(self, args: tuple, kwargs: Mapping[str, Any] | None = None) -> None:
        """Another example of the arguments."""
        if type(args) is not tuple:
            raise AssertionError(f"Representation of args {args} must be a tuple")
        if not (kwargs is None or type(kwargs) is dict):
            raise AssertionError(f"Representation of kwargs {kwargs} must be None or a dict")
        self._examples.append((args, dict(kwargs or {})))

    def dynamic_shapes(self, m: Any, args: tuple, kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What `dynamic_shapes` of `export` is for these arguments together with the others.

        Raises
        ------
        ValueError
            An example has another structure, or another value that is no tensor.
        """
        function = m.forward if isinstance(m, fb.nn.Module) else m
        first, *others = [
            parameter_values(function, *example) for example in ((args, dict(kwargs or {})), *self._examples)
        ]
        leaves, spec = pytree.tree_flatten(first)
        rows = [leaves]
        for k, other in enumerate(others):
            row, structure = pytree.tree_flatten(other)
            if structure != spec:
                raise ValueError(
                    f"The arguments of example {k} have another structure: {structure}, not {spec}"
                )
            rows.append(row)
        return pytree.tree_unflatten([_differing(column) for column in zip(*rows)], spec)

    def verify(self, ep: Any) -> None:
        """Run the program on all examples."""
        module = ep.module()
        for args, kwargs in self._examples:
            module(*args, **kwargs)


def _differing(column: tuple) -> Any:
    """Of one leaf in all examples: which dimensions are dynamic."""
    first = column[0]
    if not isinstance(first, fb.Tensor):
        if any(type(v) is not type(first) or v != first for v in column):
            raise ValueError(f"A value that is no tensor is not the same in all examples: {column}")
        return None
    if any(not isinstance(v, fb.Tensor) or v.dim() != first.dim() for v in column):
        raise ValueError(f"An argument does not have the same number of dimensions in all examples: {column}")
    return tuple(Dim.DYNAMIC if len(set(sizes)) > 1 else None for sizes in zip(*(v.shape for v in column)))


@dataclasses.dataclass(frozen=True)
class Symbol:
    """The name of a size in an exported graph."""

    name: str

    def __repr__(self) -> str:
        return self.name


_LINEAR = re.compile(r"(?:(\d+)\*)?([A-Za-z_]\w*)(?: ([+-]) (\d+))?")


def linear(symbol: Symbol) -> tuple[Symbol, int, int] | None:
    """Of a size that follows another: that, the factor and the number; None for others."""
    if symbol.name.isidentifier() or (found := _LINEAR.fullmatch(symbol.name)) is None:
        return None
    factor, root, sign, number = found.groups()
    return Symbol(root), int(factor or 1), int(number or 0) * (-1 if sign == "-" else 1)


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
        bound = signature_of(function).bind(*args, **kwargs)
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
