"""Schemas of custom operators from the annotations of the functions that implement them."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import flambeau as fb

__all__ = ["infer_schema"]

_BASES: dict[Any, str] = {
    fb.Tensor: "Tensor",
    int: "SymInt",
    float: "float",
    bool: "bool",
    str: "str",
    fb.dtype: "ScalarType",
    fb.device: "Device",
}
_NUMBERS = {int, float, bool}
_LISTED = "Tensor SymInt float bool Scalar str Tensor? ScalarType Device".split()
_RESULTS = ("Tensor", "Tensor[]", "SymInt", "float", "bool", "Scalar")


def _union(annotation: Any) -> tuple | None:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return None


def _type_name(annotation: Any) -> str | None:
    """An annotation as a schema writes it; None where a schema has no such type."""
    if annotation in _BASES:
        return _BASES[annotation]
    members = _union(annotation)
    if members is not None:
        others = [m for m in members if m is not type(None)]
        if set(others) == _NUMBERS:
            inner: str | None = "Scalar"
        elif len(others) == 1:
            inner = _type_name(others[0])
        else:
            return None
        if inner is None or inner.endswith("?"):
            return None
        return inner if len(others) == len(members) else inner + "?"
    origin = typing.get_origin(annotation)
    if origin in (list, collections.abc.Sequence):
        (element,) = typing.get_args(annotation) or (None,)
        inner = _type_name(element)
        return f"{inner}[]" if inner in _LISTED else None
    return None


def _default(name: str, value: Any, declared: str, say: Callable[[str], ValueError]) -> str:
    if value is None:
        return "None"
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, fb.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, fb.device):
        return f'"{value}"'
    raise say(
        f"Parameter {name} has an unsupported default value type {type(value)}. Please file an issue on"
        " GitHub so"
        " we can prioritize this."
    )


def _results(annotation: Any, say: Callable[[str], ValueError]) -> str:
    if annotation is inspect.Signature.empty:
        raise say("No return type annotation was provided. Please add one.")
    if annotation is None or annotation is type(None):
        return "()"
    if typing.get_origin(annotation) is tuple:
        members = typing.get_args(annotation)
    else:
        members = (annotation,)
    found = [_type_name(m) for m in members]
    for member, name in zip(members, found):
        if name not in _RESULTS:
            raise say(
                f"Return has unsupported type {member}. The valid types are: Tensor, list[Tensor], int,"
                " float, bool"
                " and int | float | bool."
            )
    return (
        found[0]
        if len(found) == 1 and typing.get_origin(annotation) is not tuple
        else f"({', '.join(found)})"
    )


def infer_schema(
    prototype_function: Callable,
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
    tags: Any = (),
) -> str:
    """The schema of an operator whose implementation is annotated.

    Parameters
    ----------
    prototype_function : every parameter and the result annotated: tensors, numbers, strings, dtypes, devices,
        optionals and lists of them; a tuple of results.
    mutates_args : names of the tensors it writes into, or ``"unknown"``: any of them.
    op_name : put before the arguments where given.

    Raises
    ------
    ValueError : something is not annotated, or not with a type of schemas.
    """
    try:
        signature = inspect.signature(prototype_function, eval_str=True)
    except NameError:
        signature = inspect.signature(
            prototype_function, eval_str=True, globals={**prototype_function.__globals__, **vars(typing)}
        )

    def say(text: str) -> ValueError:
        return ValueError(f"infer_schema(func): {text} Got func with signature {signature})")

    parts, seen, star, written = [], set(), False, 0
    for name, p in signature.parameters.items():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            raise say("We do not support positional-only args, varargs, or varkwargs.")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        if p.annotation is p.empty:
            raise say(f"Parameter {name} must have a type annotation.")
        declared = _type_name(p.annotation)
        if declared is None:
            if typing.get_origin(p.annotation) is tuple:
                raise say(
                    f"Parameter {name} has unsupported type {p.annotation}. We do not support Tuple inputs in"
                    " schema. As a workaround, please try to use List instead.\n\n"
                    "The valid types are tensors, int, float, bool, str, torch.dtype, torch.device, and"
                    " optionals and lists"
                    " of them."
                )
            raise say(
                f"Parameter {name} has unsupported type {p.annotation}. The valid types are: tensors, int,"
                " float,"
                " bool, int | float | bool, str, torch.dtype, torch.device, and optionals and lists of them."
            )
        seen.add(name)
        if (mutates_args == "unknown" and declared.startswith("Tensor")) or (
            not isinstance(mutates_args, str) and name in mutates_args
        ):
            if not declared.startswith("Tensor"):
                raise say(
                    f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can"
                    " be mutated"
                )
            declared = declared.replace("Tensor", f"Tensor(a{written}!)", 1)
            written += 1
        default = "" if p.default is p.empty else "=" + _default(name, p.default, declared, say)
        parts.append(f"{declared} {name}{default}")
    if not isinstance(mutates_args, str) and (unknown := set(mutates_args) - seen):
        raise say(
            f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args should"
            " contain the"
            " names of all args that the custom op mutates, or just the string 'unknown' if you don't know."
        )
    if isinstance(mutates_args, str) and mutates_args != "unknown":
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that are mutated or the"
            " string"
            " 'unknown'. "
        )
    return f"{op_name or ''}({', '.join(parts)}) -> {_results(signature.return_annotation, say)}"
