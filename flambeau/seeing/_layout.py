"""Places for the nodes of a directed acyclic graph: layers, few crossings, short edges.

The road of Sugiyama, Tagawa and Toda (1981): nodes get ranks, long edges get a bend in every rank that they
cross, ranks are ordered by the barycentres of their neighbours, and positions within a rank minimise the
squared distances to the neighbours' mean under the minimal gaps (pool adjacent violators).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass
class Layout:
    """The middle of each node, and for each edge the points that it goes through."""

    positions: list[tuple[float, float]]
    paths: list[list[tuple[float, float]]]
    width: float
    height: float


def layout(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    gap: float = 18.0,
    rank_gap: float = 34.0,
    sweeps: int = 12,
) -> Layout:
    """Lay out nodes of the given sizes, edges pointing down; the graph must not have cycles."""
    ranks = _ranks(len(sizes), edges)
    widths = [width for width, _ in sizes]
    chains: list[list[int]] = []  # each edge as a chain of neighbours, one rank apart
    for source, target in edges:
        chain = [source]
        for rank in range(ranks[source] + 1, ranks[target]):
            chain.append(len(ranks))
            ranks.append(rank)
            widths.append(2.0)
        chains.append([*chain, target])
    up: list[list[int]] = [[] for _ in ranks]
    down: list[list[int]] = [[] for _ in ranks]
    for chain in chains:
        for a, b in pairwise(chain):
            down[a].append(b)
            up[b].append(a)
    rows = _order(ranks, up, down, sweeps)
    x = _across(rows, up, down, widths, gap, sweeps)
    tall = [max((sizes[n][1] for n in row if n < len(sizes)), default=0.0) for row in rows]
    y, top = [], gap
    for height in tall:
        y.append(top + height / 2)
        top += height + rank_gap
    left = min((x[n] - widths[n] / 2 for n in range(len(x))), default=0.0) - gap
    points = [(x[n] - left, y[ranks[n]]) for n in range(len(x))]
    right = max((points[n][0] + widths[n] / 2 for n in range(len(x))), default=0.0) + gap
    return Layout(
        points[: len(sizes)], [[points[n] for n in chain] for chain in chains], right, top - rank_gap + gap
    )


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Counted from the bottom by the longest way to a sink: a node stands above the first that needs it."""
    sources: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in edges:
        sources[target].append(source)
        waiting[source] += 1
    heights = [0] * count
    ready = [n for n in range(count) if not waiting[n]]
    while ready:
        node = ready.pop()
        for source in sources[node]:
            heights[source] = max(heights[source], heights[node] + 1)
            waiting[source] -= 1
            if not waiting[source]:
                ready.append(source)
    highest = max(heights, default=0)
    return [highest - height for height in heights]


def _order(ranks: list[int], up: list[list[int]], down: list[list[int]], sweeps: int) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    place = [0.0] * len(ranks)

    def settle(row: list[int]) -> None:
        for k, node in enumerate(row):
            place[node] = k - (len(row) - 1) / 2

    def barycentre(node: int, neighbours: list[list[int]]) -> float:
        near = neighbours[node]
        return sum(place[n] for n in near) / len(near) if near else place[node]

    best, fewest = [list(row) for row in rows], None
    for row in rows:
        settle(row)
    for sweep in range(sweeps):
        neighbours = up if sweep % 2 == 0 else down
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=lambda node: barycentre(node, neighbours))
            settle(row)
        crossings = sum(_crossings(row, down, place) for row in rows)
        if fewest is None or crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
        if not crossings:
            break
    return best


def _crossings(row: list[int], down: list[list[int]], place: list[float]) -> int:
    """How many pairs of edges below a row cross: inversions, counted by insertion into a sorted list."""
    ends: list[float] = []
    count = 0
    for node in row:
        targets = sorted(place[target] for target in down[node])
        count += sum(len(ends) - bisect_right(ends, end) for end in targets)
        for end in targets:
            insort(ends, end)
    return count


def _across(
    rows: list[list[int]],
    up: list[list[int]],
    down: list[list[int]],
    widths: list[float],
    gap: float,
    sweeps: int,
) -> list[float]:
    x = [0.0] * len(widths)
    for row in rows:
        _pack(row, [0.0] * len(row), widths, gap, x)
    for sweep in range(sweeps):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wishes = []
            for node in row:
                near = (up if sweep % 2 == 0 else down)[node] or down[node] or up[node]
                wishes.append(sum(x[n] for n in near) / len(near) if near else x[node])
            _pack(row, wishes, widths, gap, x)
    return x


def _pack(row: list[int], wishes: list[float], widths: list[float], gap: float, x: list[float]) -> None:
    """Set each node as near its wish as its neighbours let it, in the least-squares sense."""
    offsets, offset = [], 0.0
    for k, node in enumerate(row):
        if k:
            offset += (widths[row[k - 1]] + widths[node]) / 2 + gap
        offsets.append(offset)
    blocks: list[list[float]] = []  # sum of wishes without offsets, number of nodes
    for wish, offset in zip(wishes, offsets):
        blocks.append([wish - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    k = 0
    for total, count in blocks:
        for _ in range(int(count)):
            x[row[k]] = total / count + offsets[k]
            k += 1
