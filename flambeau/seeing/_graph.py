"""``flambeau.graph``: the recorded computation as a picture."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.serialization.files import replacing

from ._layout import Layout, layout

_COLOURS = {  # kind of node: fill, line
    "operator": ("#eef2f7", "#8fa1b7"),
    "parameter": ("#dff0e2", "#5a9e6b"),
    "input": ("#fff3d6", "#c99a2e"),
    "result": ("#fbe0dc", "#c4604f"),
}
_LINE_HEIGHT, _PADDING, _SIZE = 15, 9, 12
_CHARACTER = 7.0  # width of a character at 12 pixels


@dataclass
class GraphNode:
    """One operator, parameter, input or result."""

    kind: str
    lines: list[str]  # its name, then its shape
    title: str  # the backward node's full name

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of its box."""
        width = max(map(len, self.lines)) * _CHARACTER + 2 * _PADDING
        return width, len(self.lines) * _LINE_HEIGHT + 2 * _PADDING - 4


@dataclass
class Graph:
    """The nodes and the edges between them (source, target), in the direction of the forward pass."""

    nodes: list[GraphNode]
    edges: list[tuple[int, int]]
    note: str = ""

    def __repr__(self) -> str:
        operators = sum(node.kind == "operator" for node in self.nodes)
        note = f"; {self.note}" if self.note else ""
        return f"Graph({operators} operators, {len(self.nodes) - operators} tensors{note})"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _layout(self) -> Layout:
        return layout([node.size for node in self.nodes], self.edges)

    def _ends(self, paths: list[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
        """The paths of the edges, ending at the upper edge of their targets."""
        halves = [self.nodes[target].size[1] / 2 for _, target in self.edges]
        return [[*path[:-1], (path[-1][0], path[-1][1] - half)] for path, half in zip(paths, halves)]

    def svg(self) -> str:
        """The picture as SVG text."""
        placed = self._layout()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{placed.width:.0f}" '
            f'height="{placed.height:.0f}" viewBox="0 0 {placed.width:.0f} {placed.height:.0f}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="{_SIZE}">',
            '<rect width="100%" height="100%" fill="white"/>',
            '<g fill="none" stroke="#9aa5b1" stroke-width="1.2">',
        ]
        for points in self._ends(placed.paths):
            curve = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
            for a, b in pairwise(points):
                middle = (a[1] + b[1]) / 2
                curve += f"C{a[0]:.1f} {middle:.1f} {b[0]:.1f} {middle:.1f} {b[0]:.1f} {b[1]:.1f}"
            x, y = points[-1]
            parts.append(f'<path d="{curve}"/>')
            parts.append(f'<path d="M{x - 3.5:.1f} {y - 6:.1f}L{x:.1f} {y:.1f}L{x + 3.5:.1f} {y - 6:.1f}"/>')
        parts.append("</g>")
        for node, (x, y) in zip(self.nodes, placed.positions):
            fill, line = _COLOURS[node.kind]
            width, height = node.size
            parts.append(
                f"<g><title>{escape(node.title)}</title>"
                f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}" rx="5" fill="{fill}" stroke="{line}"/>'
            )
            for k, text in enumerate(node.lines):
                baseline = y - height / 2 + _PADDING + 9 + k * _LINE_HEIGHT
                colour = "#1f2933" if k == 0 else "#61707f"
                parts.append(
                    f'<text x="{x:.1f}" y="{baseline:.1f}" text-anchor="middle" fill="{colour}">'
                    f"{escape(text)}</text>"
                )
            parts.append("</g>")
        return "\n".join([*parts, "</svg>", ""])

    def png(self, scale: float = 2.0) -> Any:
        """The picture as a PIL image, `scale` pixels for each point; fewer beyond 60 megapixels."""
        from flambeau.vision._pil import pil

        placed = self._layout()
        scale = min(scale, (60e6 / (placed.width * placed.height)) ** 0.5)
        image = pil().new("RGB", (round(placed.width * scale), round(placed.height * scale)), "white")
        draw = pil("ImageDraw").Draw(image)
        font = pil("ImageFont").load_default(_SIZE * scale)

        def scaled(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
            return [(x * scale, y * scale) for x, y in points]

        for points in self._ends(placed.paths):
            draw.line(scaled(_curve(points)), fill="#9aa5b1", width=max(1, round(1.2 * scale)), joint="curve")
            x, y = points[-1]
            head = [(x - 3.5, y - 6), (x, y), (x + 3.5, y - 6)]
            draw.line(scaled(head), fill="#9aa5b1", width=max(1, round(1.2 * scale)))
        for node, (x, y) in zip(self.nodes, placed.positions):
            fill, line = _COLOURS[node.kind]
            width, height = node.size
            box = scaled([(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)])
            draw.rounded_rectangle(box, 5 * scale, fill=fill, outline=line, width=max(1, round(scale)))
            for k, text in enumerate(node.lines):
                middle = (x * scale, (y - height / 2 + _PADDING + 5 + k * _LINE_HEIGHT) * scale)
                text = text.replace("×", "x")  # Pillow's own font lacks the sign
                draw.text(middle, text, fill="#1f2933" if k == 0 else "#61707f", font=font, anchor="mm")
        return image

    def save(self, path: str | os.PathLike) -> Path:
        """Write the picture; the name's ending says how: ``.svg`` or ``.png`` (which needs Pillow)."""
        path = Path(path)
        if path.suffix == ".svg":
            with replacing(path) as file:
                file.write(self.svg().encode())
        elif path.suffix == ".png":
            picture = self.png()
            with replacing(path) as file:
                picture.save(file, "PNG")
        else:
            raise ValueError(f"{path}: the name must end in .svg or .png")
        return path


def _curve(points: list[tuple[float, float]], steps: int = 12) -> list[tuple[float, float]]:
    """The points of the cubic curves that `Graph.svg` describes."""
    line = [points[0]]
    for (ax, ay), (bx, by) in pairwise(points):
        middle = (ay + by) / 2
        for k in range(1, steps + 1):
            t, s = k / steps, 1 - k / steps
            near, far = s**3 + 3 * s * s * t, t**3 + 3 * s * t * t
            line.append((near * ax + far * bx, s**3 * ay + 3 * s * t * middle + t**3 * by))
    return line


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _shapes(result: fb.Tensor, nodes: list[Any]) -> tuple[dict[Any, tuple[int, ...]], str]:
    """The shape of each node's first result, seen as a gradient passes: nothing is accumulated or freed."""
    shapes: dict[Any, tuple[int, ...]] = {}
    leaves = [node.variable for node in nodes if hasattr(node, "variable")]
    if not leaves:
        return shapes, ""

    def watch(node: Any) -> Any:
        def see(gradients: tuple) -> None:
            if (first := next((g for g in gradients if g is not None), None)) is not None:
                shapes[node] = tuple(first.shape)

        return node.register_prehook(see)

    handles = [watch(node) for node in nodes]
    try:
        fb.autograd.grad(result, leaves, fb.ones_like(result), retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        return {}, f"without shapes, for the graph cannot be run backward: {str(error).split('. ')[0]}"
    finally:
        for handle in handles:
            handle.remove()
    return shapes, ""


def graph(result: fb.Tensor, model: nn.Module | None = None, path: str | os.PathLike | None = None) -> Graph:
    """The computation that led to a tensor: operators with their shapes, parameters and other leaves.

    Parameters
    ----------
    result : a tensor that gradients can flow back from, such as a loss.
    model : the module whose parameters are shown by their names.
    path : where to save the picture, ``.svg`` or ``.png``; `Graph.save` does it later.

    Returns
    -------
    Graph : with ``svg()``, ``png()`` and ``save(path)``; notebooks show it as it is.

    Notes
    -----
    Shapes are read off one backward pass, which leaves ``.grad`` and the graph as they are; after
    ``loss.backward()`` has freed the graph there are none. Only what gradients flow through is recorded.
    """
    if result.grad_fn is None:
        raise ValueError(
            "graph: this tensor was not computed from anything that requires gradients, so no graph was "
            "recorded (under no_grad, after detach() or item(), or no parameter took part)"
        )
    names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
    order: dict[Any, int] = {result.grad_fn: 0}
    edges: dict[tuple[int, int], None] = {}  # an ordered set
    stack = [result.grad_fn]
    while stack:
        node = stack.pop()
        for source, _ in node.next_functions:
            if source is None:
                continue
            if source not in order:
                order[source] = len(order)
                stack.append(source)
            edges[order[source], order[node]] = None
    shapes, note = _shapes(result, list(order))
    nodes = []
    for node in order:
        title = node.name()
        if hasattr(node, "variable"):
            name = names.get(id(node.variable), "")
            known = isinstance(node.variable, nn.Parameter)
            shape = _shape(tuple(node.variable.shape))
            kind = "parameter" if name or known else "input"
            nodes.append(GraphNode(kind, [name or ("parameter" if known else "tensor"), shape], title))
        else:
            words = re.sub(r"Backward\d*$", "", title.rpartition("::")[2])
            lines = [re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", words).lower()]
            if node in shapes:
                lines.append(_shape(shapes[node]))
            nodes.append(GraphNode("operator", lines, title))
    nodes.append(GraphNode("result", ["result", _shape(tuple(result.shape))], "the tensor given"))
    drawn = Graph(nodes, [*edges, (0, len(nodes) - 1)], note)
    if path is not None:
        drawn.save(path)
    return drawn
