"""Schemas of operators as objects: what ``torch.ops.aten.add.Tensor._schema`` is."""

from __future__ import annotations

import itertools
import re

from ._signatures import _value, split_arguments

__all__ = ["Argument", "FunctionSchema", "JitType", "parse"]

_TYPE = re.compile(r"(?P<base>[\w.|]+)(\((?P<alias>[^)]*)\))?(?P<rest>(\?|\[\d*\])*)$")
# how PyTorch prints them; what has no type of its own there is an int
_PRINTED = {
    "Scalar": "number", "SymInt": "int", "ScalarType": "int", "Layout": "int", "MemoryFormat": "int",
}  # fmt: skip


class JitType:
    """The type of an argument: a base type, a list or an optional of one. Each has its class."""

    _name = ""

    def __init__(self, element: JitType | None = None) -> None:
        self._element = element

    @classmethod
    def get(cls) -> JitType:
        """The type itself, where it has no element."""
        return cls()

    def kind(self) -> str:
        """``TensorType``, ``IntType``, ``ListType``, …"""
        return type(self).__name__

    def getElementType(self) -> JitType:
        """Of a list or an optional: of what."""
        if self._element is None:
            raise RuntimeError(f"{self} has no element type")
        return self._element

    def isSubtypeOf(self, other: JitType) -> bool:
        """Whether a value of this type is one of the other."""
        return str(self) == str(other) or (other._name == "Optional" and self.isSubtypeOf(other._element))

    def __str__(self) -> str:
        return self._name if self._element is None else f"{self._name}[{self._element}]"

    annotation_str = property(__str__)

    def __repr__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JitType) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


_CLASSES = {
    name: type(kind, (JitType,), {"_name": name, "__module__": "torch"})
    for name, kind in {
        "Tensor": "TensorType", "int": "IntType", "float": "FloatType", "bool": "BoolType",
        "str": "StringType",
        "number": "NumberType", "complex": "ComplexType", "SymInt": "SymIntType", "Device": "DeviceObjType",
        "List": "ListType", "Optional": "OptionalType", "None": "NoneType", "Any": "AnyType",
    }.items()
}  # fmt: skip
globals().update({kind.__name__: kind for kind in _CLASSES.values()})


def _type(name: str, element: JitType | None = None) -> JitType:
    kind = _CLASSES.get(name) or type(f"{name}Type", (JitType,), {"_name": name})
    return kind(element)


class AliasInfo:
    """Which memory an argument shares, and whether it is written."""

    def __init__(self, text: str) -> None:
        before, _, after = text.partition("->")
        self.is_write = "!" in text
        self.before_set = set(before.replace("!", "").replace("|", " ").split())
        self.after_set = set((after or before).replace("!", "").replace("|", " ").split())


class Argument:
    """One argument, or result, of a schema."""

    def __init__(self, text: str, kwarg_only: bool = False, is_out: bool = False) -> None:
        head, _, default = text.partition("=")
        declared = head.split(" ")
        self.name = declared[-1] if len(declared) > 1 else ""
        self._declared = declared[0] if len(declared) < 3 else " ".join(declared[:-1])
        found = _TYPE.match(self._declared)
        if found is None:
            raise RuntimeError(f"schema: {self._declared!r} is not a type")
        alias, rest = found["alias"], found["rest"]
        self.alias_info = AliasInfo(alias) if alias else None
        self.kwarg_only, self.is_out = kwarg_only, is_out
        self.N: int | None = None
        self.type = _type(_PRINTED.get(found["base"], found["base"]))
        self.real_type = _type({"Scalar": "number"}.get(found["base"], found["base"]))
        for part in re.findall(r"\?|\[\d*\]", rest):
            wrapper = "Optional" if part == "?" else "List"
            if part[1:-1]:
                self.N = int(part[1:-1])
            self.type, self.real_type = _type(wrapper, self.type), _type(wrapper, self.real_type)
        self._default = default
        self.default_value = _value(default) if default else None

    @property
    def is_write(self) -> bool:
        """Whether the call changes it."""
        return self.alias_info is not None and self.alias_info.is_write

    def has_default_value(self) -> bool:
        """Whether it may be left out."""
        return bool(self._default)


class FunctionSchema:
    """Name, arguments and results of an operator.

    Parameters
    ----------
    text : such as ``aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``.
    """

    def __init__(self, text: str) -> None:
        numbers = itertools.count()  # ``Tensor!`` is written, and shares memory with nothing
        text = re.sub(r"\bTensor!", lambda _: f"Tensor(${next(numbers)}! -> )", text)
        self._text = text
        head = text[: text.index("(")]
        self.name, _, self.overload_name = head.partition(".")
        self.arguments: list[Argument] = []
        only_keywords = False
        for part in split_arguments(text):
            if part == "*":
                only_keywords = True
            else:
                out = only_keywords and "!)" in part
                self.arguments.append(Argument(part, only_keywords, out))
        results = text[text.rindex(") ->") + 4 :].strip()
        inside = results[1:-1] if results.startswith("(") else results
        self.returns = [Argument(r.strip()) for r in inside.split(",") if r.strip()]

    @property
    def is_mutable(self) -> bool:
        """Whether some argument is changed."""
        return any(a.is_write for a in self.arguments)

    def _is_view_op(self) -> bool:
        return not self.is_mutable and any(a.alias_info for a in self.arguments)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunctionSchema) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def parse(text: str) -> FunctionSchema:
    """The schema that a text describes; RuntimeError where it is none."""
    try:
        return FunctionSchema(text)
    except (ValueError, IndexError) as error:
        raise RuntimeError(f"schema {text!r} cannot be read: {error}") from None
