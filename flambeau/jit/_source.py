"""TorchScript programs: their text checked and turned into functions.

The text is Python's grammar with few words. It is parsed, every name, attribute and call in it is looked at,
and what
remains is compiled: a program can reach the operators, its own functions and classes, and nothing else. An
attribute
is read and a method called only where a class of the program declares it.
"""

from __future__ import annotations

import ast
import enum
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flambeau as fb
from flambeau.futures import Future

from . import _builtins
from ._types import DTYPES, FORMATS, NONE, TENSOR, Type, number_of, parse


@dataclass
class Argument:
    """A parameter of a function."""

    name: str
    type: Type
    default: Any = ...

    def declared(self) -> str:
        """As declarations show it."""
        text = f"{self.type.declared()} {self.name}"
        return text if self.default is ... else f"{text}={self.default!r}"


class Function:
    """A function or method of a program."""

    def __init__(
        self,
        name: str,
        code: Callable,
        arguments: list[Argument],
        result: Type,
        source: str,
        classes: dict[str, Class] | None = None,
    ) -> None:
        self.name, self.run, self.arguments, self.result, self.source = name, code, arguments, result, source
        self.classes = classes or {}

    def declaration(self) -> str:
        """``name(int a, Tensor b=None) -> Tensor``."""
        return f"{self.name}({', '.join(a.declared() for a in self.arguments)}) -> {self._returns()}"

    def _returns(self) -> str:
        text = self.result.declared()
        return f"({text})" if self.result.name == "Tuple" else text

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Called from Python: the arguments are checked against the declaration."""
        values = self.bound(args, kwargs)
        try:
            return self.run(*values)
        except Exception as e:
            raise _told(e) from e

    def member(self, path: str, value: enum.Enum) -> enum.Enum:
        """The member of the program's own enumeration for that of Python's."""
        kind = self.classes.get(path)
        return value if kind is None or kind.base != "Enum" else kind.python[value.name]

    def bound(self, args: tuple, kwargs: dict) -> list:
        """The arguments in order, as the program takes them."""
        expected = self.arguments
        if len(args) > len(expected):
            raise RuntimeError(
                f"{self.name}() expected at most {len(expected)} argument(s) "
                f"but received {len(args)} argument(s). "
                f"Declaration: {self.declaration()}"
            )
        values = []
        for i, a in enumerate(expected):
            if i < len(args):
                value = args[i]
            elif a.name in kwargs:
                value = kwargs[a.name]
            elif a.default is not ...:
                values.append(a.default)
                continue
            else:
                raise RuntimeError(
                    f"{self.name}() is missing value for argument '{a.name}'. "
                    f"Declaration: {self.declaration()}"
                )
            if not a.type.fits(value):
                raise RuntimeError(
                    f"{self.name}() Expected a value of type '{a.type}' for argument '{a.name}' "
                    "but instead found "
                    f"type '{type(value).__name__}'.\nPosition: {i}\nValue: {value}\n"
                    f"Declaration: {self.declaration()}"
                )
            value = self.member(a.type.name, value) if isinstance(value, enum.Enum) else a.type.taken(value)
            values.append(value)
        for name in kwargs:
            if all(a.name != name for a in expected[len(args) :]):
                raise RuntimeError(
                    f"Unknown keyword argument '{name}' for operator '{self.name}'. "
                    f"Schema: {self.declaration()}"
                )
        return values


def _told(error: Exception) -> Exception:
    """The error with the places of the program that led to it."""
    lines = ["The following operation failed in the TorchScript interpreter."]
    lines.append("Traceback of TorchScript (most recent call last):")
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_name.removeprefix(_DEF)
        if name != frame.f_code.co_name:
            lines.append(f'  File "{frame.f_code.co_filename}", line {number}, in {name}')
            text = frame.f_globals["__texts"].get(frame.f_code.co_filename, "").splitlines()
            lines += [f"    {text[number - 1].strip()}"] if number <= len(text) else []
    raised = isinstance(error, _builtins.Error)
    lines.append(str(error) if raised else f"RuntimeError: {_said(error)}")
    return (_builtins.Error if raised else RuntimeError)("\n".join(lines))


def _said(error: Exception) -> str:
    """What a program says of an error of Python's own, in PyTorch's words."""
    if isinstance(error, KeyError) and error.args:
        return f"KeyError: {error.args[0]}"
    if isinstance(error, ZeroDivisionError):
        return "division by 0"
    return str(error)


@dataclass
class Class:
    """A class of a program."""

    name: str
    base: str  # one of _BASES
    attributes: dict[str, Type] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)
    methods: dict[str, Function] = field(default_factory=dict)
    python: type | None = None  # of what instances are


class Instance:
    """An object of a class that a program defines and that is no module."""

    _script_class: Class

    def __repr__(self) -> str:
        return f"<{self._script_class.name}>"

    def __getattr__(self, name: str) -> Any:
        method = type(self)._script_class.methods.get(name)
        if method is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return lambda *args, **kwargs: method(self, *args, **kwargs)


# ---------------------------------------------------------------- what compiled text calls
def _attribute(value: Any, name: str) -> Any:
    kind = getattr(type(value), "_script_class", None)
    if kind is None or (name not in kind.attributes and name not in kind.constants):
        if isinstance(value, tuple) and (
            name in getattr(value, "_fields", ()) or (name in ("values", "indices") and hasattr(value, name))
        ):
            return getattr(value, name)  # of the caller's tuple, or of the result of an operator
        known = next((names for kinds, names in _builtins.ATTRIBUTES.items() if isinstance(value, kinds)), {})
        if name in known:
            return known[name](value)
        raise _builtins.Error(f"a {type(value).__name__} of the program declares no attribute {name!r}")
    if name in kind.attributes:
        return getattr(value, name)
    return kind.constants[name]


def _set_attribute(value: Any, name: str, new: Any) -> None:
    kind = getattr(type(value), "_script_class", None)
    if kind is None or name not in kind.attributes:
        raise _builtins.Error(f"a {type(value).__name__} of the program declares no attribute {name!r}")
    setattr(value, name, new)


def _method(value: Any, name: str) -> Callable:
    kind = getattr(type(value), "_script_class", None)
    if kind is not None and name in kind.methods:
        run = kind.methods[name].run
        return lambda *args, **kwargs: run(value, *args, **kwargs)
    if isinstance(value, Future) and name == "wait":
        return value.wait
    if isinstance(value, (fb.Tensor, str, list, dict)):  # written by hand: x.size(0) for torch.size(x, 0)
        function = _builtins.method(name) if isinstance(value, fb.Tensor) else _builtins.aten(name)
        return lambda *args, **kwargs: function(value, *args, **kwargs)
    raise _builtins.Error(f"a {type(value).__name__} of the program has no method {name!r}")


def _is_a(value: Any, kinds: tuple[Type | type, ...]) -> bool:
    for kind in kinds:
        if isinstance(kind, Type):
            strict = (
                kind.name in ("int", "float") and type(value) is not {"int": int, "float": float}[kind.name]
            )
            if not strict and kind.fits(value):
                return True
        elif isinstance(value, kind):
            return True
    return False


def _as_number(kind: Callable, value: Any) -> Any:
    return kind(value) if isinstance(value, fb.Tensor) else value


def _new(constructor: Any) -> Any:
    kind = getattr(constructor, "kind", None)
    if kind is None:
        raise _builtins.Error("the program makes an object of what is no class")
    return kind.__new__(kind)


def _items(value: Any) -> Any:
    return list(value) if isinstance(value, dict) else value


_NAMES: dict[str, Any] = {
    "__attribute": _attribute, "__set": _set_attribute, "__method": _method, "__isinstance": _is_a,
    "__number": _as_number, "__items": _items, "__new": _new, "inf": float("inf"), "nan": float("nan"),
    "infj": complex(0, float("inf")),
}  # fmt: skip
# Methods of classes that statements and operators call.
_OPERATIONS = {
    f"__{name}__"
    for name in """enter exit len contains getitem setitem delitem neg call str eq ne lt le gt ge add sub mul
    truediv floordiv mod pow matmul and or xor lshift rshift radd rsub rmul rtruediv iadd isub imul""".split()
}
_BASES = ("Module", "NamedTuple", "Enum", "Interface", "ModuleInterface", "")
_FORKED = re.compile("__forked_function[0-9]*")
_CHANGED = "__changed"  # an attribute while a statement like `+=` changes it
_DEF = "__def_"  # how the names of compiled functions begin
_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.While, ast.For, ast.Return,
               ast.Pass, ast.FunctionDef, ast.Assert, ast.Break, ast.Continue, ast.With, ast.Raise,
               ast.Delete)  # fmt: skip
_EXPRESSIONS = (ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Subscript, ast.Slice, ast.Call,
ast.Attribute,
                ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.ListComp, ast.DictComp,
                ast.comprehension,
                ast.Starred, ast.JoinedStr, ast.FormattedValue, ast.keyword, ast.operator, ast.unaryop,
                ast.boolop,
                ast.cmpop, ast.expr_context, ast.withitem)  # fmt: skip


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an attribute of an attribute of a name, or nothing."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


class _Compile(ast.NodeTransformer):
    """Replaces every name that is no local variable by what it stands for, and refuses what a program may
    not say."""

    def __init__(self, unit: Unit, file: str, locals_: set[str]) -> None:
        self.unit, self.file, self.locals = unit, file, locals_

    def refuse(self, node: ast.AST, why: str) -> RuntimeError:
        return RuntimeError(
            f'{why}:\n  File "{self.file}", line {getattr(node, "lineno", 0)}\n    {ast.unparse(node)}'
        )

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _STATEMENTS + _EXPRESSIONS):
            raise self.refuse(node, f"a program has no {type(node).__name__}")
        return super().generic_visit(node)

    def known(self, value: Any, node: ast.AST) -> ast.expr:
        return ast.copy_location(ast.Name(self.unit.hold(value), ast.Load()), node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if _FORKED.fullmatch(node.id) and node.id in self.locals and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Name(_DEF + node.id.strip("_"), ast.Load()), node)
        if node.id.startswith("__"):
            raise self.refuse(node, "a name may not start with two underscores")
        if not isinstance(node.ctx, ast.Load) or node.id in self.locals:
            return node
        if node.id in ("inf", "nan", "infj"):
            return node
        if node.id in self.unit.functions:
            return self.unit.reference(node.id, node)
        if node.id in _builtins.BARE:
            return self.known(_builtins.BARE[node.id], node)
        raise self.refuse(node, f"undefined value {node.id}")

    def global_value(self, path: str, node: ast.AST) -> ast.expr | None:
        root, _, rest = path.partition(".")
        if root in self.locals:
            return None
        if root == "torch":
            if (
                rest in DTYPES
                or rest in FORMATS
                or rest in ("float", "double", "long", "half", "int", "short")
            ):
                return ast.copy_location(ast.Constant(number_of(getattr(fb, rest))), node)
            if "." in rest:
                space, _, name = rest.rpartition(".")
                place = {
                    "nn.functional": fb.nn.functional,
                    "linalg": fb.linalg,
                    "special": fb.special,
                    "fft": fb.fft,
                }
                if (
                    space not in place
                    or name.startswith("_")
                    or not callable(getattr(place[space], name, None))
                ):
                    raise self.refuse(node, f"undefined value {path}")
                return self.known(getattr(place[space], name), node)
            if rest.startswith("__") and rest not in _builtins.ALWAYS and rest not in _builtins.PLAIN:
                raise self.refuse(node, f"undefined value {path}")
            return self.known(self.unit.operator(rest), node)
        if root == "ops":
            space, _, name = rest.partition(".")
            return self.known(self.unit.custom(space, name), node)
        if root == "CONSTANTS":
            return self.known(self.unit.constant(rest), node)
        if root == "__torch__":
            return self.unit.reference(path, node)
        if root == "math" and rest in _builtins.PLAIN:
            return self.known(_builtins.PLAIN[rest], node)
        return None

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        path = dotted(node)
        found = self.global_value(path, node) if path and isinstance(node.ctx, ast.Load) else None
        if found is not None:
            return found
        if node.attr.startswith("__"):
            raise self.refuse(node, "an attribute may not start with two underscores")
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            raise self.refuse(node, "an attribute is assigned alone")
        return ast.Call(ast.Name("__attribute", ast.Load()), [value, ast.Constant(node.attr)], [])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = node.func
        name = function.id if isinstance(function, ast.Name) and function.id not in self.locals else ""
        if name in ("annotate", "unchecked_cast", "isinstance", "uninitialized", "getattr"):
            return ast.copy_location(self.form(name, node), node)
        if isinstance(function, ast.Attribute) and function.attr == "__new__":
            return ast.copy_location(
                ast.Call(ast.Name("__new", ast.Load()), [self.visit(function.value)], []), node
            )
        if isinstance(function, ast.Attribute):
            path = dotted(function)
            target = self.global_value(path, function) if path else None
            if target is None:
                if function.attr.startswith("__") and not self.unit.has_method(function.attr):
                    raise self.refuse(node, "a method may not start with two underscores")
                target = ast.Call(
                    ast.Name("__method", ast.Load()),
                    [self.visit(function.value), ast.Constant(function.attr)],
                    [],
                )
        else:
            target = self.visit(function)
        return ast.copy_location(
            ast.Call(target, [self.visit(a) for a in node.args], [self.visit(k) for k in node.keywords]), node
        )

    def form(self, name: str, node: ast.Call) -> ast.expr:
        if name == "uninitialized":
            return ast.Constant(None)
        if name == "getattr":
            value, attribute = node.args
            if not isinstance(attribute, ast.Constant) or not isinstance(attribute.value, str):
                raise self.refuse(node, "getattr takes the name of an attribute")
            return ast.Call(ast.Name("__attribute", ast.Load()), [self.visit(value), attribute], [])
        if name == "isinstance":
            value, kinds = node.args
            each = kinds.elts if isinstance(kinds, (ast.Tuple, ast.List)) else [kinds]
            held = tuple(self.unit.kind(parse(k)) for k in each)
            return ast.Call(
                ast.Name("__isinstance", ast.Load()), [self.visit(value), self.known(held, node)], []
            )
        kind, value = node.args
        number = {"int": int, "float": float, "bool": bool, "complex": complex}.get(parse(kind).name)
        inner = self.visit(value)
        if number is None or isinstance(value, ast.Constant):
            return inner
        return ast.Call(ast.Name("__number", ast.Load()), [self.known(number, node), inner], [])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        parts = [
            p
            if isinstance(p, ast.Constant)
            else ast.Call(self.known(_builtins.text_of, p), [self.visit(p.value)], [])
            for p in node.values
        ]
        joined = ast.Call(
            ast.Attribute(ast.Constant(""), "join", ast.Load()), [ast.List(parts, ast.Load())], []
        )
        return ast.copy_location(joined, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """What `fork` runs: PyTorch writes it as a function without arguments before the call."""
        given, body = node.args, node.body
        plain = not (given.posonlyargs or given.args or given.kwonlyargs or given.vararg or given.kwarg)
        result = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
        if not _FORKED.fullmatch(node.name) or not plain or node.decorator_list or result is None:
            raise self.refuse(node, "a program defines no function within a function but what it forks")
        none = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        run = ast.Lambda(none, self.visit(result))
        self.locals.add(node.name)
        name = _DEF + node.name.strip("_")
        return ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], run), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        text = node.left.value if isinstance(node.left, ast.Constant) else None
        if isinstance(node.op, ast.Mod) and isinstance(text, str):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            form = self.known(self.unit.operator("percentFormat"), node)
            return ast.copy_location(ast.Call(form, [node.left, *map(self.visit, values)], []), node)
        if not isinstance(node.op, ast.Pow):
            return self.generic_visit(node)
        power = self.known(self.unit.operator("pow"), node)
        return ast.copy_location(ast.Call(power, [self.visit(node.left), self.visit(node.right)], []), node)

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Statements, each of which may become several."""
        made = [self.visit(s) for s in statements]
        return [s for new in made for s in (new if isinstance(new, list) else [new])]

    def visit_For(self, node: ast.For) -> ast.For:
        node.iter = ast.Call(ast.Name("__items", ast.Load()), [self.visit(node.iter)], [])
        node.target = self.visit(node.target)
        node.body = self.block(node.body)
        if node.orelse:
            raise self.refuse(node, "a loop of a program has no else")
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        targets = [t for t in node.targets if isinstance(t, ast.Attribute)]
        if not targets:
            return self.generic_visit(node)
        if len(node.targets) > 1:
            raise self.refuse(node, "an attribute is assigned alone")
        target = targets[0]
        call = ast.Call(
            ast.Name("__set", ast.Load()),
            [self.visit(target.value), ast.Constant(target.attr), self.visit(node.value)],
            [],
        )
        return ast.copy_location(ast.Expr(call), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        target = node.target
        if isinstance(node.op, ast.Pow) or not isinstance(target, ast.Attribute):
            return self.generic_visit(node)
        read = ast.Attribute(target.value, target.attr, ast.Load())
        name = ast.Name(_CHANGED, ast.Load())
        first = ast.Assign([ast.Name(_CHANGED, ast.Store())], self.visit(ast.copy_location(read, target)))
        change = ast.AugAssign(ast.Name(_CHANGED, ast.Store()), node.op, self.visit(node.value))
        call = ast.Call(
            ast.Name("__set", ast.Load()), [self.visit(target.value), ast.Constant(target.attr), name], []
        )
        return [ast.copy_location(s, node) for s in (first, change, ast.Expr(call))]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_Raise(self, node: ast.Raise) -> Any:
        exc = node.exc
        if not isinstance(exc, ast.Call) or not isinstance(exc.func, ast.Name):
            raise self.refuse(node, "raise takes the call of an exception's class")
        message = self.visit(exc.args[0]) if exc.args else ast.Constant("")
        call = ast.Call(
            self.known(_builtins.raise_exception, node),
            [message, ast.Constant(f"builtins.{exc.func.id}")],
            [],
        )
        return ast.copy_location(ast.Expr(call), node)

    def visit_Assert(self, node: ast.Assert) -> Any:
        said = "AssertionError: " + (node.msg.value if isinstance(node.msg, ast.Constant) else "")
        call = ast.Call(self.known(_builtins.raise_exception, node), [ast.Constant(said)], [])
        test = ast.UnaryOp(ast.Not(), self.visit(node.test))
        return ast.copy_location(ast.If(test, [ast.Expr(call)], []), node)


class Unit:
    """Functions and classes that know each other: what one archive, or one text, defines."""

    def __init__(self, constants: list | None = None) -> None:
        self.constants = constants or []
        self.version = 10  # of the operators: what a lower number means is in `_builtins.OLDER`
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, Class] = {}
        self.sources: dict[str, str] = {}
        self._globals: dict[str, Any] = {"__builtins__": {}, "__texts": self.sources, **_NAMES}
        self._held: dict[int, str] = {}
        self._wanted: dict[str, str] = {}
        self._operators: dict[str, Callable] = {}

    # ---------------------------------------------------------------- names in compiled text
    def hold(self, value: Any) -> str:
        """A name under which compiled text finds the value."""
        name = self._held.get(id(value))
        if name is None:
            name = self._held[id(value)] = f"__held_{len(self._held)}"
            self._globals[name] = value
        return name

    def reference(self, path: str, node: ast.AST) -> ast.expr:
        """A name that will be the function or class of that path when everything is compiled."""
        name = self._wanted.setdefault(path, f"__path_{len(self._wanted)}")
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def operator(self, name: str) -> Callable:
        """``torch.NAME``."""
        if name not in self._operators:
            self._operators[name] = _builtins.aten(name, self.version)
        return self._operators[name]

    def custom(self, space: str, name: str) -> Callable:
        """``ops.SPACE.NAME``."""
        if space == "prim":
            if name not in _builtins.PRIM:
                raise RuntimeError(f"Unknown builtin op: prim::{name}.\nflambeau has no such primitive")
            return _builtins.PRIM[name]
        if space == "aten":
            return self.operator(name)
        if space == "torchvision":
            from flambeau.vision import ops as vision_ops

            found = getattr(vision_ops, name, None)
            if found is not None:
                return found
        place = getattr(getattr(fb, "ops", None), space, None)
        found = getattr(place, name, None)
        if found is None:
            raise RuntimeError(
                f"Unknown builtin op: {space}::{name}.\n"
                "it belongs to a library that the program was written with"
            )
        return found

    def constant(self, name: str) -> Any:
        """``CONSTANTS.cK``."""
        index = int(name[1:])
        if not 0 <= index < len(self.constants):
            raise RuntimeError(f"the program names a constant {name} that is not there")
        return self.constants[index]

    def kind(self, type_: Type) -> Type | type:
        """What ``isinstance`` checks for."""
        found = self.classes.get(type_.name)
        return type_ if found is None or found.python is None else found.python

    def has_method(self, name: str) -> bool:
        """Whether a class has a method of that name."""
        return any(name in c.methods for c in self.classes.values())

    def finish(self) -> None:
        """Everything is compiled: references get what they mean."""
        for path, name in self._wanted.items():
            if path in self.functions:
                self._globals[name] = self.functions[path].run
            elif path in self.classes:
                self._globals[name] = self._constructor(self.classes[path])
            else:
                owner, _, member = path.rpartition(".")
                if owner not in self.classes or self.classes[owner].base != "Enum":
                    raise RuntimeError(f"the program names {path}, which is not there")
                self._globals[name] = self.classes[owner].python[member]

    def _constructor(self, kind: Class) -> Callable:
        if "__init__" not in kind.methods or kind.base == "Module":
            return kind.python
        start = kind.methods["__init__"].run

        def make(*args: Any, **kwargs: Any) -> Any:
            made = kind.python.__new__(kind.python)
            start(made, *args, **kwargs)
            return made

        make.kind = kind.python
        return make

    # ---------------------------------------------------------------- definitions
    def define(self, text: str, file: str = "<string>", prefix: str = "") -> None:
        """Compile the functions and classes of a text; ``prefix`` qualifies their names."""
        self.define_all([(text, file, prefix)])

    def define_all(self, texts: list[tuple[str, str, str]]) -> None:
        """The same for texts that name each other's classes and functions."""
        trees = []
        for text, file, prefix in texts:
            self.sources[file] = text
            try:
                trees.append(ast.parse(text, file))
            except (SyntaxError, ValueError) as e:
                line = getattr(e, "lineno", 0)
                raise RuntimeError(
                    f'{e} here:\n  File "{file}", line {line}\n{getattr(e, "text", "")}'
                ) from None
            for node in trees[-1].body:
                if isinstance(node, ast.ClassDef):
                    self._declare(node, prefix)
                elif isinstance(node, ast.FunctionDef):
                    self.functions[prefix + node.name] = None  # so that others may name it
                else:
                    raise RuntimeError(f"a program defines functions and classes, not {ast.unparse(node)!r}")
        for tree, (text, file, prefix) in zip(trees, texts):
            for node in tree.body:
                if isinstance(node, ast.FunctionDef):
                    self.functions[prefix + node.name] = self._function(node, file, text)
                    continue
                kind = self.classes[prefix + node.name]
                for method in (m for m in node.body if isinstance(m, ast.FunctionDef)):
                    kind.methods[method.name] = self._function(method, file, text)

    def _declare(self, node: ast.ClassDef, prefix: str) -> None:
        base = ast.unparse(node.bases[0]) if node.bases else ""
        if base not in _BASES:
            raise RuntimeError(f"Torchscript does not support class inheritance.\nclass {node.name}({base})")
        kind = self.classes[prefix + node.name] = Class(prefix + node.name, base)
        kind.methods.update(dict.fromkeys(m.name for m in node.body if isinstance(m, ast.FunctionDef)))
        values: dict[str, Any] = {}
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                if item.value is None:
                    kind.attributes[item.target.id] = parse(item.annotation)
                else:
                    kind.constants[item.target.id] = self._default(item.value)
            elif isinstance(item, ast.Assign):
                target = item.targets[0]
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    kind.attributes[target.slice.value] = parse(item.value)
                elif isinstance(target, ast.Name) and target.id in ("__parameters__", "__buffers__"):
                    setattr(kind, target.id.strip("_"), ast.literal_eval(item.value))
                elif isinstance(target, ast.Name):
                    values[target.id] = ast.literal_eval(item.value)
            elif not isinstance(item, (ast.FunctionDef, ast.Pass)):
                raise RuntimeError(
                    f"a class of a program declares attributes and methods, not {ast.unparse(item)!r}"
                )
        if base == "NamedTuple":
            kind.python = NamedTuple(node.name, [(n, Any) for n in kind.attributes])
            kind.python._script_class = kind
        elif base == "Enum":
            kind.python = enum.Enum(node.name, values)
        elif base != "Module":
            kind.python = type(node.name, (Instance,), {"_script_class": kind})
            for name in (m.name for m in node.body if isinstance(m, ast.FunctionDef)):
                if name in _OPERATIONS:
                    setattr(kind.python, name, _entered(kind, name))

    def _function(self, node: ast.FunctionDef, file: str, text: str) -> Function:
        source = ast.get_source_segment(text, node) or ""
        spec = node.args
        if spec.vararg or spec.kwarg or node.decorator_list:
            raise RuntimeError(f"a program's function takes named arguments only: {file}, {node.name}")
        every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
        missing = [...] * (len(spec.args) - len(spec.defaults))
        defaults = [*missing, *spec.defaults, *(... if d is None else d for d in spec.kw_defaults)]
        arguments = [
            Argument(a.arg, parse(a.annotation), d if d is ... else self._default(d))
            for a, d in zip(every, defaults)
        ]
        if node.name != "__init__" and any(a.name.startswith("__") for a in arguments):
            raise RuntimeError(f"{file}: an argument may not start with two underscores")
        locals_ = {a.name for a in arguments}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                locals_.add(inner.id)
        compiler = _Compile(self, file, locals_)
        body = compiler.block(node.body)
        name = _DEF + node.name
        made = ast.FunctionDef(
            name=name,
            args=ast.arguments(
                posonlyargs=[], args=[ast.arg(a.name) for a in arguments], vararg=None, kwonlyargs=[],
                kw_defaults=[],
                kwarg=None, defaults=[ast.Name(self.hold(d.default),
                ast.Load()) for d in arguments if d.default is not ...],
            ),
            body=body or [ast.Pass()], decorator_list=[], returns=None, type_params=[],
        )  # fmt: skip
        module = ast.fix_missing_locations(ast.Module([ast.copy_location(made, node)], []))
        space = self._globals
        try:
            compiled = compile(module, file, "exec")
        except (SyntaxError, ValueError) as e:
            raise RuntimeError(f'{e} here:\n  File "{file}", line {node.lineno}\n{source}') from None
        exec(compiled, space)  # of checked nodes, without builtins: see the head of this file
        code = space.pop(name)
        result = parse(node.returns) if node.returns is not None else TENSOR if _gives(node) else NONE
        return Function(node.name, code, arguments, result, source, self.classes)

    def _default(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
            return float(node.id)
        path = dotted(node)
        if path.startswith("torch."):
            return number_of(getattr(fb, path[6:]))
        if path.startswith("CONSTANTS."):
            return self.constant(path[10:])
        owner, _, member = path.rpartition(".")
        if owner in self.classes and self.classes[owner].base == "Enum":
            return self.classes[owner].python[member]
        if isinstance(node, ast.Call) and dotted(node.func) == "torch.device":
            return fb.device(ast.literal_eval(node.args[0]))
        if isinstance(node, (ast.Tuple, ast.List)):
            items = map(self._default, node.elts)
            return tuple(items) if isinstance(node, ast.Tuple) else list(items)
        return ast.literal_eval(node)


def _entered(kind: Class, name: str) -> Callable:
    return lambda self, *args: kind.methods[name].run(self, *args)


def _gives(node: ast.FunctionDef) -> bool:
    return any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(node))
