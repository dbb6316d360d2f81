"""What Python a script may have, and the errors where it has other, by the names that PyTorch gives them."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import NoReturn

__all__ = ["FrontendError", "FrontendTypeError", "NotSupportedError", "UnsupportedNodeError"]


class FunctionModifiers:
    """The words that decorators leave on functions as ``_torchscript_modifier``."""

    UNUSED = "unused (ignored and replaced with raising of an exception)"
    IGNORE = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
    EXPORT = "export"
    DEFAULT = "default (compile if called from a exported function / forward)"
    COPY_TO_SCRIPT_WRAPPER = "if this method is not scripted, copy the python method onto the scripted model"
    _DROP = "_drop (function is fully ignored, declaration can be unscriptable)"


class FrontendError(Exception):
    """A place in a source that cannot be taken over."""

    def __init__(self, source_range: object, msg: str) -> None:
        self.source_range, self.msg = source_range, msg

    def __str__(self) -> str:
        return f"{self.msg}:\n{self.source_range}".rstrip()


class NotSupportedError(FrontendError):
    """Python that TorchScript does not have."""


class UnsupportedNodeError(NotSupportedError):
    """A statement or expression that TorchScript does not have."""


class FrontendTypeError(FrontendError):
    """A type that TorchScript does not have."""


_STATEMENTS = {
    ast.FunctionDef: "function definitions", ast.AsyncFunctionDef: "async function definitions",
    ast.ClassDef: "class definitions", ast.Try: "try blocks", ast.Import: "import statements",
    ast.ImportFrom: "import statements", ast.Global: "global variables", ast.Nonlocal: "nonlocal variables",
    ast.AsyncFor: "async for loops", ast.AsyncWith: "async with statements", ast.Match: "Match",
}  # fmt: skip
_EXPRESSIONS = (
    ast.Yield, ast.YieldFrom, ast.Await, ast.Lambda, ast.Set, ast.SetComp, ast.NamedExpr,
)  # fmt: skip
if sys.version_info >= (3, 14):
    _EXPRESSIONS += (ast.TemplateStr,)


class _Checked(ast.NodeVisitor):
    """Visits the body of one function in the order of its text."""

    def __init__(self, function: Callable, name: str) -> None:
        code = function.__code__
        self.file, self.first, self.name = code.co_filename, code.co_firstlineno, name

    def refuse(self, node: ast.AST, kind: type[FrontendError], why: str) -> NoReturn:
        line = self.first + getattr(node, "lineno", 1) - 1
        shown = ast.unparse(node).splitlines()[0]
        raise kind(f'  File "{self.file}", line {line}, in {self.name}\n    {shown}', why)

    def visit(self, node: ast.AST) -> None:
        what = _STATEMENTS.get(type(node))
        if what is None and isinstance(node, _EXPRESSIONS):
            what = type(node).__name__
        if what is not None:
            self.refuse(node, UnsupportedNodeError, f"{what} aren't supported")
        super().visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)  # a type is not part of the program

    def visit_For(self, node: ast.For) -> None:
        if node.orelse:
            self.refuse(node, NotSupportedError, "else branches of for loops aren't supported")
        self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp | ast.DictComp) -> None:
        if len(node.generators) != 1:
            self.refuse(node, NotSupportedError, "Only a single generator is currently supported")
        if node.generators[0].ifs:
            self.refuse(node, NotSupportedError, "Comprehension ifs are not supported yet")
        self.generic_visit(node)

    visit_ListComp = visit_DictComp = _comprehension

    def visit_Dict(self, node: ast.Dict) -> None:
        if None in node.keys:
            self.refuse(node, NotSupportedError, "Dict expansion (e.g. `{**dict}`) is not supported")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.conversion != -1:
                    self.refuse(node, NotSupportedError, "Don't support conversion in JoinedStr")
                if part.format_spec is not None:
                    self.refuse(node, NotSupportedError, "Don't support formatting in JoinedStr")
                self.visit(part.value)


def check(function: Callable) -> None:
    """Refuse Python that TorchScript does not have; what a function calls is not looked at.

    Raises
    ------
    UnsupportedNodeError, NotSupportedError
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return  # nothing to look at
    if not isinstance(tree, ast.FunctionDef) or not hasattr(function, "__code__"):
        return
    visitor = _Checked(function, tree.name)
    given = tree.args
    if given.vararg or given.kwarg or any(d is not None for d in given.kw_defaults):
        visitor.refuse(
            tree, NotSupportedError,
            "Compiled functions can't take variable number of arguments or use keyword-only arguments with"
            " defaults",
        )  # fmt: skip
    for statement in tree.body:
        visitor.visit(statement)
