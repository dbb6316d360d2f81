"""Classes of a program that are no modules, as TorchScript: named tuples, enumerations, interfaces, others.

What a class of its own keeps is what its ``__init__`` assigns: each attribute has the type that an annotation
gives it, or that of the parameter or constant it is made from.
"""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau._own_methods import is_ours

from . import _types
from ._names import Names, hints_of
from .frontend import UnsupportedNodeError

if TYPE_CHECKING:
    from ._script import _Script

_PLACE = "__torch__.classes"


def is_interface(kind: Any) -> bool:
    """Whether ``jit.interface`` marked the class itself."""
    return isinstance(kind, type) and "_torchscript_interface" in vars(kind)


def class_written(kind: type, script: _Script) -> str:
    """The path of a class, whose text is written once; nothing for what programs have no classes for."""
    if kind in script.functions:
        return script.functions[kind]
    tuples = issubclass(kind, tuple) and hasattr(kind, "_fields")
    known = tuples or issubclass(kind, enum.Enum) or is_interface(kind)
    own = kind.__module__ != "builtins" and not is_ours(kind.__module__) and not issubclass(kind, _NO_CLASSES)
    if not (known or own):
        return ""
    place = "__torch__.tuples" if tuples else _PLACE
    taken = {path for path in script.functions.values() if path.startswith(place)}
    name = kind.__name__
    while f"{place}.{name}" in taken:
        name += "_"
    path = script.functions[kind] = f"{place}.{name}"
    if tuples:
        text = _named_tuple(kind, name, script)
    elif issubclass(kind, enum.Enum):
        text = f"class {name}(Enum):\n" + "".join(f"  {m.name} = {m.value!r}\n" for m in kind)
    elif is_interface(kind):
        text = _interface(kind, name, script)
    else:
        text = _class(kind, name, path, script)
    script.texts.setdefault(place, []).append(text)
    return path


_NO_CLASSES = (tuple, list, dict, str, fb.Tensor, fb.nn.Module, BaseException)


def _named_tuple(kind: type, name: str, script: _Script) -> str:
    hints = hints_of(kind)
    fields = [
        f"  {f} : {_types.of_hint(hints.get(f, fb.Tensor), lambda c: class_written(c, script))}\n"
        for f in kind._fields
    ]
    return f"class {name}(NamedTuple):\n{''.join(fields)}"


def methods_of(kind: type) -> dict[str, Any]:
    """The functions that a class itself defines."""
    return {n: f for n, f in vars(kind).items() if inspect.isfunction(f)}


def _interface(kind: type, name: str, script: _Script) -> str:
    base = "ModuleInterface" if issubclass(kind, fb.nn.Module) else "Interface"
    lines = [f"class {name}({base}):"]
    for method, function in methods_of(kind).items():
        names, hints = Names(function), hints_of(function)
        where = ast.Name(method)
        given = list(inspect.signature(function).parameters)[1:]
        parts = [f"{p}: {script.type_of(hints.get(p, fb.Tensor), names, where)}" for p in given]
        result = script.type_of(hints.get("return", fb.Tensor), names, where)
        lines += [f"  def {method}({', '.join(['self', *parts])}) -> {result}:", "    pass"]
    return "\n".join(lines) + "\n"


def _class(kind: type, name: str, path: str, script: _Script) -> str:
    if kind.__bases__ != (object,):
        raise UnsupportedNodeError(f"  class {kind.__qualname__}", "Inheritance of classes isn't supported")
    attributes = [f"  {n} : {k}\n" for n, k in _attributes(kind, script).items()]
    methods = [script.text_of(f, n, None, given_self=path) for n, f in methods_of(kind).items()]
    return f"class {name}:\n{''.join([*attributes, *methods]) or '  pass'}".rstrip("\n") + "\n"


def _attributes(kind: type, script: _Script) -> dict[str, _types.Type]:
    """The attributes that a class declares, or that its ``__init__`` makes."""
    start = vars(kind).get("__init__")
    names = Names(start) if inspect.isfunction(start) else None
    where = ast.Name(kind.__name__)
    found = {n: script.type_of(h, names or Names(_nothing), where) for n, h in hints_of(kind).items()}
    if names is None:
        return found
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(start))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        raise UnsupportedNodeError(f"  class {kind.__qualname__}", "its __init__ has no source") from None
    hints = hints_of(start)
    owner = tree.args.args[0].arg
    given = {a.arg: hints.get(a.arg, fb.Tensor) for a in tree.args.args[1:] + tree.args.kwonlyargs}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets if isinstance(node, (ast.Assign, ast.AnnAssign)) else ():
            if not (isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)):
                continue
            if target.value.id != owner or target.attr in found:
                continue
            if isinstance(node, ast.AnnAssign):
                found[target.attr] = script.type_of(script.evaluated(node.annotation, names), names, node)
            else:
                found[target.attr] = _of(node.value, given, names, script)
    return found


def _nothing() -> None:
    """Has the free names of no class."""


def _of(node: ast.expr, given: dict[str, Any], names: Names, script: _Script) -> _types.Type:
    """The type of what an attribute is made from."""
    if isinstance(node, ast.Name) and node.id in given:
        return script.type_of(given[node.id], names, node)
    try:
        return _types.of_value(ast.literal_eval(node), str)
    except ValueError:
        pass
    if isinstance(node, ast.Call):
        target = names.named(node.func)
        kinds = {int: "int", float: "float", str: "str", bool: "bool", len: "int"}
        if isinstance(target, type) and target not in kinds:
            path = class_written(target, script)
            if path:
                return _types.Type(path)
        if getattr(target, "__name__", "") in kinds.values() or target is len:
            return _types.Type(kinds[target])
        returned = hints_of(target).get("return") if inspect.isfunction(target) else None
        if returned is not None:
            return script.type_of(returned, names, node)
        called = getattr(target, "__name__", "-")
        if is_ours(str(getattr(target, "__module__", "") or "")) or hasattr(fb, called):
            return _types.TENSOR
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Subscript, ast.Call)):
        inner = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        kinds = {given[n] for n in inner if n in given}
        if kinds and kinds <= {fb.Tensor}:
            return _types.TENSOR
        if kinds and kinds <= {int} and not any(isinstance(n, ast.Div) for n in ast.walk(node)):
            return _types.Type("int")
        if kinds and kinds <= {int, float}:
            return _types.Type("float")
    raise names.refuse(node, "the type of an attribute has to be written: self.name: int = ...")


def converted(value: Any, paths: dict[Any, str], classes: dict[str, Any]) -> Any:
    """An attribute as a program holds it: objects of classes of the program as those of its text."""
    path = paths.get(type(value)) if not isinstance(value, fb.nn.Module) else None
    if path is None or path not in classes:
        if type(value) is list:
            return [converted(v, paths, classes) for v in value]
        if type(value) is dict:
            return {k: converted(v, paths, classes) for k, v in value.items()}
        return value
    kind = classes[path]
    if kind.base == "Enum":
        return kind.python[value.name]
    if kind.base == "NamedTuple":
        return value
    made = kind.python.__new__(kind.python)
    for name in kind.attributes:
        setattr(made, name, converted(getattr(value, name), paths, classes))
    return made
