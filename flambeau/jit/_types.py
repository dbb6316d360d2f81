"""Types of TorchScript: read from annotations, inferred from values, checked where Python calls a program."""

from __future__ import annotations

import ast
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau.futures import Future

_PLAIN: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda v: isinstance(v, fb.Tensor),
    "int": lambda v: type(v) is int or isinstance(v, (fb.dtype, fb.layout, fb.memory_format)),
    "float": lambda v: isinstance(v, float) or type(v) is int,
    "complex": lambda v: isinstance(v, (complex, float)) or type(v) is int,
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "number": lambda v: isinstance(v, (int, float, complex)),
    "Device": lambda v: isinstance(v, (fb.device, str)),
    "NoneType": lambda v: v is None,
    "Any": lambda v: True,
}
_SAME = {"None": "NoneType", "Optional": "Optional", "device": "Device", "torch.Tensor": "Tensor",
         "Scalar": "number", "Number": "number", "List": "List", "list": "List", "Dict": "Dict", "dict":
         "Dict",
         "Tuple": "Tuple", "tuple": "Tuple", "torch.device": "Device", "torch.dtype": "int", "dtype": "int",
         "BroadcastingList1": "List", "BroadcastingList2": "List", "BroadcastingList3": "List"}  # fmt: skip


@dataclass(frozen=True)
class Type:
    """A type: its name and what it is made of; ``named`` are the fields of a named tuple."""

    name: str
    of: tuple[Type, ...] = ()

    def __str__(self) -> str:
        """As annotations in programs write it."""
        if self.name == "Tuple" and not self.of:
            return "Tuple[()]"
        return f"{self.name}[{', '.join(map(str, self.of))}]" if self.of else self.name

    def declared(self) -> str:
        """As declarations of operators write it: ``Tensor?``, ``int[]``, ``Dict(str, Tensor)``."""
        if self.name == "Optional":
            return self.of[0].declared() + "?"
        if self.name == "List":
            return self.of[0].declared() + "[]"
        if self.name == "Tuple":
            return f"({', '.join(t.declared() for t in self.of)})"
        return f"{self.name}({', '.join(t.declared() for t in self.of)})" if self.of else self.name

    def fits(self, value: Any) -> bool:
        """Whether Python may pass ``value`` where this type is asked for."""
        if self.name == "Optional":
            return value is None or self.of[0].fits(value)
        if self.name == "Union":
            return any(t.fits(value) for t in self.of)
        if self.name == "List":
            return isinstance(value, (list, tuple)) and all(map(self.of[0].fits, value))
        if self.name == "Tuple":
            return (
                isinstance(value, tuple)
                and len(value) == len(self.of)
                and all(t.fits(v) for t, v in zip(self.of, value))
            )
        if self.name == "Dict":
            key, item = self.of
            return isinstance(value, dict) and all(key.fits(k) and item.fits(v) for k, v in value.items())
        return _PLAIN[self.name](value) if self.name in _PLAIN else True  # a class: its own code will tell

    def taken(self, value: Any) -> Any:
        """The value as the program sees it: a float where one is asked for, a list of what was a tuple.

        Lists and dictionaries are copied: a program that changes one changes its own.
        """
        if self.name == "Optional":
            return None if value is None else self.of[0].taken(value)
        if self.name == "float" and type(value) is int:
            return float(value)
        if self.name == "int" and not isinstance(value, int):
            return number_of(value)
        if self.name == "Device" and isinstance(value, str):
            return fb.device(value)
        if self.name == "List":
            return [self.of[0].taken(v) for v in value]
        if self.name == "Dict":
            return {self.of[0].taken(k): self.of[1].taken(v) for k, v in value.items()}
        if self.name == "Tuple" and self.of:
            return tuple(t.taken(v) for t, v in zip(self.of, value))
        return value


TENSOR, NONE = Type("Tensor"), Type("NoneType")

DTYPES: tuple[str, ...] = (
    "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32", "complex64",
    "complex128", "bool", "qint8", "quint8", "qint32", "bfloat16", "quint4x2", "quint2x4", "bits1x8",
    "bits2x4", "bits4x2", "bits8", "bits16", "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz",
    "float8_e4m3fnuz", "uint16", "uint32", "uint64", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6",
    "uint7", "int1", "int2", "int3", "int4", "int5", "int6", "int7", "float8_e8m0fnu", "float4_e2m1fn_x2",
)  # fmt: skip
FORMATS = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
LAYOUTS = ("strided", "sparse_coo", "sparse_csr")


def number_of(value: Any) -> int:
    """The number that stands for a dtype, layout or memory format in programs."""
    name = str(value).removeprefix("torch.")
    for names in (DTYPES, FORMATS, LAYOUTS):
        if name in names:
            return names.index(name)
    raise TypeError(f"programs have no number for {value}")


def dtype_of(value: Any) -> Any:
    """The dtype that a number stands for; what is no number stays as it is."""
    return getattr(fb, DTYPES[value]) if type(value) is int else value


def parse(node: ast.expr | None) -> Type:
    """The type that an annotation names; no annotation is a tensor.

    Raises
    ------
    ValueError
        If it is no type.
    """
    if node is None:
        return TENSOR
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        if isinstance(node.value, str):
            return parse(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [parse(node.left), parse(node.right)]
        others = [t for t in sides if t != NONE]
        return Type("Optional", (others[0],)) if len(others) == 1 else Type("Union", tuple(sides))
    if isinstance(node, ast.Subscript):
        name = _name(node.value).rpartition(".")[2]
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return Type(_SAME.get(name, name), tuple(map(parse, parts)))
    name = _name(node)
    plain = name if name.startswith("__torch__") else name.removeprefix("typing.")
    return Type(_SAME.get(plain, plain))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    raise ValueError(f"no type: {ast.unparse(node)}")


def of_hint(hint: Any, class_name: Callable[[type], str]) -> Type:
    """The type that a Python annotation means; ``class_name`` gives the qualified name of a class."""
    if hint is None or hint is type(None):
        return NONE
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        others = [p for p in parts if p is not type(None)]
        inner = tuple(of_hint(p, class_name) for p in others)
        if len(others) == len(parts) - 1 == 1:
            return Type("Optional", inner)
        return Type("Union", inner + ((NONE,) if len(others) < len(parts) else ()))
    if origin in (list, dict, tuple):
        parts = () if parts == ((),) else parts
        return Type(origin.__name__.capitalize(), tuple(of_hint(p, class_name) for p in parts))
    if origin is Future:
        return Type("Future", (of_hint(parts[0], class_name),))
    if origin is not None and parts:
        return of_hint(parts[0], class_name)  # Final[int] and the like
    if isinstance(hint, str):
        return parse(ast.parse(hint, mode="eval").body)
    if hint is typing.Any:
        return Type("Any")
    if isinstance(hint, type):
        if issubclass(hint, fb.Tensor):
            return TENSOR
        if hint.__name__ in _SAME and hint.__module__ in ("builtins", "flambeau", "torch"):
            return Type(_SAME[hint.__name__])
        if hint in (int, float, complex, bool, str):
            return Type(hint.__name__)
        return Type(class_name(hint))
    raise ValueError(f"no type of a program: {hint!r}")


def of_value(value: Any, class_name: Callable[[type], str]) -> Type:
    """The type of an attribute, inferred from its value.

    Raises
    ------
    ValueError
        If programs have no such type, or an empty list or dictionary says nothing about its items.
    """
    if value is None:
        return NONE
    if isinstance(value, fb.Tensor):
        return TENSOR
    if isinstance(value, (bool, int, float, complex, str)):
        return Type(next(k.__name__ for k in (bool, int, float, complex, str) if isinstance(value, k)))
    if isinstance(value, fb.device):
        return Type("Device")
    if isinstance(value, (fb.dtype, fb.layout, fb.memory_format)):
        return Type("int")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return Type(class_name(type(value)))
    if isinstance(value, tuple):
        return Type("Tuple", tuple(of_value(v, class_name) for v in value))
    if isinstance(value, list):
        return Type("List", (_common(value, class_name),))
    if isinstance(value, dict):
        return Type("Dict", (_common(value, class_name), _common(value.values(), class_name)))
    if isinstance(value, fb.nn.Module):
        return Type(class_name(type(value)))
    raise ValueError(f"{type(value).__name__} is no type of a program")


def _common(values: Iterator[Any] | list | Any, class_name: Callable[[type], str]) -> Type:
    kinds = {of_value(v, class_name) for v in values}
    if len(kinds) > 1 and NONE in kinds:
        kinds.discard(NONE)
        return Type("Optional", (kinds.pop(),)) if len(kinds) == 1 else Type("Any")
    if len(kinds) != 1:
        raise ValueError("its items have no common type" if kinds else "it is empty")
    return kinds.pop()
