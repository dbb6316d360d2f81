"""Replacing every occurrence of a pattern in a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flambeau import nn
from flambeau.fx._symbolic_trace import symbolic_trace
from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule, _copy_attr
from flambeau.fx.node import Node, nodes_of

__all__ = ["Match", "replace_pattern", "replace_pattern_with_filters", "ReplacedPatterns"]


class Match(NamedTuple):
    """An occurrence: the pattern's last node, and the nodes of the pattern with those that they are here."""

    anchor: Node
    nodes_map: dict[Node, Node]


@dataclass
class ReplacedPatterns:
    """An occurrence, and what stands there now."""

    anchor: Node
    nodes_map: dict[Node, Node]
    replacements: list[Node] = field(default_factory=list)


def _graph_of(what: Callable | Graph | GraphModule) -> Graph:
    if isinstance(what, Graph):
        return what
    return what.graph if isinstance(what, GraphModule) else symbolic_trace(what).graph


def _same(pattern: Any, here: Any, found: dict[Node, Node], roots: tuple[Any, Any]) -> bool:
    """Whether an argument fits one of the pattern; fills ``found``."""
    if isinstance(pattern, Node):
        return isinstance(here, Node) and _match(pattern, here, found, roots)
    if isinstance(pattern, (list, tuple)):
        return (
            isinstance(here, (list, tuple))
            and len(pattern) == len(here)
            and all(_same(p, h, found, roots) for p, h in zip(pattern, here))
        )
    if isinstance(pattern, dict):
        return (
            isinstance(here, dict)
            and pattern.keys() == here.keys()
            and all(_same(v, here[k], found, roots) for k, v in pattern.items())
        )
    if isinstance(pattern, slice):
        return isinstance(here, slice) and all(
            _same(getattr(pattern, k), getattr(here, k), found, roots) for k in ("start", "stop", "step")
        )
    return type(pattern) is type(here) and pattern == here


def _match(p: Node, n: Node, found: dict[Node, Node], roots: tuple[Any, Any]) -> bool:
    if p in found:
        return found[p] is n
    if p.op == "placeholder":
        found[p] = n
        return True
    if p.op != n.op or not _same_target(p, n, roots):
        return False
    found[p] = n
    return _same(p.args, n.args, found, roots) and _same(p.kwargs, n.kwargs, found, roots)


def _same_target(p: Node, n: Node, roots: tuple[Any, Any]) -> bool:
    if p.op == "call_module" and all(isinstance(r, nn.Module) for r in roots):
        return type(roots[0].get_submodule(p.target)) is type(roots[1].get_submodule(n.target))
    if p.op == "get_attr":
        return p.target.rpartition(".")[2] == n.target.rpartition(".")[2]
    return p.target == n.target


def _contained(found: dict[Node, Node], results: list[Node]) -> bool:
    """Whether nobody outside uses what lies inside."""
    inside = {n for p, n in found.items() if p.op != "placeholder"}
    open_nodes = {found[r] for r in results}
    return all(n in open_nodes or all(u in inside for u in n.users) for n in inside)


def _occurrences(graph: Graph, pattern: Graph, roots: tuple[Any, Any]) -> list[Match]:
    results = list(dict.fromkeys(nodes_of(pattern.output_node().args[0])))
    matches: list[Match] = []
    taken: set[Node] = set()
    nodes = [n for n in graph.nodes if n.op != "output"]

    def complete(found: dict[Node, Node], rest: list[Node]) -> dict[Node, Node] | None:
        if not rest:
            return found
        for n in [found[rest[0]]] if rest[0] in found else nodes:
            trial = dict(found)
            if _match(rest[0], n, trial, roots) and (done := complete(trial, rest[1:])) is not None:
                return done
        return None

    if not results:
        return []
    for n in reversed(
        nodes
    ):  # from the end, so that the longest chain of two patterns is taken as torch does
        trial: dict[Node, Node] = {}
        if not _match(results[0], n, trial, roots):
            continue
        found = complete(trial, results[1:])
        if found is None or not _contained(found, results):
            continue
        inside = {m for p, m in found.items() if p.op != "placeholder"}
        if inside & taken or len(inside) != sum(p.op != "placeholder" for p in found):
            continue
        taken |= inside
        matches.append(Match(results[0], found))
    return matches[::-1]


def replace_pattern_with_filters(
    gm: GraphModule,
    pattern: Callable | Graph | GraphModule,
    replacement: Callable | Graph | GraphModule | None = None,
    match_filters: list[Callable[[Any, Graph, Graph], bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[[Any, Graph, Graph], Graph] | None = None,
    node_name_match: str = "",
) -> list[ReplacedPatterns]:
    """:func:`replace_pattern` where every filter agrees; says also what was put in.

    Parameters
    ----------
    match_filters : list of callables
        Each gets (match, graph, pattern's graph).
    replacement_callback : callable, optional
        Gives the replacement for a match, instead of ``replacement``.
    """
    if ignore_literals or node_name_match:
        raise NotImplementedError(
            "replace_pattern_with_filters: ignore_literals and node_name_match are not in flambeau"
        )
    original, pattern_graph = gm.graph, _graph_of(pattern)
    roots = (pattern if isinstance(pattern, GraphModule) else None, gm)
    fixed = None if replacement is None else _graph_of(replacement)
    changed: dict[Node, Node] = {}
    done: list[ReplacedPatterns] = []
    for match in _occurrences(original, pattern_graph, roots):
        if not all(f(match, original, pattern_graph) for f in match_filters or ()):
            continue
        new = replacement_callback(match, original, pattern_graph) if replacement_callback else fixed
        done.append(_replace(original, pattern_graph, new, match, changed))
    if isinstance(replacement, nn.Module):
        for node in gm.graph.nodes:
            if (
                node.op in ("call_module", "get_attr")
                and not _has(gm, node.target)
                and _has(replacement, node.target)
            ):
                _copy_attr(replacement, gm, node.target)
    gm.recompile()
    return done


def _has(module: nn.Module, path: str) -> bool:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def _replace(
    graph: Graph, pattern: Graph, new: Graph, match: Match, changed: dict[Node, Node]
) -> ReplacedPatterns:
    takes = [n for n in pattern.nodes if n.op == "placeholder"]
    gets = [n for n in new.nodes if n.op == "placeholder"]
    if len(takes) != len(gets):
        raise RuntimeError(
            f"the replacement takes {len(gets)} arguments and the pattern {len(takes)}; they must be the same"
        )
    val_map: dict[Node, Node] = {}
    for p, r in zip(takes, gets):
        if p not in match.nodes_map:
            if r.users:
                raise RuntimeError(f"the replacement uses {r}, which does not occur in the pattern")
            continue
        there = match.nodes_map[p]
        val_map[r] = changed.get(there, there)
    inside = [n for p, n in match.nodes_map.items() if p.op != "placeholder"]
    ordered = [n for n in graph.nodes if n in set(inside)]
    old_results = [match.nodes_map[r] for r in nodes_of(pattern.output_node().args[0])]
    inputs = set(val_map.values())
    place = ordered[-1] if len(old_results) == 1 else _after_inputs(graph, inputs, ordered)
    before = set(graph.nodes)
    with graph.inserting_before(place):
        copied = graph.graph_copy(new, val_map)
    made = [n for n in graph.nodes if n not in before]
    new_results = list(nodes_of(copied))
    if len(new_results) != len(old_results):
        raise RuntimeError(
            f"the replacement gives {len(new_results)} results and the pattern {len(old_results)}"
        )
    for old, result in zip(old_results, new_results):
        old.replace_all_uses_with(result)
        changed[old] = result
    for n in reversed(ordered):
        if not n.users:
            graph.erase_node(n)
    return ReplacedPatterns(match.anchor, match.nodes_map, made)


def _after_inputs(graph: Graph, inputs: set[Node], inside: list[Node]) -> Node:
    last = None
    for n in graph.nodes:
        if n in inputs:
            last = n
    return inside[0] if last is None or last < inside[0] else last.next


def replace_pattern(
    gm: GraphModule,
    pattern: Callable | GraphModule,
    replacement: Callable | GraphModule,
) -> list[Match]:
    """Put ``replacement`` wherever ``pattern`` occurs in ``gm``, which is changed.

    Both are functions or modules that are traced; their arguments stand for anything. Inside of an occurrence
    nothing may be used from outside; occurrences do not overlap.

    Returns
    -------
    list of Match
        In the order of the graph, with the nodes as they were.
    """
    return [Match(m.anchor, m.nodes_map) for m in replace_pattern_with_filters(gm, pattern, replacement)]
