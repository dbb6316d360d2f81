"""Scripted modules as TorchScript: the sources of their methods, with every name that is not local resolved.

What a method calls comes along: other methods, functions of the program, submodules. Loops over modules are
written out, questions that the module itself answers (is this layer there?) are answered, layers and
functions of ``nn`` become the operators they stand for (`_layers`). What TorchScript has no words for raises,
with its place.
"""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as fb
from flambeau._annotations import annotations_of
from flambeau._own_methods import is_ours

from . import _types
from ._blocks import BLOCKS, forward_text
from ._builtins import ALLOWED
from ._emit import PlaceholderModule, assemble, attribute, class_path, class_text
from ._layers import FUNCTIONS, LAYERS, counted, text
from ._source import dotted
from ._torchscript import LoadedModule
from .frontend import UnsupportedNodeError

_KEPT = {"len", "range", "enumerate", "zip", "int", "float", "bool", "str", "isinstance", "min", "max",
"abs", "sorted",
         "list", "tuple", "print", "round", "getattr", "ord", "chr", "sum", "any", "all", "dict"}  # fmt: skip
_KEPT_TYPES = (int, float, str, bool, complex, list, tuple, dict, fb.Tensor, type(None))  # of attributes
_CONSTANTS = (bool, int, float, str, tuple, fb.dtype, fb.device, fb.layout, fb.memory_format)
_NO_WORDS = (ast.Lambda, ast.Try, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith,
ast.FunctionDef,
             ast.ClassDef, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.SetComp, ast.Set,
             ast.NamedExpr,
             ast.GeneratorExp, ast.Match)  # fmt: skip


class Static(NamedTuple):
    """A value that is known before the program runs, and the expression for it, if there is one."""

    value: Any
    text: str = ""


def expression(source: str) -> ast.expr:
    """The node of an expression."""
    return ast.parse(source, mode="eval").body


class _Script:
    """Collects the classes and functions that one module needs."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.paths: dict[int, str] = {}
        self.methods: dict[int, dict[str, str]] = {}
        self.attributes: dict[int, dict[str, _types.Type]] = {}
        self.functions: dict[Any, str] = {}
        self.kept: list[Any] = []

    # ---------------------------------------------------------------- modules
    def module(self, module: fb.nn.Module) -> str:
        """The path of a module's class; each module has one of its own."""
        if id(module) in self.paths:
            return self.paths[id(module)]
        path = self.paths[id(module)] = class_path(len(self.paths), type(module).__name__)
        self.kept.append(module)
        self.methods[id(module)] = {}
        for child in module._modules.values():
            if child is not None:
                self.module(child)
        self.attributes[id(module)] = self._attributes(module)
        return path

    def _attributes(self, module: fb.nn.Module) -> dict[str, _types.Type]:
        if is_ours(type(module).__module__):
            return {}
        found: dict[str, _types.Type] = {}
        hints = _hints(type(module))
        for name, value in module.__dict__.items():
            if name.startswith("_") or name == "training":
                continue
            try:
                hint = hints.get(name)
                kind = _types.of_hint(hint, str) if hint is not None else _types.of_value(value, str)
            except ValueError:
                continue  # a method that reads it will say so
            if "<class" not in str(kind) and isinstance(
                value, (int, float, str, bool, complex, list, tuple, dict, fb.Tensor, type(None))
            ):
                found[name] = kind
        return found

    def method(self, module: fb.nn.Module, name: str, of: type | None = None) -> str:
        """Write a method, once, as a class ``of`` its bases defines it; the name that it gets."""
        done = self.methods[id(module)]
        kind = of or type(module)
        written = name if of is None else f"super_{kind.__name__}_{name}"
        if written in done:
            return written
        done[written] = ""
        function = getattr(kind, name, None)
        if function is None:
            raise RuntimeError(f"{kind.__name__} has no method {name}")
        home = next(c for c in kind.__mro__ if name in vars(c))
        layer = home.__name__ if name == "forward" and is_ours(home.__module__, "nn") else ""
        known = kind.__name__ if kind.__name__ in LAYERS and is_ours(kind.__module__, "nn") else layer
        if layer and known in LAYERS:
            head = f"  def {written}(self: {self.paths[id(module)]},\n    input: Tensor) -> Tensor:"
            done[written] = f"{head}\n{counted(module)}    return {LAYERS[known](module)}\n"
        elif function is fb.nn.Sequential.forward:
            done[written] = self.chain(module, written)
        elif layer and kind.__name__ in BLOCKS:
            for child in module.modules():
                if child is not module and type(child).forward is not fb.nn.Module.forward:
                    self.method(child, "forward")
            done[written] = forward_text(module, self.paths[id(module)], written)
        else:
            done[written] = self.text_of(function, written, module)
        return written

    def chain(self, module: fb.nn.Module, name: str) -> str:
        """The forward of a Sequential."""
        lines = [f"  def {name}(self: {self.paths[id(module)]},\n    input: Tensor) -> Tensor:"]
        for name, child in module._modules.items():
            self.method(child, "forward")
            lines.append(f"    input = {attribute('self', name)}.forward(input)")
        return "\n".join([*lines, "    return input", ""])

    # ---------------------------------------------------------------- functions
    def function(self, function: Callable) -> str:
        """The path of a function of the program."""
        if function not in self.functions:
            place = "__torch__.functions"
            name = (
                f"{function.__name__}_{len(self.functions)}"
                if function.__name__ in map(_last, self.functions.values())
                else function.__name__
            )
            self.functions[function] = f"{place}.{name}"
            self.texts.setdefault(place, []).append(textwrap.dedent(self.text_of(function, name, None)))
        return self.functions[function]

    def named(self, kind: type) -> str:
        """The path of a named tuple's class; nothing for other classes."""
        if not (issubclass(kind, tuple) and hasattr(kind, "_fields")):
            return ""
        if kind not in self.functions:
            self.functions[kind] = f"__torch__.tuples.{kind.__name__}"
            hints = _hints(kind)
            fields = [
                f"  {f} : {_types.of_hint(hints.get(f, fb.Tensor), self.named)}\n" for f in kind._fields
            ]
            self.texts.setdefault("__torch__.tuples", []).append(
                f"class {kind.__name__}(NamedTuple):\n{''.join(fields)}"
            )
        return self.functions[kind]

    def text_of(
        self, function: Callable, name: str, owner: fb.nn.Module | None, holder: str | None = None
    ) -> str:
        """The text of a function or method, indented as a method; of ``holder``, a function becomes one."""
        function = inspect.unwrap(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, TypeError, SyntaxError):
            raise RuntimeError(
                f"torch.jit.script: the source of {function.__qualname__} is not at hand"
            ) from None
        if not isinstance(tree, ast.FunctionDef):
            raise RuntimeError(f"torch.jit.script: {function.__qualname__} is no function")
        names = _Names(function)
        spec = tree.args
        if spec.vararg or spec.kwarg:
            raise names.refuse(
                tree,
                "Compiled functions can't take variable number of arguments",
            )
        every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
        defaults = (
            [None] * (len(spec.posonlyargs) + len(spec.args) - len(spec.defaults))
            + spec.defaults
            + spec.kw_defaults
        )
        hints = _hints(function)
        parts, first = [] if holder is None else [f"self: {holder}"], 0
        locals_ = {a.arg for a in every}
        if owner is not None:
            parts.append(f"{every[0].arg}: {self.paths[id(owner)]}")
            first = 1
        for a, default in list(zip(every, defaults))[first:]:
            kind = self.type_of(hints.get(a.arg), names, tree) if a.arg in hints else _types.TENSOR
            value = None if default is None else names.static(default)
            if value is not None and value.value is None and kind == _types.TENSOR:
                kind = _types.Type("Optional", (kind,))
            parts.append(f"{a.arg}: {kind}" + ("" if value is None else f"={text_of_constant(value.value)}"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                locals_.add(node.id)
        body = _Body(self, names, owner, every[0].arg if owner is not None else "", locals_)
        statements = body.block(tree.body)
        returned = hints.get("return", ...)
        arrow = "" if returned is ... else f" -> {self.type_of(returned, names, tree)}"
        head = f"def {name}({', '.join(parts)}){arrow}:"
        lines = ast.unparse(
            ast.fix_missing_locations(ast.Module(statements or [ast.Pass()], []))
        ).splitlines()
        return "\n".join(["  " + head, *("    " + line for line in lines), ""])

    def type_of(self, hint: Any, names: _Names, node: ast.AST) -> _types.Type:
        """The type of an annotation."""
        try:
            kind = _types.of_hint(hint, lambda c: self.named(c) or f"<class {c.__name__}>")
        except ValueError as e:
            raise names.refuse(node, str(e)) from None
        if "<class" in str(kind):
            raise names.refuse(node, f"{kind}: classes of the program are not written yet")
        return kind


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _hints(of: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(of)
    except (NameError, TypeError, AttributeError):
        return annotations_of(of)


def text_of_constant(value: Any) -> str:
    """A constant; tuples stay tuples."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of_constant, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, (fb.dtype, fb.layout, fb.memory_format)):
        return str(_types.number_of(value))
    if isinstance(value, fb.device):
        return f'torch.device("{value}")'
    return text(value)


class _Names:
    """What the free names of a function mean."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.free = {**vars(builtins), **function.__globals__}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                self.free[name] = cell.cell_contents
            except ValueError:
                pass

    def refuse(self, node: ast.AST, why: str) -> UnsupportedNodeError:
        code = self.function.__code__
        line = code.co_firstlineno + getattr(node, "lineno", 1) - 1
        shown = ast.unparse(node).splitlines()[0] if isinstance(node, ast.AST) else ""
        return UnsupportedNodeError(
            f'  File "{code.co_filename}", line {line}, in {code.co_name}\n    {shown}', why
        )

    def static(self, node: ast.expr) -> Static:
        """The value of a default."""
        try:
            return Static(ast.literal_eval(node))
        except ValueError:
            value = self.free.get(dotted(node).split(".")[0])
            for part in dotted(node).split(".")[1:]:
                value = getattr(value, part)
            return Static(value)


class _Body(ast.NodeTransformer):
    """The statements of one function."""

    def __init__(
        self, script: _Script, names: _Names, owner: fb.nn.Module | None, self_name: str, locals_: set[str]
    ) -> None:
        self.script, self.names, self.owner, self.self_name, self.locals = (
            script,
            names,
            owner,
            self_name,
            locals_,
        )
        self.modules: dict[str, Static] = {}  # loop variables over modules
        self.settled = False  # whether the switches of modules count as answers

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Statements, each of which may become several or none."""
        out: list[ast.stmt] = []
        for s in statements:
            if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant):
                continue  # a docstring
            new = self.visit(s)
            out += new if isinstance(new, list) else [] if new is None else [new]
            if (
                isinstance(s, ast.If)
                and isinstance(new, list)
                and any(isinstance(n, (ast.Return,)) for n in new)
            ):
                return out  # a question that was answered: what follows is never reached
        return out

    # ---------------------------------------------------------------- what is known
    def static(self, node: ast.expr) -> Static | None:
        if isinstance(node, ast.Constant):
            return Static(node.value, repr(node.value))
        if isinstance(node, ast.Name):
            if node.id == self.self_name and self.owner is not None:
                return Static(self.owner, node.id)
            if node.id in self.modules:
                return self.modules[node.id]
            if node.id in self.locals or node.id not in self.names.free:
                return None
            return Static(self.names.free[node.id])
        if isinstance(node, ast.Attribute):
            base = self.static(node.value)
            if base is None or isinstance(base.value, (fb.Tensor, str, list, dict, tuple)):
                return None
            if isinstance(base.value, fb.nn.Module):
                if not hasattr(base.value, node.attr):
                    raise self.names.refuse(
                        node, f"Module '{type(base.value).__name__}' has no attribute '{node.attr}'"
                    )
                return Static(getattr(base.value, node.attr), attribute(base.text, node.attr))
            return Static(getattr(base.value, node.attr)) if hasattr(base.value, node.attr) else None
        if isinstance(node, ast.Subscript):
            base, key = self.static(node.value), self.static(node.slice)
            if base is not None and key is not None and isinstance(base.value, fb.nn.Module):
                return self.child(base, key.value)
        return None

    def child(self, base: Static, key: Any) -> Static:
        container = base.value
        if isinstance(key, int):
            name = list(container._modules)[key]
        else:
            name = key
        return Static(container._modules[name], attribute(base.text, name))

    def answer(self, test: ast.expr) -> bool | None:
        """What a question comes to, where the module answers it."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.answer(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            known = [self.answer(v) for v in test.values]
            decides = isinstance(test.op, ast.Or)
            if any(k is decides for k in known):
                return decides
            return None if None in known else not decides
        if (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], (ast.Is, ast.IsNot))
        ):
            left = self.static(test.left)
            if left is not None and left.text and isinstance(test.comparators[0], ast.Constant):
                declared = self.script.attributes.get(id(self.owner), {}).get(left.text.rpartition(".")[2])
                if declared is None or declared.name != "Optional":
                    return (left.value is None) is isinstance(test.ops[0], ast.Is)
            return None
        if isinstance(test, ast.Call):
            function = self.static(test.func)
            if function is None:
                return None
            if function.value is fb.jit.is_scripting:
                return True
            if function.value is fb.jit.is_tracing:
                return False
            if function.value is hasattr:
                base = self.static(test.args[0])
                return None if base is None else hasattr(base.value, test.args[1].value)
            if function.value is isinstance:
                base, kind = self.static(test.args[0]), self.static(test.args[1])
                if base is not None and isinstance(base.value, fb.nn.Module) and kind is not None:
                    return isinstance(base.value, kind.value)
            return None
        known = self.static(test)
        if known is not None and self.settled and isinstance(known.value, bool) and known.text:
            return known.value
        if known is not None and (
            known.value is None or isinstance(known.value, fb.nn.Module) or known.text in ("True", "False")
        ):
            return known.value is not None and known.value is not False
        return None

    # ---------------------------------------------------------------- expressions
    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _NO_WORDS):
            raise self.names.refuse(node, f"{type(node).__name__} isn't supported")
        return super().generic_visit(node)

    def literal(self, known: Static, node: ast.expr) -> ast.expr:
        value = known.value
        if value is None or isinstance(
            value, (bool, int, float, str, tuple, fb.dtype, fb.device, fb.layout, fb.memory_format)
        ):
            return expression(text_of_constant(value))
        if isinstance(value, list) and all(isinstance(v, (int, float, str, bool)) for v in value):
            return expression(text(value))
        raise self.names.refuse(
            node, f"python value of type '{type(value).__name__}' cannot be used as a value"
        )

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or node.id in self.locals:
            return node
        if node.id in _KEPT and self.names.free.get(node.id) is getattr(builtins, node.id):
            return node
        known = self.static(node)
        if known is None:
            raise self.names.refuse(node, f"undefined value {node.id}")
        return self.literal(known, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.ctx, ast.Store):
            return ast.Attribute(self.visit(node.value), node.attr, node.ctx)
        known = self.static(node)
        if known is None:
            return ast.Attribute(self.visit(node.value), node.attr, node.ctx)
        if not known.text:
            return self.literal(known, node)
        if isinstance(known.value, (fb.Tensor, fb.nn.Module)) or node.attr == "training":
            return expression(known.text)
        owner = self.static(node.value)
        if owner is not None and node.attr in self.script.attributes.get(id(owner.value), {}):
            return expression(known.text)
        return self.literal(known, node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        pattern, values = "", []
        for part in node.values:
            if isinstance(part, ast.Constant):
                pattern += part.value
            else:
                pattern += "{}"
                values.append(self.visit(part.value))
        return ast.Call(expression("torch.format"), [ast.Constant(pattern), *values], [])

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        generator = node.generators[0]
        items = self.items(generator.iter)
        if items is None:
            return super().generic_visit(node)
        parts = []
        for item in items:
            with_names = self.bind(generator.target, item, node)
            if with_names:
                raise self.names.refuse(node, "a comprehension over modules that counts them")
            parts.append(self.visit(copy.deepcopy(node.elt)))
        return ast.List(parts, ast.Load())

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        known = self.answer(node.test)
        if known is not None:
            return self.visit(node.body if known else node.orelse)
        return super().generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise self.names.refuse(node, "Starred arguments aren't supported")
        if self.is_super(node.func):
            return self.super_call(node)
        known = self.static(node.func)
        if isinstance(node.func, ast.Attribute) and known is None:
            return ast.Call(
                ast.Attribute(self.visit(node.func.value), node.func.attr, ast.Load()), *self.arguments(node)
            )
        if known is None:
            return ast.Call(self.visit(node.func), *self.arguments(node))
        value = known.value
        if isinstance(value, fb.nn.Module):
            self.script.method(value, "forward")
            return ast.Call(expression(f"{known.text}.forward"), *self.arguments(node))
        owner = getattr(value, "__self__", None)
        if isinstance(owner, fb.nn.Module):
            self.script.method(owner, value.__name__)
            return ast.Call(expression(known.text), *self.arguments(node))
        return self.call(value, node)

    def is_super(self, node: ast.expr) -> bool:
        inner = node.value if isinstance(node, ast.Attribute) else None
        return isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "super"

    def super_call(self, node: ast.Call) -> ast.expr:
        """``super().method(...)``: the next class that has it."""
        name, code = node.func.attr, self.names.function.__code__
        order = type(self.owner).__mro__
        here = next(
            i
            for i, c in enumerate(order)
            if any(getattr(f, "__code__", None) is code for f in vars(c).values())
        )
        base = next(c for c in order[here + 1 :] if name in vars(c))
        written = self.script.method(self.owner, name, base)
        return ast.Call(expression(f"{self.self_name}.{written}"), *self.arguments(node))

    def arguments(self, node: ast.Call) -> tuple[list[ast.expr], list[ast.keyword]]:
        return [self.visit(a) for a in node.args], [
            ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords
        ]

    def call(self, function: Any, node: ast.Call) -> ast.expr:
        """The call of a function that is known."""
        name = getattr(function, "__name__", "")
        answer = self.answer(node)
        if answer is not None:
            return ast.Constant(answer)
        if name in _KEPT and function is getattr(builtins, name, None):
            if name in ("any", "all", "sum", "list", "tuple") and isinstance(node.args[0], ast.GeneratorExp):
                node.args[0] = ast.ListComp(node.args[0].elt, node.args[0].generators)
            if name == "isinstance":
                return ast.Call(
                    expression("isinstance"),
                    [self.visit(node.args[0]), self.type_expression(node.args[1])],
                    [],
                )
            return ast.Call(ast.Name(name, ast.Load()), *self.arguments(node))
        if function is fb.jit.annotate:
            return ast.Call(
                expression("annotate"), [self.type_expression(node.args[0]), self.visit(node.args[1])], []
            )
        if function is typing.cast:
            return self.visit(node.args[1])
        if function is fb.device:
            return ast.Call(expression("torch.device"), *self.arguments(node))
        if getattr(math, name, None) is function:
            return ast.Call(expression(f"torch.{name}"), *self.arguments(node))
        if isinstance(function, type) and self.script.named(function):
            return ast.Call(expression(self.script.named(function)), *self.arguments(node))
        home = str(getattr(function, "__module__", "") or "")
        functional = fb.nn.functional
        if name in FUNCTIONS and getattr(functional, name, None) is function:
            return self.functional(name, function, node)
        if isinstance(function, types.FunctionType) and (not is_ours(home) or is_ours(home, "vision")):
            return ast.Call(expression(self.script.function(function)), *self.arguments(node))
        if name in ALLOWED and getattr(fb, name, None) is function:
            return ast.Call(expression(f"torch.{name}"), *self.arguments(node))
        for space, prefix in (
            (fb, ""),
            (fb.linalg, "linalg_"),
            (fb.special, "special_"),
            (fb.fft, "fft_"),
            (functional, ""),
        ):
            if getattr(space, name, None) is function and hasattr(fb.ops.aten, prefix + name):
                return ast.Call(expression(f"torch.{prefix}{name}"), *self.arguments(node))
        raise self.names.refuse(node, f"{name or function!r} cannot be written as TorchScript yet")

    def type_expression(self, node: ast.expr) -> ast.expr:
        kinds = node.elts if isinstance(node, ast.Tuple) else [node]
        out = []
        for kind in kinds:
            value = eval(
                compile(ast.Expression(copy.deepcopy(kind)), "<annotation>", "eval"), dict(self.names.free)
            )  # the caller's own source
            out.append(expression(str(self.script.type_of(value, self.names, node))))
        return ast.Tuple(out, ast.Load()) if isinstance(node, ast.Tuple) else out[0]

    def functional(self, name: str, function: Callable, node: ast.Call) -> ast.expr:
        """A function of ``nn.functional`` as the operator it stands for."""
        positional, named = self.arguments(node)
        bound = inspect.signature(function).bind(*positional, **{k.arg: k.value for k in named})
        bound.apply_defaults()
        parts = {k: ast.unparse(v) if isinstance(v, ast.AST) else text(v) for k, v in bound.arguments.items()}
        try:
            return expression(FUNCTIONS[name](parts))
        except NotImplementedError as e:
            raise self.names.refuse(node, str(e)) from None

    # ---------------------------------------------------------------- statements
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        if node.value is None:
            return None
        kind = self.type_expression(node.annotation)
        value = ast.Call(expression("annotate"), [kind, self.visit(node.value)], [])
        return ast.Assign([self.visit(node.target)], value, lineno=node.lineno)

    def visit_If(self, node: ast.If) -> Any:
        known = self.answer(node.test)
        if known is None:
            try:
                whole = copy.deepcopy(node)
                body, rest = self.block(whole.body), self.block(whole.orelse)
                return ast.If(self.visit(whole.test), body or [ast.Pass()], rest)
            except UnsupportedNodeError:
                self.settled = True  # a part has no words: perhaps the module's switches never lead there
                known = self.answer(node.test)
                self.settled = False
                if known is None:
                    raise
        return self.block(node.body if known else node.orelse)

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        known = self.static(call.func) if isinstance(call, ast.Call) else None
        if known is not None and known.value is fb._assert:
            return self.visit(ast.Assert(*call.args, lineno=node.lineno))
        return super().generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.stmt:
        return ast.While(self.visit(node.test), self.block(node.body), [])

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        said = self.visit(node.msg) if node.msg is not None else ast.Constant("")
        message = ast.Call(expression("torch.format"), [ast.Constant("AssertionError: {}"), said], [])
        raised = ast.Expr(ast.Call(expression("ops.prim.RaiseException"), [message], []))
        return ast.If(self.visit(node.test), [ast.Pass()], [raised])

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        exc = node.exc
        if not isinstance(exc, ast.Call):
            raise self.names.refuse(node, "raise takes the call of an exception's class")
        message = self.visit(exc.args[0]) if exc.args else ast.Constant("")
        kind = ast.Constant(f"builtins.{ast.unparse(exc.func)}")
        return ast.Expr(ast.Call(expression("ops.prim.RaiseException"), [message, kind], []))

    def visit_With(self, node: ast.With) -> list[ast.stmt]:
        call = node.items[0].context_expr
        known = self.static(call.func) if isinstance(call, ast.Call) else None
        if known is None or known.value not in (fb.no_grad, fb.enable_grad) or len(node.items) > 1:
            raise self.names.refuse(node, "with takes torch.no_grad() and torch.enable_grad() only")
        name = f"grad_mode_{node.lineno}"
        before = ast.parse(
            f"{name} = torch.is_grad_enabled()\ntorch.set_grad_enabled({known.value is fb.enable_grad})"
        ).body
        return [*before, *self.block(node.body), *ast.parse(f"torch.set_grad_enabled({name})").body]

    def items(self, iterated: ast.expr) -> list[list[Static | str]] | None:
        """The modules that a loop runs over: for each turn what its targets are (text for a number or
        key)."""
        if (
            isinstance(iterated, ast.Call)
            and isinstance(iterated.func, ast.Name)
            and iterated.func.id in ("enumerate", "zip", "reversed")
        ):
            inner = [self.items(a) for a in iterated.args[: None if iterated.func.id == "zip" else 1]]
            if all(i is None for i in inner):
                return None
            if iterated.func.id == "reversed":
                return inner[0][::-1]
            if iterated.func.id == "enumerate":
                return [[str(k), *turn] for k, turn in enumerate(inner[0])]
            count = min(len(i) for i in inner if i is not None)
            texts = [
                None if i is not None else ast.unparse(self.visit(a)) for i, a in zip(inner, iterated.args)
            ]
            return [
                [i[k][0] if i is not None else f"{t}[{k}]" for i, t in zip(inner, texts)]
                for k in range(count)
            ]
        method = (
            iterated.func.attr
            if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute)
            else ""
        )
        source = (
            iterated.func.value
            if method in ("children", "values", "items", "keys", "named_children")
            else iterated
        )
        base = self.static(source)
        if base is None or not isinstance(base.value, fb.nn.Module):
            return None
        turns = []
        for name, child in base.value._modules.items():
            here = Static(child, attribute(base.text, name))
            key = text(name)
            turns.append(
                {"items": [key, here], "named_children": [key, here], "keys": [key]}.get(method, [here])
            )
        return turns

    def bind(self, target: ast.expr, turn: list[Static | str], node: ast.AST) -> list[ast.stmt]:
        """Give the targets of a loop over modules their values; the statements that this takes."""
        flat: list[ast.expr] = []

        def flatten(t: ast.expr) -> None:
            if isinstance(t, ast.Tuple):
                for e in t.elts:
                    flatten(e)
            else:
                flat.append(t)

        flatten(target)
        if len(flat) != len(turn) or not all(isinstance(t, ast.Name) for t in flat):
            raise self.names.refuse(node, "a loop over modules whose targets do not fit")
        statements = []
        for t, value in zip(flat, turn):
            if isinstance(value, str):
                self.modules.pop(t.id, None)
                statements += ast.parse(f"{t.id} = {value}").body
            else:
                self.modules[t.id] = value
        return statements

    def visit_For(self, node: ast.For) -> Any:
        turns = self.items(node.iter)
        if turns is None:
            return ast.For(
                self.visit(node.target), self.visit(node.iter), self.block(node.body), [], lineno=node.lineno
            )
        if any(isinstance(n, (ast.Break, ast.Continue)) for s in node.body for n in ast.walk(s)):
            raise self.names.refuse(node, "break and continue in a loop over modules aren't supported")
        out: list[ast.stmt] = []
        for turn in turns:
            out += self.bind(node.target, turn, node)
            out += self.block(copy.deepcopy(node.body))
        return out


def written(module: fb.nn.Module) -> LoadedModule:
    """A module with its forward and exported methods as a module of TorchScript; its tensors are shared.

    Raises
    ------
    UnsupportedNodeError
        Where its source says what TorchScript has no words for.
    """
    script = _Script()
    script.module(module)
    names = ["forward"] if type(module).forward is not fb.nn.Module.forward else []
    names += [
        n
        for n in dir(type(module))
        if getattr(getattr(type(module), n, None), "_torchscript_modifier", "") == "export"
    ]
    for name in names:
        script.method(module, name)
    for part in script.kept:
        path = script.paths[id(part)]
        place, _, short = path.rpartition(".")
        kinds = {n: script.paths[id(c)] for n, c in part._modules.items() if c is not None}
        kinds.update((n, str(k)) for n, k in script.attributes[id(part)].items())
        script.texts.setdefault(place, []).append(
            class_text(short, part, kinds, list(script.methods[id(part)].values()))
        )
    attributes = {key: list(found) for key, found in script.attributes.items()}
    return assemble(module, script.texts, script.paths, [], attributes)


def written_function(function: Callable) -> LoadedModule:
    """A function as the forward of a module without parameters."""
    holder = PlaceholderModule()
    script = _Script()
    path = script.module(holder)
    forward = script.text_of(function, "forward", None, path)
    place, _, short = path.rpartition(".")
    script.texts.setdefault(place, []).append(class_text(short, holder, {}, [forward]))
    return assemble(holder, script.texts, script.paths, [], {})
