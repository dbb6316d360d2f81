"""The parts of packages that stand alone: patterns, the graph, names, imports in source text."""

from __future__ import annotations

import pytest

from flambeau.package import GlobGroup
from flambeau.package._digraph import DiGraph
from flambeau.package._mangling import PackageMangler, demangle, get_mangle_prefix, is_mangled
from flambeau.package.find_file_dependencies import find_files_source_depends_on


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        *(("a.*", "a.b", True), ("a.*", "a.b.c", False), ("a.**", "a", True), ("a.**", "a.b.c", True)),
        *(("**.b", "b", True), ("a*.b", "axx.b", True), ("a.b*", "a.b", True), ("**", "", False)),
        *(("a.**.c", "a.c", True), ("a.**.c", "a.b.b.c", True), ("a.b", "a_b", False), ("a", "ab", False)),
    ],
)
def test_glob(pattern, name, matches):
    assert GlobGroup(pattern).matches(name) is matches


def test_glob_groups():
    group = GlobGroup(["a.**", "b"], exclude="a.x")
    assert group.matches("a.y") and group.matches("b") and not group.matches("a.x")
    assert str(group) == "GlobGroup(include=['a.**', 'b'], exclude=a.x)"
    assert GlobGroup("a/*.py", separator="/").matches("a/b.c.py")
    with pytest.raises(ValueError, match=r"\*\* can only appear as an entire path segment"):
        GlobGroup("a**")


def test_digraph():
    graph = DiGraph()
    for u, v in ("ab", "bc", "ad", "de", "cf"):
        graph.add_edge(u, v)
    graph.add_node("z", fact=1)
    assert list(graph) == [*"abcdefz"] and graph.nodes["z"] == {"fact": 1} and "z" in graph
    assert list(graph.edges) == [("a", "b"), ("a", "d"), ("b", "c"), ("c", "f"), ("d", "e")]
    assert graph.forward_transitive_closure("b") == {*"bcf"}
    assert graph.backward_transitive_closure("c") == {*"abc"}
    assert graph.first_path("f") == [*"abcf"] and graph.first_path("z") == ["z"]
    part = graph.all_paths("a", "c")
    assert part.to_dot() == 'digraph G {\nrankdir = LR;\nnode [shape=box];\n"a" -> "b";\n"b" -> "c";\n}\n'
    graph.add_edge("f", "a")
    assert graph.first_path("f")[-1] == "f"  # in a circle as well
    with pytest.raises(ValueError, match="The node q is not in the digraph"):
        graph.successors("q")


def test_mangling():
    mangler = PackageMangler()
    name = mangler.mangle("a.b")
    assert name == f"{mangler.parent_name()}.a.b" and is_mangled(name) and not is_mangled("a.b")
    assert demangle(name) == mangler.demangle(name) == "a.b" == demangle("a.b")
    assert get_mangle_prefix(name) == mangler.parent_name() and get_mangle_prefix("a") == "a"
    assert PackageMangler().parent_name() != mangler.parent_name()
    with pytest.raises(AssertionError, match="name must not be empty"):
        mangler.mangle("")


def test_imports_in_source():
    source = (
        "import a.b.c, d as e\n"
        "from x.y import z, w\nfrom . import q\nfrom .. import r\nfrom .s.t import u as v\n"
        "from ...far import x1\n"
        '__import__("k.l")\n__import__(k)\n__import__("aa", fromlist=["b"])\nfrom zz import *\n'
        "try:\n  import tt\nexcept ImportError:\n  pass\ndef f():\n  import uu\n"
        '__import__("aa", None, None, ["b", "c"], 0)\n'
    )
    assert find_files_source_depends_on(source, "p1.p2.p3") == [
        *(("a.b.c", None), ("d", None), ("x.y", "z"), ("x.y", "w"), ("p1.p2.p3", "q"), ("p1.p2", "r")),
        *(("p1.p2.p3.s.t", "u"), ("p1.far", "x1"), ("k.l", None), ("aa", "b"), ("zz", None)),
        *(("tt", None), ("uu", None), ("aa", "c")),
    ]
    with pytest.raises(ValueError, match="attempted relative import beyond top-level package"):
        find_files_source_depends_on("from .. import x", "p")
