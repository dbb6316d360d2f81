"""Write the type stubs of the core and of the package: ``python tools/make_stubs.py``.

Every operator carries its schema; functions, methods and in-place forms follow from it as in the binding.
"""

from __future__ import annotations

import ast
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
from typing import Any, NamedTuple, TypeAlias, overload

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
    "__contains__": "(self, element: Any) -> _bool",
    "__complex__": "(self) -> _complex",
    "__delitem__": "(self, index: Any) -> None",
    "__format__": "(self, format_spec: _str) -> _str",
    "__hash__": "(self) -> _int",
    "__reversed__": "(self) -> Tensor",
    "__array__": "(self, dtype: Any = ..., copy: _bool | None = ...) -> Any",
    "__deepcopy__": "(self, memo: dict[_int, Any]) -> Tensor",
    "__dlpack__": "(self, **options: Any) -> Any",
    "__dlpack_device__": "(self) -> tuple[Any, _int]",
    "__setstate__": "(self, state: Any) -> None",
    **{f"__{n}__": "(self) -> Tensor" for n in ("neg", "pos", "abs", "invert")},
    **{f"__{n}__": "(self, other: Any) -> Tensor" for n in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{f"__{s}{n}__": "(self, other: Any) -> Tensor" for n in TWO.split() for s in ("", "r", "i")},
}
# what the slots of a type do not tell
MEMBERS = {"ModuleBase": ["__getattr__(self, name: _str) -> Any"]}
ATTRIBUTES = {
    "device": "_device", "dtype": "_dtype", "layout": "_layout", "shape": "Size", "grad": "Tensor | None",
    "type": "_str",
    **dict.fromkeys("T H mT mH data imag real".split(), "Tensor"),
    **dict.fromkeys("itemsize nbytes ndim output_nr".split(), "_int"),
    **dict.fromkeys(
        "is_complex is_cpu is_cuda is_floating_point is_leaf is_meta is_mkldnn is_mps is_nested is_quantized "
        "is_signed is_sparse is_sparse_csr is_xpu requires_grad retains_grad".split(), "_bool",
    ),
}  # fmt: skip
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


named_results: dict[str, list[str]] = {}


def result(text: str) -> str:
    """The return type; of several values with names, the name of a tuple class that is written as well."""
    text = text.strip()
    if text.startswith("("):
        inside = parts(text[1:-1])
        if not inside:
            return "None"
        names = [p.rpartition(" ")[2] for p in inside if " " in p]
        if len(names) == len(inside):
            lines = [f"    {p.rpartition(' ')[2]}: {result(p.rpartition(' ')[0])}\n" for p in inside]
            kind = "_" + "_".join(names)
            if named_results.setdefault(kind, lines) == lines:
                return kind
        return "tuple[" + ", ".join(result(p.rpartition(" ")[0] or p) for p in inside) + "]"
    if text.endswith("[]"):
        return f"tuple[{TYPES[text[:-2].rstrip('?')]}, ...]"
    kind = re.sub(r"\([^)]*\)", "", text.split()[0]).rstrip("?")
    return {"Tensor": "Tensor", "Scalar": "Number"}.get(kind, TYPES.get(kind, "Any"))


def definitions(name: str, schema: str, signature: str, method: bool, inplace: bool) -> list[str]:
    """The ``def`` lines of an overload: a second one where sizes may come as single arguments."""
    opening = schema.index("(")
    inside, _, returned = schema[opening + 1 :].rpartition(") ->")
    texts = parts(inside)
    params = [argument(t, i == 0, method) for i, t in enumerate(texts)]
    if "Tensor out = None" in signature or "tuple of Tensors out = None" in signature:
        params += [] if "*" in texts else ["*"]
        params.append(
            f"out: {'Sequence[Tensor]' if 'of Tensors out' in signature else 'Tensor'} | None = ..."
        )
    if any(t.startswith("ScalarType? dtype") for t in texts) and any(
        t.startswith("Device? device") for t in texts
    ):
        params.append("requires_grad: _bool = ...")
    returns = "Tensor" if inplace else result(returned)
    lines = [f"def {name}({', '.join(params)}) -> {returns}: ..."]
    start = int(method)
    positional = texts[start : texts.index("*") if "*" in texts else None]
    if len(positional) == 1 and re.match(r"(Sym)?Int\[\d*\] ", positional[0], re.IGNORECASE):
        one = f"*{positional[0].partition('=')[0].split()[-1]}: _int"
        params[start : start + 1 + ("*" in params)] = [one]
        lines.append(f"def {name}({', '.join(params)}) -> {returns}: ...")
    return lines


def group(name: str, function: Any, method: bool, indent: str) -> str:
    """All overloads of a callable."""
    inplace = name.endswith("_") and not name.startswith("_")
    lines = list(
        dict.fromkeys(
            line
            for schema, signature in zip(function._schemas, function.__doc__.splitlines(), strict=True)
            for line in definitions(name, schema, signature, method, inplace)
        )
    )
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
        if "__new__" in vars(kind) and base != "(tuple[_int, ...])":
            body.append("    def __init__(self, *args: Any, **kwargs: Any) -> None: ...\n")
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
                body.append(f"    {member}: {ATTRIBUTES.get(member, 'Any')}\n")
            elif member.startswith("__") or keyword.iskeyword(member):
                continue
            elif callable(getattr(kind, member)):  # methods in Python stand there when they are looked at
                mark, first = KINDS.get(type(value).__name__, ("", "self, "))
                body.append(f"{mark}    def {member}({first}*args: Any, **kwargs: Any) -> Any: ...\n")
        out.append(f"\nclass {name}{base}:\n" + ("".join(body) or "    ...\n"))
    out.append("\n")
    for name, value in sorted(vars(core).items()):
        if name.startswith("__") or name in classes or keyword.iskeyword(name):
            continue
        out.append(group(name, value, False, "") if type(value) in operators else value_line(name, value))
    out += [f"\nclass {kind}(NamedTuple):\n" + "".join(lines) for kind, lines in named_results.items()]
    return "".join(out)


def written_names(file: Path) -> set[str]:
    """The names that the lines of a module bind."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def package(folder: Path, homes: dict[str, str]) -> str:
    """The stub of the package: what it takes from the core and what it finds when it is asked for."""
    inside = (p.stem for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())
    submodules = sorted(name for name in inside if not name.startswith("_"))
    out = [
        '"""The package as it shows itself. Made by tools/make_stubs.py; do not edit."""\n',
        "from typing import Any\n\nfrom flambeau._C import *\nfrom flambeau._basics import *\n",
        "from flambeau import _C as _C\n",
        "".join(f"from flambeau import {name} as {name}\n" for name in submodules),
    ]
    for home, names in homes.items():
        file = folder / home.replace(".", "/")
        known = written_names(file / "__init__.py" if file.is_dir() else file.with_suffix(".py"))
        written = [name for name in names.split() if name in known]
        if written:
            out.append(f"from flambeau.{home} import {', '.join(f'{name} as {name}' for name in written)}\n")
        # these the module makes when it is loaded
        out += [f"{name}: Any\n" for name in names.split() if name not in known]
    out.append("from flambeau.torch_version import __version__ as __version__\n\n_TensorBase = _C.Tensor\n\n")
    out.append("# operators written in Python\ndef __getattr__(name: str) -> Any: ...\n")
    return "".join(out)


def main() -> None:
    """Write both stubs into the package beside this folder."""
    root = Path(__file__).resolve().parent.parent
    sys.path.insert(0, str(root))
    from flambeau import _C, _lookup

    folder = root / "flambeau"
    (folder / "_C.pyi").write_text(stubs(_C))
    (folder / "__init__.pyi").write_text(package(folder, _lookup._HOMES))


if __name__ == "__main__":
    main()
