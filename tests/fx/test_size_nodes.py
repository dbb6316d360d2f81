"""Nodes that ask for sizes, types of tensors by their sizes, members of nodes."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.fx import Graph, GraphModule, Node
from flambeau.fx.tensor_type import Dyn, TensorType, is_consistent, is_more_precise


def test_size_nodes():
    graph = Graph()
    x = graph.placeholder("x")
    made = (graph.create_size_node(x, 1), graph.create_storage_offset_node(x), graph.create_stride_node(x, 0))
    graph.output(made)
    assert [str(n) for n in made] == ["sym_size_int", "sym_storage_offset_default", "sym_stride_int"]
    assert made[0].target is fb.ops.aten.sym_size.int and made[0].args == (x, 1)
    value = fb.arange(12).view(3, 4)[1:, 1:]
    assert GraphModule(fb.nn.Module(), graph)(value) == (3, 5, 4)


def test_materialized_sizes():
    n = fb.export.Dim("n")

    class Model(fb.nn.Module):
        def forward(self, x):
            return x * 2

    graph = fb.export.export(Model(), (fb.ones(3, 4),), dynamic_shapes={"x": {0: n}}).graph
    place = next(node for node in graph.nodes if node.op == "placeholder")
    size = place.meta["val"].shape[0]
    with graph.inserting_before(graph.output_node()):
        made, plain = graph.materialize_symints([size, 4])
    assert plain == 4 and graph.materialize_symint(4) == 4
    assert made.target is fb.ops.aten.sym_size.int and made.args == (place, 0)
    with pytest.raises(RuntimeError, match="no node of the graph has the size"):
        graph.materialize_symint("none")


def test_members_of_nodes():
    for name in ("graph", "meta", "name", "op", "target", "type", "users"):
        assert hasattr(Node, name)
    node = Graph().placeholder("x")
    node.mine = 3
    assert node.mine == 3 and node.op == "placeholder" and node.type is None


def test_tensor_types():
    assert repr(TensorType((1, Dyn))) == "TensorType[(1, Dyn)]" and repr(Dyn) == "Dyn"
    assert TensorType((1, 2)) == TensorType[1, 2] == TensorType([1, 2]) != TensorType((1, 3))
    known, part = TensorType((1, 2)), TensorType((1, Dyn))
    assert is_consistent(known, part) and is_consistent(part, known) and is_consistent(known, Dyn)
    assert not is_consistent(known, TensorType((1, 3))) and not is_consistent(3, 4)
    assert not is_consistent(TensorType((1,)), known) and not is_consistent(known, 3)
    assert is_more_precise(known, part) and not is_more_precise(part, known)
    assert is_more_precise(3, Dyn) and not is_more_precise(Dyn, 3) and is_more_precise((1, 2), (1, 2))
    for unhashable in (known, Dyn):
        with pytest.raises(TypeError, match="unhashable"):
            hash(unhashable)


def test_config():
    import flambeau.fx.config as config

    assert fb.fx.config is config
    assert (config.disable_progress, config.verbose_progress, config.do_not_emit_stack_traces) == (
        True,
        False,
        False,
    )
