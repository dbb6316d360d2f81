"""What `inspect.signature` says of the core's operators: made from their schemas when somebody asks."""

from __future__ import annotations

import keyword
import re
from inspect import Parameter, Signature
from typing import Any

from flambeau import _C

__all__ = ["of_operator", "split_arguments"]

_ARGUMENT = re.compile(r"(?P<type>.+?) (?P<name>\w+)(=(?P<default>.*))?$")
_CONSTANTS = {"None": None, "True": True, "False": False, "inf": float("inf"), "-inf": float("-inf")}
# PyTorch's `split` is a function in Python with names of its own
_SPLIT = {"self": "tensor", "split_size": "split_size_or_sections"}
# shown as what they are everywhere
_KEYWORDS = {"generator", "layout", "device", "pin_memory", "memory_format"}
# names and orders that PyTorch's table of signatures has for some; all of these names are taken as keywords
_CUTS = dict.fromkeys(("sections", "indices", "tensor_indices_or_sections"), "indices_or_sections")
_ORDER = {
    "add": "out alpha", "sub": "out alpha", "subtract": "out alpha",
    "cumsum": "out dtype", "cumprod": "out dtype",
    "addbmm": "alpha beta out", "baddbmm": "alpha beta out out_dtype", "addmm": "beta alpha out out_dtype",
    "gather": "out sparse_grad", "round": "out decimals", "searchsorted": "out_int32 right out side sorter",
    "linalg::vector_norm": "out dtype", "linalg::cholesky_ex": "check_errors out upper",
    "full_like": "out dtype layout device",
}  # fmt: skip
_OPTIONS_IN_ORDER = ("empty_like", "ones_like", "zeros_like", "full_like")  # as if they had places
_FACTORY = {"dtype": None, "layout": None, "device": None, "pin_memory": False, "requires_grad": False}


def split_arguments(schema: str) -> list[str]:
    """The arguments of a schema as they stand in it, ``*`` among them."""
    inside = schema[schema.index("(") + 1 : schema.rindex(") ->")]
    depth, parts, start = 0, [], 0
    for i, c in enumerate(inside):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(inside[start:i].strip())
            start = i + 1
    return [p for p in (*parts, inside[start:].strip()) if p]


def _value(text: str) -> Any:
    """The default that a schema writes."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in "'\"":
        return text[1:-1]
    if text[0] == "[":
        return tuple(_value(v.strip()) for v in text[1:-1].split(",") if v.strip())
    try:
        return float(text) if re.search(r"[.en]", text) else int(text)
    except ValueError:
        return getattr(_C, text)  # contiguous_format, preserve_format


def _overload(schema: str, method: bool) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    kind = Parameter.POSITIONAL_OR_KEYWORD
    for text in split_arguments(schema):
        if text == "*":
            kind = Parameter.KEYWORD_ONLY
            continue
        part = _ARGUMENT.match(text)
        name = part["name"]
        if schema.startswith("split.") and not method:
            name = _SPLIT.get(name, name)
        if schema.startswith(("hsplit.", "vsplit.", "dsplit.", "tensor_split.")):
            name = _CUTS.get(name, name)
        if (name == "self" and not method) or (name == "x" and schema.startswith("special::")):
            name = "input"
        if keyword.iskeyword(name):
            name += "_"
        default: Any = Parameter.empty
        if part["default"] is not None:
            default = _value(part["default"])
        elif kind is Parameter.KEYWORD_ONLY and part["type"].endswith("?"):
            default = None
        found[name] = Parameter(name, kind, default=default)
    return found


def of_operator(schemas: list[str], own_name: bool, out: bool, factory: bool) -> Signature:
    """One signature for all overloads of an operator, written as PyTorch writes those of its own table
    (`torch.overrides`): options and ``out`` are shown among the ordinary parameters, of methods too.

    The overload that takes most by position gives the order. What some overload does without has a default
    (None where no schema says another). Which arguments are keywords only is in the documentation string.
    `own_name` says that the first is called ``self``: of methods, and of functions that write to it.
    """
    overloads = [_overload(s, own_name) for s in schemas]
    overloads.sort(
        key=lambda o: (sum(p.kind is not p.KEYWORD_ONLY for p in o.values()), len(o)), reverse=True
    )
    merged: dict[str, Parameter] = {}
    for o in overloads:
        for name, p in o.items():
            if name in merged:
                continue
            defaults = [other[name].default for other in overloads if name in other]
            known = [d for d in defaults if d is not Parameter.empty]
            if known:
                p = p.replace(default=known[0])
            elif len(defaults) < len(overloads):
                p = p.replace(default=None)
            merged[name] = p
    if schemas[0].startswith("block_diag("):  # the one of the table that PyTorch has as a Python function
        return Signature([p.replace(kind=Parameter.VAR_POSITIONAL) for p in merged.values()])
    if own_name and schemas[0].startswith(("repeat(", "tile(")):
        first, sizes = merged.values()
        return Signature([first, sizes.replace(kind=Parameter.VAR_POSITIONAL)])
    if out:
        merged["out"] = Parameter("out", Parameter.POSITIONAL_OR_KEYWORD, default=None)
    function = re.split(r"[.(]", schemas[0])[0]
    order = _ORDER.get(function, "").split()
    merged.update({name: merged.pop(name) for name in order if name in merged})
    placed = function in _OPTIONS_IN_ORDER
    ordinary, keywords, optional = [], [], False
    for name, p in merged.items():
        option = (name in _KEYWORDS and p.kind is Parameter.KEYWORD_ONLY) or (factory and name in _FACTORY)
        if option and not placed:
            keywords.append(p.replace(kind=Parameter.KEYWORD_ONLY))
            continue
        optional = optional or p.default is not Parameter.empty
        if optional and p.default is Parameter.empty:
            p = p.replace(default=None)
        ordinary.append(p.replace(kind=Parameter.POSITIONAL_OR_KEYWORD))
    if factory:
        shown = {p.name for p in ordinary + keywords}
        keywords += [
            Parameter(name, Parameter.KEYWORD_ONLY, default=value)
            for name, value in _FACTORY.items()
            if name not in shown
        ]
    return Signature(ordinary + keywords)
