"""Write the type stubs of the core from its operator table: ``python tools/make_stubs.py flambeau/_C.pyi``.

Every operator carries its schema; functions, methods and in-place forms follow from it as in the binding.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Any

# With an underscore: operators and dtypes named int, bool, dtype ... would hide the types.
TYPES = {
    "Tensor": "Tensor",
    "Operand": "Tensor | Number",
    "Scalar": "Number",
    "int": "_int",
    "SymInt": "_int",
    "float": "_float",
    "bool": "_bool",
    "str": "_str",
    "ScalarType": "_dtype",
    "Layout": "_layout",
    "Device": "_device | _str | _int",
    "MemoryFormat": "_memory_format",
    "Generator": "Generator",
}
HEADER = '''"""The core of flambeau. Made by tools/make_stubs.py from the operator table; do not edit."""
from __future__ import annotations

from builtins import bool as _bool, complex as _complex, float as _float, int as _int, str as _str
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, overload

Number: TypeAlias = _int | _float | _bool | _complex
_dtype: TypeAlias = "dtype"
_device: TypeAlias = "device"
_layout: TypeAlias = "layout"
_memory_format: TypeAlias = "memory_format"

'''
TWO = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
SPECIAL = {
    "__getitem__": "(self, index: Any) -> Tensor",
    "__setitem__": "(self, index: Any, value: Tensor | Number) -> None",
    "__len__": "(self) -> _int",
    "__bool__": "(self) -> _bool",
    "__int__": "(self) -> _int",
    "__float__": "(self) -> _float",
    "__index__": "(self) -> _int",
    "__iter__": "(self) -> Iterator[Tensor]",
    **{f"__{n}__": "(self) -> Tensor" for n in ("neg", "pos", "abs", "invert")},
    **{f"__{n}__": "(self, other: Any) -> Tensor" for n in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{f"__{s}{n}__": "(self, other: Any) -> Tensor" for n in TWO.split() for s in ("", "r", "i")},
}
# what the slots of a type do not tell
MEMBERS = {"ModuleBase": ["__getattr__(self, name: _str) -> Any"]}
KINDS = {
    "staticmethod": ("    @staticmethod\n", ""),
    "classmethod_descriptor": ("    @classmethod\n", "cls, "),
}


def parts(text: str) -> list[str]:
    """The arguments between the brackets of a schema."""
    found, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    return [p for p in found if p]


def annotation(kind: str) -> str:
    """The Python type of a schema's type, such as ``Sequence[int] | None``."""
    m = re.fullmatch(r"(\w+)(\([^)]*\))?(\?)?(\[\d*\])?(\?)?", kind)
    assert m, kind
    base = TYPES[m[1]]
    if m[4] is not None:
        item = f"{base} | None" if m[3] else base
        many = f"Sequence[{item}]"
        base = f"{many} | {base}" if m[4] != "[]" else many
    optional = m[5] or (m[3] if m[4] is None else None)
    return f"{base} | None" if optional else base


def argument(text: str, first: bool, method: bool) -> str:
    """One argument of a schema as a parameter."""
    if text == "*":
        return "*"
    declared, _, value = text.partition("=")
    kind, _, name = declared.strip().rpartition(" ")
    if first and method:
        return "self"
    if first and name == "self":
        name = "input"
    if keyword.iskeyword(name):
        name += "_"
    optional = " = ..." if value else ""
    return f"{name}: {annotation(kind)}{optional}"


def result(text: str) -> str:
    """The return type."""
    text = text.strip()
    if text.startswith("("):
        inside = parts(text[1:-1])
        if not inside:
            return "None"
        return "tuple[" + ", ".join(result(p.rpartition(" ")[0] or p) for p in inside) + "]"
    if text.endswith("[]"):
        return f"tuple[{TYPES[text[:-2].rstrip('?')]}, ...]"
    kind = re.sub(r"\([^)]*\)", "", text.split()[0]).rstrip("?")
    return {"Tensor": "Tensor", "Scalar": "Number"}.get(kind, TYPES.get(kind, "Any"))


def definition(name: str, schema: str, method: bool, inplace: bool) -> str:
    """One ``def`` line of an overload."""
    opening = schema.index("(")
    inside, _, returned = schema[opening + 1 :].rpartition(") ->")
    texts = parts(inside)
    params = [argument(t, i == 0, method) for i, t in enumerate(texts)]
    if any(t.startswith("ScalarType? dtype") for t in texts) and any(
        t.startswith("Device? device") for t in texts
    ):
        params.append("requires_grad: _bool = ...")
    returns = "Tensor" if inplace else result(returned)
    return f"def {name}({', '.join(params)}) -> {returns}: ..."


def group(name: str, function: Any, method: bool, indent: str) -> str:
    """All overloads of a callable."""
    inplace = name.endswith("_") and not name.startswith("_")
    lines = list(dict.fromkeys(definition(name, s, method, inplace) for s in function._schemas))
    mark = f"{indent}@overload\n" if len(lines) > 1 else ""
    return "".join(f"{mark}{indent}{line}\n" for line in lines)


def value_line(name: str, value: Any) -> str:
    """A constant, a builtin function, or a module."""
    kind = type(value).__name__
    if kind in ("dtype", "layout", "memory_format"):
        return f"{name}: _{kind}\n"
    if kind == "builtin_function_or_method":
        return f"def {name}(*args: Any, **kwargs: Any) -> Any: ...\n"
    return f"{name}: Any\n"


def stubs(core: Any) -> str:
    """The whole file."""
    operators = {type(core._VariableFunctions.add), type(core.Tensor.add)}
    out = [HEADER]
    classes = {n: v for n, v in vars(core).items() if isinstance(v, type)}
    for name, kind in sorted(classes.items()):
        if kind.__name__ != name and kind.__name__ in classes:
            out.append(f"{name} = {kind.__name__}\n")
            continue
        base = (
            "(tuple[_int, ...])"
            if issubclass(kind, tuple)
            else "(RuntimeError)"
            if issubclass(kind, RuntimeError)
            else ""
        )
        body = (
            ["    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...\n"]
            if "__call__" in vars(kind)
            else []
        )
        if "__enter__" in vars(kind):
            body.append("    def __enter__(self) -> Any: ...\n")
            body.append("    def __exit__(self, *args: Any) -> None: ...\n")
        body += [f"    def {member}: ...\n" for member in MEMBERS.get(name, [])]
        for member, value in sorted(vars(kind).items()):
            if name == "Tensor" and member in SPECIAL:
                wide = "  # type: ignore[override]" if member in ("__eq__", "__ne__") else ""
                body.append(f"    def {member}{SPECIAL[member]}: ...{wide}\n")
            elif type(value) in operators:
                body.append(group(member, value, True, "    "))
            elif type(value).__name__ in ("getset_descriptor", "member_descriptor") and not member.startswith(
                "__"
            ):
                body.append(f"    {member}: Any\n")
            elif callable(value) and not keyword.iskeyword(member) and not member.startswith("__"):
                mark, first = KINDS.get(type(value).__name__, ("", "self, "))
                body.append(f"{mark}    def {member}({first}*args: Any, **kwargs: Any) -> Any: ...\n")
        out.append(f"\nclass {name}{base}:\n" + ("".join(body) or "    ...\n"))
    out.append("\n")
    for name, value in sorted(vars(core).items()):
        if name.startswith("__") or name in classes or keyword.iskeyword(name):
            continue
        out.append(group(name, value, False, "") if type(value) in operators else value_line(name, value))
    return "".join(out)


def main() -> None:
    """Write the stubs to the file named on the command line."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from flambeau import _C

    Path(sys.argv[1]).write_text(stubs(_C))


if __name__ == "__main__":
    main()
