"""A small directed graph whose nodes carry facts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any


class DiGraph:
    """Nodes, in the order in which they came, and arrows between them."""

    def __init__(self) -> None:
        self._facts: dict[Any, dict[str, Any]] = {}
        self._after: dict[Any, dict[Any, None]] = {}
        self._before: dict[Any, dict[Any, None]] = {}

    def add_node(self, n: Any, **kwargs: Any) -> None:
        """Add a node, or facts to one that is there."""
        if n not in self._facts:
            self._facts[n], self._after[n], self._before[n] = {}, {}, {}
        self._facts[n].update(kwargs)

    def add_edge(self, u: Any, v: Any) -> None:
        """Add an arrow, and the nodes it needs."""
        self.add_node(u)
        self.add_node(v)
        self._after[u][v] = self._before[v][u] = None

    def successors(self, n: Any) -> Iterator[Any]:
        """Where arrows from a node go."""
        return iter(self._of(self._after, n))

    def predecessors(self, n: Any) -> Iterator[Any]:
        """Where arrows to a node come from."""
        return iter(self._of(self._before, n))

    def _of(self, table: dict[Any, dict[Any, None]], n: Any) -> dict[Any, None]:
        if n not in table:
            raise ValueError(f"The node {n} is not in the digraph.")
        return table[n]

    @property
    def edges(self) -> Iterator[tuple[Any, Any]]:
        """All arrows."""
        return ((u, v) for u, targets in self._after.items() for v in targets)

    @property
    def nodes(self) -> dict[Any, dict[str, Any]]:
        """The nodes and their facts."""
        return self._facts

    def __iter__(self) -> Iterator[Any]:
        return iter(self._facts)

    def __contains__(self, n: Any) -> bool:
        return n in self._facts

    def _reachable(self, table: dict[Any, dict[Any, None]], start: Any) -> set[Any]:
        found, waiting = {start}, deque([start])
        while waiting:
            for n in self._of(table, waiting.popleft()):
                if n not in found:
                    found.add(n)
                    waiting.append(n)
        return found

    def forward_transitive_closure(self, src: str) -> set[str]:
        """The node and all that arrows lead to from it."""
        return self._reachable(self._after, src)

    def backward_transitive_closure(self, src: str) -> set[str]:
        """The node and all from which arrows lead to it."""
        return self._reachable(self._before, src)

    def all_paths(self, src: str, dst: str) -> DiGraph:
        """The part of the graph that the ways from one node to another go through; it prints itself by
        `to_dot`."""
        between = self.forward_transitive_closure(src) & self.backward_transitive_closure(dst)
        part = DiGraph()
        for u, v in self.edges:
            if u in between and v in between:
                part.add_edge(u, v)
        return part

    def first_path(self, dst: str) -> list[str]:
        """A way to a node from one that nothing leads to, by the arrows that came first."""
        path, seen = [dst], {dst}
        while True:
            before = next((n for n in self.predecessors(path[-1]) if n not in seen), None)
            if before is None:
                return path[::-1]
            path.append(before)
            seen.add(before)

    def to_dot(self) -> str:
        """The graph in the language of graphviz."""
        edges = "\n".join(f'"{u}" -> "{v}";' for u, v in self.edges)
        return f"digraph G {{\nrankdir = LR;\nnode [shape=box];\n{edges}\n}}\n"
