"""Layers only point downwards: no circle of imports in the package, none of includes in the core."""

import ast
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# folders of the core, from the lowest; each includes only from itself and from those before it
CORE = ("base", "tensor", "op", "autograd", "cpu", "ops", "graph", "runtime", "python")


def imported(tree: ast.Module, name: str, package: str, modules: set[str]) -> dict[str, int]:
    """The modules of the package that a module imports, at its top or inside functions, with the line.

    A package that loads a module of its own by name when somebody asks for it only shows it.
    """
    found: dict[str, int] = {}

    def see(other: str, line: int) -> None:
        if other in modules and other != name:
            found.setdefault(other, line)

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node = ast.Module(node.orelse, [])
        if isinstance(node, ast.Import):
            for alias in node.names:
                see(alias.name, node.lineno)
                if alias.asname is None:  # the name that it binds is the outermost package
                    see(alias.name.partition(".")[0], node.lineno)
        if isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: -(node.level - 1) or None] if node.level else []
            source = ".".join([*outer, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                see(inner if inner in modules else source, node.lineno)
        if isinstance(node, ast.Call) and "import_module" in ast.dump(node.func) and node.args:
            match node.args[0]:
                case ast.Constant(value=str(text)):
                    place = package + text if text.startswith(".") else text
                    if not place.startswith(f"{name}."):
                        see(place, node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


def package_imports(home: Path) -> dict[str, dict[str, int]]:
    """module -> the modules that it imports, of a package and all that is below it."""
    files = {}
    for path in home.rglob("*.py"):
        parts = path.relative_to(home.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    modules = {*files, f"{home.name}._C"}
    edges: dict[str, dict[str, int]] = {f"{home.name}._C": {}}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        edges[name] = imported(ast.parse(path.read_text(encoding="utf-8")), name, package, modules)
    return edges


def circle(edges: dict[str, dict[str, int]]) -> list[str]:
    """A shortest way from a module back to itself, each step with its line; empty where there is none."""
    left = {name: set(found) for name, found in edges.items()}
    while ends := {name for name, found in left.items() if not found}:  # nothing that these import is in one
        left = {name: found - ends for name, found in left.items() if name not in ends}
    best: list[str] = []
    for start in left:
        before = {}
        row = [start]
        for name in row:
            for other in sorted(left[name]):
                if other not in before:
                    before[other] = name
                    row.append(other)
            if start in before:
                break
        if start not in before:
            continue
        way = [start]
        while len(way) == 1 or way[-1] != start:
            way.append(before[way[-1]])
        way.reverse()
        if not best or len(way) < len(best):
            best = way
    return [f"{a}:{edges[a][b]} imports {b}" for a, b in itertools.pairwise(best)]


def test_no_circles_among_modules():
    found = circle(package_imports(ROOT / "flambeau"))
    assert not found, "a circle of imports:\n  " + "\n  ".join(found)


@pytest.mark.parametrize(
    "files, way",
    [
        ({"__init__": "from . import a", "a": "from ._C import x"}, []),
        ({"__init__": "from . import a", "a": "import p"}, ["p.a:1 imports p", "p:1 imports p.a"]),
        ({"__init__": "", "a": "def f():\n    from .b import g", "b": "from p.a import f"}, 2),
        ({"__init__": "", "a": "if TYPE_CHECKING:\n    from .b import g", "b": "from p.a import f"}, []),
        ({"__init__": "", "a": "import_module('p.b')", "b": "from . import c", "c": "import p.a as a"}, 3),
    ],
)
def test_circles_are_found(tmp_path, files, way):
    home = tmp_path / "p"
    home.mkdir()
    for name, text in files.items():
        (home / f"{name}.py").write_text(text)
    found = circle(package_imports(home))
    assert len(found) == way if isinstance(way, int) else sorted(found) == sorted(way)


def test_the_core_includes_downwards():
    core = ROOT / "core"
    if not core.is_dir():
        pytest.skip("the sources of the core are not here")
    upward = []
    for path in sorted([*core.rglob("*.h"), *core.rglob("*.cpp")]):
        folder = path.relative_to(core).parts[0]
        for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(encoding="utf-8"), re.M):
            places = [p.resolve() for p in (path.parent / name, core / name, ROOT / name) if p.exists()]
            inside = places[0].relative_to(core).parts if places and core in places[0].parents else ()
            if len(inside) > 1 and CORE.index(inside[0]) > CORE.index(folder):
                upward.append(f"{path.relative_to(ROOT)} includes {'/'.join(inside)}")
    assert not upward, "includes that point upwards:\n  " + "\n  ".join(upward)
