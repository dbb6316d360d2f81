"""The modules that a piece of source code imports."""

from __future__ import annotations

import ast


class _Imports(ast.NodeVisitor):
    def __init__(self, package: str) -> None:
        self.package = package
        self.found: dict[tuple[str, str | None], None] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.found[alias.name, None] = None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            module = _absolute(module, self.package, node.level)
        for alias in node.names:
            self.found[module, None if alias.name == "*" else alias.name] = None

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "__import__":
            self._import_call(node)
        self.generic_visit(node)

    def _import_call(self, node: ast.Call) -> None:
        """``__import__`` with arguments that are written out; others cannot be known here."""
        words = ("name", "globals", "locals", "fromlist", "level")
        given = dict(zip(words, node.args, strict=False))
        given.update({k.arg: k.value for k in node.keywords if k.arg in words})
        try:
            name = ast.literal_eval(given["name"])
            wanted = ast.literal_eval(given["fromlist"]) if "fromlist" in given else ()
            level = ast.literal_eval(given["level"]) if "level" in given else 0
        except (KeyError, ValueError):
            return
        if not isinstance(name, str):
            return
        if level:
            name = _absolute(name, self.package, level)
        for part in wanted or (None,):
            self.found[name, part] = None


def _absolute(name: str, package: str, level: int) -> str:
    parts = package.split(".")
    if level > len(parts):
        raise ValueError("attempted relative import beyond top-level package")
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name else base


def find_files_source_depends_on(src: str, package: str) -> list[tuple[str, str | None]]:
    """What a source text imports, wherever in it.

    Parameters
    ----------
    src : the text.
    package : the package that relative imports are relative to.

    Returns
    -------
    list of (module, name) : name is None for the module as a whole, else what is taken from it, which may
    be a module as well.
    """
    finder = _Imports(package)
    finder.visit(ast.parse(src))
    return list(finder.found)
