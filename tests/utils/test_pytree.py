"""Nested containers as leaves and structure."""

import sys
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import flambeau as fb
from flambeau.utils import _pytree as pt

Point = namedtuple("Point", "x y")
TREE = {
    "a": [1, 2, (3,)],
    "b": Point(4, 5),
    "c": None,
    "d": OrderedDict(z=1),
    "e": defaultdict(list, {1: 2}),
    "f": deque([1, 2]),
}


def test_flatten_and_back():
    leaves, spec = pt.tree_flatten(TREE)
    assert leaves == [1, 2, 3, 4, 5, None, 1, 2, 1, 2]
    assert spec.unflatten(leaves) == TREE
    assert (spec.num_leaves, spec.num_nodes, spec.num_children) == (10, 17, 6)


def test_structures_print_and_compare():
    spec = pt.tree_structure([1, {"a": (2,)}])
    assert repr(spec) == "TreeSpec(list, None, [*,\n  TreeSpec(dict, ['a'], [TreeSpec(tuple, None, [*])])])"
    assert spec == pt.tree_structure([3, {"a": (4,)}]) != pt.tree_structure([3, 4])
    assert pt.treespec_loads(pt.treespec_dumps(spec)) == spec


def test_maps():
    assert pt.tree_map(lambda a, b: a + b, [1, (2,)], [3, (4,)]) == [4, (6,)]
    assert pt.tree_map_only(int, lambda a: a * 2, [1, "x"]) == [2, "x"]
    assert pt.tree_any(lambda a: a > 1, [1, 2]) and not pt.tree_all(lambda a: a > 1, [1, 2])
    paths = pt.tree_map_with_path(lambda path, v: pt.keystr(path), [1, {"a": Point(1, 2)}])
    assert paths == ["[0]", {"a": Point("[1]['a'].x", "[1]['a'].y")}]


def test_results_with_names_are_containers():
    leaves, spec = pt.tree_flatten(fb.max(fb.ones(2, 2), 0))
    assert len(leaves) == 2 and type(spec.unflatten(leaves)).__name__ == "max"


def test_own_containers():
    class Box:
        def __init__(self, v):
            self.v = v

    pt.register_pytree_node(Box, lambda b: ([b.v], None), lambda vs, _: Box(*vs))
    assert pt.tree_map(lambda v: v + 1, [Box(1)])[0].v == 2
    with pytest.raises(ValueError, match="already registered as pytree node"):
        pt.register_pytree_node(Box, None, None)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: pt.tree_unflatten([1], pt.tree_structure([1, 2])),
            "the spec refers to a pytree that holds 2",
        ),
        (lambda: pt.tree_map(max, [1, 2], [3]), "Node arity mismatch; expected 2, but got 1."),
        (lambda: pt.tree_map(max, [1], (3,)), "Node type mismatch; expected <class 'list'>, but got"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_a_text_imports_no_factory():
    """A structure comes from a file: the factory that it names is not looked up in any module."""
    spec = pt.tree_structure(defaultdict(list, {1: 2}))
    assert pt.treespec_loads(pt.treespec_dumps(spec)) == spec
    text = pt.treespec_dumps(spec).replace("builtins", "antigravity")
    with pytest.raises(NotImplementedError, match=r"defaultdict of antigravity\.list is not supported"):
        pt.treespec_loads(text)
    assert "antigravity" not in sys.modules


def test_sizes_and_immutable_containers_are_nodes():
    from flambeau.fx.immutable_collections import immutable_dict, immutable_list

    leaves, spec = pt.tree_flatten({"a": fb.Size([2, 3])})
    assert leaves == [2, 3] and "Size" in repr(spec)
    assert type(pt.tree_map(lambda n: n + 1, fb.ones(2, 3).shape)) is tuple
    assert pt.treespec_loads(pt.treespec_dumps(spec)) == spec
    assert not pt.tree_is_leaf(fb.Size([1]))
    held = immutable_dict(a=1, b=immutable_list([2]))
    leaves, spec = pt.tree_flatten(held)
    made = pt.tree_unflatten(leaves, spec)
    assert (
        leaves == [1, 2]
        and made == held
        and type(made) is immutable_dict
        and type(made["b"]) is immutable_list
    )
    assert pt.treespec_loads(pt.treespec_dumps(spec)) == spec
