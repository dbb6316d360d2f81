"""The type stubs of the core and of the package say what is really there."""

import ast
import keyword
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import _C
from flambeau.ops import registry

FOLDER = Path(torch.__file__).parent
REMEDY = "run `python tools/make_stubs.py`"


def names(body: list[ast.stmt]) -> set[str]:
    """What a stub's lines declare; the classes of named results, which only stubs have, left out."""
    found = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            if not (
                isinstance(node, ast.ClassDef) and [ast.unparse(b) for b in node.bases] == ["NamedTuple"]
            ):
                found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) != "TypeAlias":
            found.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign):
            found.update(ast.unparse(target) for target in node.targets)
    return found


@pytest.fixture(scope="module")
def core() -> list[ast.stmt]:
    return ast.parse((FOLDER / "_C.pyi").read_text()).body


def test_every_name_of_the_core(core):
    real = {name for name in vars(_C) if not name.startswith("__") and not keyword.iskeyword(name)}
    assert sorted(names(core) ^ real) == [], REMEDY


def test_every_member_of_its_classes(core):
    for node in core:
        if not isinstance(node, ast.ClassDef) or node.name not in vars(_C):
            continue
        kind, declared = getattr(_C, node.name), names(node.body)
        assert [m for m in sorted(declared) if not hasattr(kind, m)] == [], f"{node.name}: {REMEDY}"
        # methods written in Python are added when their module is loaded
        operators = {m for m, v in vars(kind).items() if hasattr(v, "_schemas") and not keyword.iskeyword(m)}
        assert sorted(operators - declared) == [], f"{node.name}: {REMEDY}"
        if node.name == "Tensor":
            written = {m for _, methods in registry.FAMILIES.values() for m in methods}
            assert sorted(written - declared) == [], REMEDY


def test_an_overload_for_sizes_one_by_one_and_the_names_of_results():
    text = (FOLDER / "_C.pyi").read_text()
    assert "def permute(self, *dims: _int) -> Tensor: ..." in text
    assert "def permute(input: Tensor, *dims" not in text
    assert "-> _values_indices: ..." in text and "class _values_indices(NamedTuple):" in text
    assert "def div(input: Tensor | Number, other: Tensor | Number, *, out: Tensor | None = ...)" in text


def test_what_the_package_shows():
    shown = []
    for node in ast.parse((FOLDER / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "__future__"):
            shown += [alias.asname for alias in node.names if alias.asname]
    assert {"nn", "optim", "no_grad", "load", "autocast"} <= set(shown)
    assert [name for name in shown if not hasattr(torch, name)] == []
