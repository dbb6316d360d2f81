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
import enum
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flambeau as fb
from flambeau._own_methods import is_ours

from . import _types
from ._blocks import BLOCKS, forward_text
from ._builtins import ALLOWED
from ._classes import class_written, is_interface, methods_of
from ._emit import PlaceholderModule, assemble, attribute, class_path, class_text, program_text
from ._known import Known
from ._layers import FUNCTIONS, LAYERS, counted, text
from ._module import PythonScriptModule, ScriptFunction, ScriptModule
from ._names import Names, Static, expression, hints_of, last, text_of_constant
from ._program import TracedProgram
from ._torchscript import LoadedModule
from .frontend import UnsupportedNodeError

_KEPT = set(
    """len range enumerate zip int float bool str isinstance min max abs sorted list tuple print round
    getattr ord chr sum any all dict complex""".split()
)
_KEPT_TYPES = (int, float, str, bool, complex, list, tuple, dict, fb.Tensor, type(None))  # of attributes
_CONSTANTS = (bool, int, float, str, tuple, fb.dtype, fb.device, fb.layout, fb.memory_format)
_NO_WORDS = (ast.Lambda, ast.Try, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith,
ast.FunctionDef,
             ast.ClassDef, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.SetComp, ast.Set,
             ast.NamedExpr,
             ast.GeneratorExp, ast.Match)  # fmt: skip


class _Script:
    """Collects the classes and functions that one module needs."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.paths: dict[int, str] = {}
        self.methods: dict[int, dict[str, str]] = {}
        self.attributes: dict[int, dict[str, _types.Type]] = {}
        self.functions: dict[Any, str] = {}
        self.kept: list[Any] = []
        self.forks = 0
        self.constants: dict[int, int] = {}  # of traced parts, by their ids: their places in `values`
        self.values: list[fb.Tensor] = []

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
        hints = {**hints_of(type(module)), **module.__dict__.get("_attribute_types", {})}
        for name, value in module.__dict__.items():
            if name.startswith("_") or name == "training":
                continue
            try:
                hint = hints.get(name)
                kind = _types.of_hint(hint, self.class_name) if hint is not None else self.of_value(value)
            except ValueError:
                continue  # a method that reads it will say so
            if self.is_object(value):
                found[name] = kind
            if "<class" not in str(kind) and isinstance(value, _KEPT_TYPES):
                found[name] = kind
        return found

    def interfaces(self, module: fb.nn.Module) -> dict[str, str]:
        """The attributes that a module declares as an interface: any module that has it may be put there."""
        hints = hints_of(type(module)) if not is_ours(type(module).__module__) else {}
        return {n: self.named(h) for n, h in hints.items() if n in module._modules and is_interface(h)}

    def class_name(self, kind: type) -> str:
        """What types say of a class: its path, or what is looked for where there is none."""
        return self.named(kind) or f"<class {kind.__name__}>"

    def of_value(self, value: Any) -> _types.Type:
        """The type of an attribute of a module."""
        if self.is_object(value):
            return _types.Type(self.named(type(value)))
        return _types.of_value(value, self.class_name)

    def is_object(self, value: Any) -> bool:
        """Whether it is of a class of the program: an enumeration, or one that `script` was given."""
        return isinstance(value, enum.Enum) or "_torchscript_class" in vars(type(value))

    def accessor(self, module: fb.nn.Module, found: property, name: str, kind: str) -> str:
        """The method that a property of a module is read ("getter") or set by, under PyTorch's name."""
        written = f"__{name}_{kind}"
        if written not in self.methods[id(module)]:
            self.methods[id(module)][written] = ""
            function = found.fget if kind == "getter" else found.fset
            self.methods[id(module)][written] = self.text_of(function, written, module)
        return written

    def method(self, module: fb.nn.Module, name: str, of: type | None = None) -> str:
        """Write a method, once, as a class ``of`` its bases defines it; the name that it gets."""
        done = self.methods[id(module)]
        kind = of or type(module)
        written = name if of is None else f"super_{kind.__name__}_{name}"
        if written in done:
            return written
        done[written] = ""
        program = module._programs.get(name) if isinstance(module, ScriptModule) else None
        if program is not None:
            done[written] = self.traced(program, written, self.paths[id(module)])
            return written
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
    def traced(self, program: TracedProgram, name: str, owner: str) -> str:
        """The text of a part that was traced."""
        for value in program.constants.values():
            if id(value) not in self.constants:
                self.constants[id(value)] = len(self.values)
                self.values.append(value)
        return program_text(program, self.constants, name, owner)

    def function(self, function: Callable) -> str:
        """The path of a function of the program."""
        if function not in self.functions:
            place = "__torch__.functions"
            name = function.name if isinstance(function, ScriptFunction) else function.__name__
            if name in map(last, self.functions.values()):
                name += f"_{len(self.functions)}"
            self.functions[function] = f"{place}.{name}"
            if isinstance(function, ScriptFunction):
                text = self.traced(function._program, name, "")
            else:
                text = self.text_of(function, name, None)
            self.texts.setdefault(place, []).append(textwrap.dedent(text))
        return self.functions[function]

    def named(self, kind: type) -> str:
        """The path of a class of the program; nothing for other classes."""
        return class_written(kind, self)

    def evaluated(self, annotation: ast.expr, names: Names) -> Any:
        """What an annotation of the caller's own source means."""
        whole = ast.Expression(copy.deepcopy(annotation))
        return eval(compile(ast.fix_missing_locations(whole), "<annotation>", "eval"), dict(names.free))

    def text_of(
        self,
        function: Callable,
        name: str,
        owner: fb.nn.Module | None,
        holder: str | None = None,
        given_self: str | None = None,
    ) -> str:
        """The text of a function or method, indented as a method; of ``holder``, a function becomes one.

        ``given_self`` is the class of the first argument, where it is no module.
        """
        function = inspect.unwrap(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, TypeError, SyntaxError):
            raise RuntimeError(
                f"torch.jit.script: the source of {function.__qualname__} is not at hand"
            ) from None
        if not isinstance(tree, ast.FunctionDef):
            raise RuntimeError(f"torch.jit.script: {function.__qualname__} is no function")
        names = Names(function)
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
        hints = hints_of(function)
        parts, first = [] if holder is None else [f"self: {holder}"], 0
        locals_ = {a.arg for a in every}
        if owner is not None:
            parts.append(f"{every[0].arg}: {self.paths[id(owner)]}")
            first = 1
        elif given_self is not None:
            parts.append(f"{every[0].arg}: {given_self}")
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
        if given_self is not None and name == "__init__":
            arrow = " -> NoneType"
        head = f"def {name}({', '.join(parts)}){arrow}:"
        lines = ast.unparse(
            ast.fix_missing_locations(ast.Module(statements or [ast.Pass()], []))
        ).splitlines()
        return "\n".join(["  " + head, *("    " + line for line in lines), ""])

    def type_of(self, hint: Any, names: Names, node: ast.AST) -> _types.Type:
        """The type of an annotation."""
        try:
            kind = _types.of_hint(hint, self.class_name)
        except ValueError as e:
            raise names.refuse(node, str(e)) from None
        if "<class" in str(kind):
            raise names.refuse(node, f"{kind}: classes of the program are not written yet")
        return kind


class _Body(Known):
    """The statements of one function."""

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Statements, each of which may become several or none."""
        out: list[ast.stmt] = []
        for s in statements:
            if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant):
                continue  # a docstring
            new = self.visit(s)
            out += self.before
            self.before = []
            out += new if isinstance(new, list) else [] if new is None else [new]
            if (
                isinstance(s, ast.If)
                and isinstance(new, list)
                and any(isinstance(n, (ast.Return,)) for n in new)
            ):
                return out  # a question that was answered: what follows is never reached
        return out

    # ---------------------------------------------------------------- expressions
    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _NO_WORDS):
            raise self.names.refuse(node, f"{type(node).__name__} isn't supported")
        return super().generic_visit(node)

    def literal(self, known: Static, node: ast.expr) -> ast.expr:
        value = known.value
        if isinstance(value, enum.Enum) and self.script.named(type(value)):
            return expression(f"{self.script.named(type(value))}.{value.name}")
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
        if not isinstance(node.ctx, ast.Load):
            return node
        if isinstance(getattr(self.modules.get(node.id), "value", None), fb.Tensor):  # of a ParameterList
            return expression(self.modules[node.id].text)
        if node.id in self.locals:
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
        read = self.property(node, "getter")
        if read is not None:
            return ast.Call(expression(read), [], [])
        known = self.static(node)
        if known is None:
            return ast.Attribute(self.visit(node.value), node.attr, node.ctx)
        if not known.text:
            return self.literal(known, node)
        if isinstance(known.value, (fb.Tensor, fb.nn.Module)) or node.attr == "training":
            return expression(known.text)
        owner = self.static(node.value)
        kept = owner is not None and node.attr in self.script.attributes.get(id(owner.value), {})
        if kept or (owner is not None and owner.text and self.script.is_object(owner.value)):
            return expression(known.text)
        return self.literal(known, node)

    def property(self, node: ast.expr, kind: str) -> str | None:
        """The method that reads or sets what is a property of a module; None for anything else."""
        base = self.static(node.value) if isinstance(node, ast.Attribute) else None
        if base is None or not isinstance(base.value, fb.nn.Module) or is_ours(type(base.value).__module__):
            return None
        found = inspect.getattr_static(type(base.value), node.attr, None)
        if not isinstance(found, builtins.property):
            return None
        return f"{base.text}.{self.script.accessor(base.value, found, node.attr, kind)}"

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        written = self.property(node.targets[0], "setter")
        if written is None:
            made = super().generic_visit(node)
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.modules.pop(target.id, None)
            return made
        return ast.Expr(ast.Call(expression(written), [self.visit(node.value)], []))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        pattern, values = "", []
        for part in node.values:
            if isinstance(part, ast.Constant):
                pattern += part.value
            else:
                pattern += "{}"
                values.append(self.visit(part.value))
        return ast.Call(expression("torch.format"), [ast.Constant(pattern), *values], [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """One comparison at a time: PyTorch's parser of texts compares what a chain has given so far."""
        values = [node.left, *node.comparators]
        pairs = [
            super(_Body, self).generic_visit(ast.Compare(copy.deepcopy(a), [op], [copy.deepcopy(b)]))
            for a, op, b in zip(values, node.ops, values[1:])
        ]
        return pairs[0] if len(pairs) == 1 else ast.BoolOp(ast.And(), pairs)

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        generator = node.generators[0]
        items = self.items(generator.iter)
        if items is None:
            waiting = len(self.before)
            made = super().generic_visit(node)
            if len(self.before) > waiting:
                raise self.names.refuse(node, "fork in a comprehension isn't supported")
            return made
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
        if known.text and self.script.is_object(owner):
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
        if isinstance(function, ScriptFunction) and function._program is None:
            function = function._original
        name = getattr(function, "__name__", "")
        answer = self.answer(node)
        if answer is not None:
            return ast.Constant(answer)
        if name in _KEPT and function is getattr(builtins, name, None):
            if name in ("any", "all", "sum", "list", "tuple") and isinstance(node.args[0], ast.GeneratorExp):
                node.args[0] = ast.ListComp(node.args[0].elt, node.args[0].generators)
            counted_modules = self.static(node.args[0]) if name == "len" and node.args else None
            if counted_modules is not None and isinstance(counted_modules.value, fb.nn.Module):
                return ast.Constant(len(counted_modules.value))
            if name == "isinstance":
                return ast.Call(
                    expression("isinstance"),
                    [self.visit(node.args[0]), self.type_expression(node.args[1])],
                    [],
                )
            return ast.Call(ast.Name(name, ast.Load()), *self.arguments(node))
        if function is fb.jit.isinstance:
            return ast.Call(
                expression("isinstance"), [self.visit(node.args[0]), self.type_expression(node.args[1])], []
            )
        if function is fb.jit.fork:
            return self.forked(node)
        if function in (fb.jit.wait, fb.jit._unwrap_optional):
            return ast.Call(expression(f"torch.{name}"), *self.arguments(node))
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
            positional, named = self.arguments(node)
            fields, defaults = getattr(function, "_fields", ()), getattr(function, "_field_defaults", {})
            for field in fields[len(positional) :]:  # programs know of no defaults of named tuples
                if field in defaults and all(k.arg != field for k in named):
                    named.append(ast.keyword(field, expression(text_of_constant(defaults[field]))))
            return ast.Call(expression(self.script.named(function)), positional, named)
        home = str(getattr(function, "__module__", "") or "")
        functional = fb.nn.functional
        if name in FUNCTIONS and getattr(functional, name, None) is function:
            return self.functional(name, function, node)
        if isinstance(function, ScriptFunction) and function._program is not None:
            return ast.Call(expression(self.script.function(function)), *self.arguments(node))
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

    def forked(self, node: ast.Call) -> ast.expr:
        """What runs is a function of its own, written before the statement, as PyTorch has it."""
        call = ast.Call(node.args[0], node.args[1:], node.keywords)
        ast.copy_location(call, node)
        name = f"__forked_function{self.script.forks or ''}"
        self.script.forks += 1
        self.before += ast.parse(f"def {name}():\n  return None").body
        self.before[-1].body = [ast.Return(self.visit(call))]
        return ast.Call(ast.Name("fork", ast.Load()), [ast.Name(name, ast.Load())], [])

    def type_expression(self, node: ast.expr) -> ast.expr:
        kinds = node.elts if isinstance(node, ast.Tuple) else [node]
        out = []
        for kind in kinds:
            value = self.script.evaluated(kind, self.names)
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
        declared = self.script.evaluated(node.annotation, self.names)
        if is_interface(declared):
            self.implement(declared)
            return ast.AnnAssign(self.visit(node.target), kind, self.visit(node.value), 1)
        value = ast.Call(expression("annotate"), [kind, self.visit(node.value)], [])
        return ast.Assign([self.visit(node.target)], value, lineno=node.lineno)

    def implement(self, interface: type) -> None:
        """Write the methods of an interface for all modules that have them: any may stand behind it."""
        names = set(methods_of(interface))
        for module in list(self.script.kept):
            if all(inspect.isfunction(getattr(type(module), n, None)) for n in names):
                for name in names if type(module).forward is not fb.nn.Module.forward else ():
                    self.script.method(module, name)

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
        kind = known.value if known is not None else None
        own = isinstance(kind, type) and hasattr(kind, "__exit__") and self.script.named(kind)
        if own or (
            isinstance(call, ast.Name) and call.id in self.locals
        ):  # an object of a class of the program
            items = [
                ast.withitem(self.visit(i.context_expr), i.optional_vars and self.visit(i.optional_vars))
                for i in node.items
            ]
            return [ast.With(items, self.block(node.body), lineno=node.lineno)]
        if known is None or known.value not in (fb.no_grad, fb.enable_grad) or len(node.items) > 1:
            raise self.names.refuse(node, "with takes torch.no_grad() and torch.enable_grad() only")
        name = f"grad_mode_{node.lineno}"
        before = ast.parse(
            f"{name} = torch.is_grad_enabled()\ntorch.set_grad_enabled({known.value is fb.enable_grad})"
        ).body
        return [*before, *self.block(node.body), *ast.parse(f"torch.set_grad_enabled({name})").body]

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


@contextmanager
def _originals(module: fb.nn.Module) -> Iterator[None]:
    """While it runs scripted parts of the module are what they were made from."""
    replaced = []
    parts = [module]
    for part in parts:
        for name, child in part._modules.items():
            if isinstance(child, PythonScriptModule):
                replaced.append((part, name, child))
                part._modules[name] = child = child.__dict__["_original"]
            if child is not None:
                parts.append(child)
    try:
        yield
    finally:
        for part, name, child in replaced:
            part._modules[name] = child


def written(module: fb.nn.Module) -> LoadedModule:
    """A module with its forward and exported methods as a module of TorchScript; its tensors are shared.

    Raises
    ------
    UnsupportedNodeError
        Where its source says what TorchScript has no words for.
    """
    with _originals(module):
        return _written(module)


def _written(module: fb.nn.Module) -> LoadedModule:
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
        kinds.update(script.interfaces(part))
        script.texts.setdefault(place, []).append(
            class_text(short, part, kinds, list(script.methods[id(part)].values()))
        )
    attributes = {key: list(found) for key, found in script.attributes.items()}
    classes = {kind: path for kind, path in script.functions.items() if isinstance(kind, type)}
    return assemble(module, script.texts, script.paths, script.values, attributes, classes)


def written_function(function: Callable) -> LoadedModule:
    """A function as the forward of a module without parameters."""
    holder = PlaceholderModule()
    script = _Script()
    path = script.module(holder)
    forward = script.text_of(function, "forward", None, path)
    place, _, short = path.rpartition(".")
    script.texts.setdefault(place, []).append(class_text(short, holder, {}, [forward]))
    return assemble(holder, script.texts, script.paths, script.values, {})
