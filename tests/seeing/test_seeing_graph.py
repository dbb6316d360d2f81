import itertools
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flambeau as fb
from flambeau import nn
from flambeau.seeing._layout import layout


def small():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    return model, nn.functional.cross_entropy(model(fb.rand(4, 6)), fb.tensor([0, 1, 2, 0]))


def test_nodes_and_edges():
    model, loss = small()
    graph = fb.graph(loss, model)
    lines = [node.lines for node in graph.nodes]
    assert ["addmm", "4×3"] in lines and ["0.weight", "5×6"] in lines and ["relu", "4×5"] in lines
    assert lines[-1] == ["result", "scalar"]
    ends = {(graph.nodes[a].lines[0], graph.nodes[b].lines[0]) for a, b in graph.edges}
    assert ("0.bias", "addmm") in ends and ("addmm", "nll_loss") in ends and ("nll_loss", "result") in ends
    assert all(p.grad is None for p in model.parameters())
    loss.backward()  # the graph is still there
    again = fb.graph(loss, model)
    assert "without shapes" in again.note and "without shapes" in repr(again)
    assert ["relu"] in [node.lines for node in again.nodes]


def test_names_without_a_model():
    x = fb.rand(2, 2, requires_grad=True)
    kinds = {node.kind for node in fb.graph((x * nn.Parameter(fb.ones(2))).sum()).nodes}
    assert kinds == {"operator", "parameter", "input", "result"}
    pool = fb.graph(nn.functional.max_pool2d(fb.rand(1, 1, 4, 4, requires_grad=True), 2))
    assert pool.nodes[0].lines == ["max_pool2d_with_indices", "1×1×2×2"]


def test_svg_and_png(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    model, loss = small()
    graph = fb.graph(loss, model, tmp_path / "graph.svg")
    root = ElementTree.parse(tmp_path / "graph.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "nll_loss" in texts and graph._repr_svg_() == (tmp_path / "graph.svg").read_text()
    graph.save(tmp_path / "graph.png")
    image = Image.open(tmp_path / "graph.png")
    assert abs(image.width - 2 * float(root.get("width"))) <= 2
    assert len(image.getcolors(1 << 20)) > 10
    with pytest.raises(ValueError, match="must end in"):
        graph.save(tmp_path / "graph.gif")


def test_nothing_recorded():
    with pytest.raises(ValueError, match="no graph was recorded"):
        fb.graph(fb.ones(3))


@st.composite
def acyclic(draw):
    count = draw(st.integers(1, 14))
    pairs = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30))
    return count, sorted({(a, b) for a, b in pairs if a < b})


@settings(max_examples=60)
@given(acyclic())
def test_layout(graph):
    count, edges = graph
    sizes = [(20.0 + 7 * n, 30.0) for n in range(count)]
    placed = layout(sizes, edges, gap=10.0)
    for (a, b), path in zip(edges, placed.paths):
        assert placed.positions[a][1] < placed.positions[b][1]  # edges point down
        assert path[0] == placed.positions[a] and path[-1] == placed.positions[b]
        assert all(upper[1] < lower[1] for upper, lower in itertools.pairwise(path))
    for a, b in itertools.combinations(range(count), 2):
        (ax, ay), (bx, by) = placed.positions[a], placed.positions[b]
        if ay == by:  # boxes of one rank keep their distance
            assert abs(ax - bx) >= (sizes[a][0] + sizes[b][0]) / 2 + 10.0 - 1e-6
    assert all(0 < x < placed.width and 0 < y < placed.height for x, y in placed.positions)


def test_layout_untangles():
    # two chains, given crosswise
    placed = layout([(20, 20)] * 4, [(0, 3), (1, 2)])
    (a, _), (b, _), (c, _), (d, _) = placed.positions
    assert (a - b) * (d - c) > 0
