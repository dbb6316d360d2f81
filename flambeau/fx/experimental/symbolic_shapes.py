"""Questions about sizes, which are plain numbers here."""

from __future__ import annotations

from typing import Any

__all__ = [
    "GuardOnDataDependentSymNode", "free_symbols", "free_unbacked_symbols", "guard_float", "guard_int",
    "guard_or_false", "guard_or_true", "guard_scalar", "guard_size_oblivious", "has_free_symbols",
    "has_free_unbacked_symbols", "has_static_value", "has_symbolic_sizes_strides", "is_concrete_bool",
    "is_concrete_float", "is_concrete_int", "is_nested_int", "is_symbolic", "statically_known_false",
    "statically_known_true", "sym_and", "sym_eq", "sym_or",
]  # fmt: skip


class GuardOnDataDependentSymNode(RuntimeError):
    """A branch on a number that is not known while tracing; here for code that catches it.

    flambeau's tracers raise `torch._dynamo.exc.UserError`.
    """

    def __init__(self, cond: Any, *args: Any) -> None:
        super().__init__(*args)
        self.cond = cond


def guard_or_false(a: Any) -> bool:
    """Whether it holds."""
    return bool(a)


guard_or_true = guard_size_oblivious = statically_known_true = guard_or_false


def guard_int(a: Any) -> int:
    """The number."""
    return int(a)


def guard_float(a: Any) -> float:
    """The number."""
    if not isinstance(a, float):
        raise AssertionError(f"Expected float, got {a}")
    return a


def guard_scalar(a: Any) -> Any:
    """The number, or truth."""
    if not isinstance(a, (bool, int, float)):
        raise AssertionError(f"unrecognized scalar {a}")
    return a


def statically_known_false(x: Any) -> bool:
    """Whether it does not hold."""
    return not x


def free_symbols(val: Any) -> set:
    """The symbols in sizes: there are none, a number that follows an input is recognised after the call."""
    return set()


free_unbacked_symbols = free_symbols


def has_free_symbols(val: Any) -> bool:
    """Whether there are symbols in sizes: there are none."""
    return False


has_free_unbacked_symbols = has_symbolic_sizes_strides = is_symbolic = has_free_symbols


def is_nested_int(s: Any) -> bool:
    """Whether it is the length of a ragged dimension."""
    from flambeau.nested.sizes import NestedInt

    return isinstance(s, NestedInt)


def is_concrete_int(a: Any) -> bool:
    """Whether it is a known number."""
    return isinstance(a, int)


def is_concrete_float(a: Any) -> bool:
    """Whether it is a known number."""
    return isinstance(a, float)


def is_concrete_bool(a: Any) -> bool:
    """Whether it is a known truth."""
    return isinstance(a, bool)


def has_static_value(a: Any) -> bool:
    """Whether it is known."""
    return isinstance(a, (bool, int, float))


def sym_eq(x: Any, y: Any) -> bool:
    """Whether two numbers, or lists of them, are equal."""
    if isinstance(x, (tuple, list)) and isinstance(y, (tuple, list)):
        return len(x) == len(y) and all(map(sym_eq, x, y))
    return bool(x == y)


def sym_and(x: Any, *others: Any) -> bool:
    """Whether all hold."""
    return all((x, *others))


def sym_or(x: Any, *others: Any) -> bool:
    """Whether one holds."""
    return any((x, *others))
