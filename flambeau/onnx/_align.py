"""Recordings of one program brought to the same steps."""

from __future__ import annotations

import dataclasses
from typing import Any

from ._record import Recording
from .errors import OnnxExporterError

_SLICE = "slice.Tensor"


def aligned(
    found: list[Recording], sizes: list[dict[str, int]]
) -> tuple[list[Recording], list[dict[str, int]]]:
    """The recordings with the steps and slots of the longest one, which comes first; the sizes in that order.

    Python's ``x[:n]`` runs nothing where n is the whole size: such slices are put in where other
    recordings have
    them. Anything else that differs is an error.
    """
    found = [_without_aliases(r) for r in found]
    order = sorted(range(len(found)), key=lambda k: -len(found[k].steps))
    longest = found[order[0]]
    made = [longest]
    for k in order[1:]:
        walk = _Walk(longest, found[k])
        if not walk.run():
            step = walk.step
            name = longest.steps[step][0] if step < len(longest.steps) else "the end"
            raise OnnxExporterError(
                f"The program runs other operators when its inputs have the sizes {sizes[k]} instead of "
                f"{sizes[order[0]]}\nthey differ from operator {step} on, which is '{name}': a loop or "
                f"branch in "
                "Python depends on a dynamic dimension; write it with tensor operators, or leave that "
                "dimension static"
            )
        made.append(walk.made())
    return made, [sizes[k] for k in order]


def _without_aliases(r: Recording) -> Recording:
    names: dict[int, int] = {}
    steps, scopes = [], []

    def slot(k: int) -> int:
        return names.get(k, k)

    for (name, arguments, given, inplace, results, is_list), scope in zip(r.steps, r.scopes):
        if name == "alias":
            names[results[0]] = slot(arguments[0][1])
            continue
        now = [
            [kind, slot(v) if kind == "tensor" else [slot(i) for i in v] if kind == "tensors" else v]
            for kind, v in arguments
        ]
        steps.append([name, now, [slot(v) for v in given], inplace, [slot(v) for v in results], is_list])
        scopes.append(scope)
    layout = {**r.layout, "outputs": [slot(v) for v in r.layout["outputs"]]}
    return dataclasses.replace(r, steps=steps, layout=layout, scopes=scopes)


class _Walk:
    """One recording beside the longest: which of its slots are which of the other's."""

    def __init__(self, longest: Recording, other: Recording) -> None:
        self.longest, self.other = longest, other
        self.to = dict(zip(longest.layout["inputs"], other.layout["inputs"]))
        self.held = dict.fromkeys(longest.layout["held"])
        places = {id(t): q for q, t in zip(other.layout["held"], other.held)}
        self.to.update((p, places[id(t)]) for p, t in zip(self.held, longest.held) if id(t) in places)
        self.free = list(other.layout["held"])
        self.steps: list[Any] = []
        self.step = 0

    def run(self) -> bool:
        """Whether the two have the same operators."""
        waiting = list(self.other.steps)
        at = 0
        for k, step in enumerate(self.longest.steps):
            self.step = k
            mine = waiting[at] if at < len(waiting) else None
            if mine is not None and self._same(step, mine):
                self.to.update(zip(step[4], mine[4]))
                self.steps.append(mine)
                at += 1
            elif step[0] == _SLICE and step[1][0][1] in self.to:
                (_, source), (_, dim), *_ = step[1]
                whole = self.other.shapes[self.to[source]][dim]
                self.steps.append(
                    [
                        _SLICE,
                        [["tensor", source], ["int", dim], ["int", 0], ["int", whole], ["int", 1]],
                        *step[2:],
                    ]
                )
                self.to[step[4][0]] = self.to[source]
            else:
                return False
        self.step = len(self.longest.steps)
        return at == len(waiting) and all(
            self._bound(p, q) for p, q in zip(self.longest.layout["outputs"], self.other.layout["outputs"])
        )

    def _same(self, step: Any, mine: Any) -> bool:
        if step[0] != mine[0] or step[3] != mine[3] or step[5] != mine[5] or len(step[4]) != len(mine[4]):
            return False
        if step[0] == _SLICE and step[1][1] != mine[1][1]:
            return False
        pairs = list(zip(step[2], mine[2]))
        for (kind, a), (other, b) in zip(step[1], mine[1]):
            if kind != other or (kind == "tensors" and len(a) != len(b)):
                return False
            pairs += [(a, b)] if kind == "tensor" else zip(a, b) if kind == "tensors" else []
        if not all(p in self.held or self.to.get(p, p) == q for p, q in pairs):
            return False
        return all(self._bound(p, q) for p, q in pairs)

    def _bound(self, p: int, q: int) -> bool:
        """Whether slot p of the longest is q here; a held tensor is when it is first seen."""
        if p in self.held and p not in self.to and q in self.free:
            self.to[p] = q
        return self.to.get(p, p) == q

    def made(self) -> Recording:
        """This recording with the steps and slots of the longest."""
        places = {q: k for k, q in enumerate(self.other.layout["held"])}
        return Recording(
            self.steps,
            self.longest.layout,
            [self.other.held[places[self.to[p]]] if p in self.to else self.longest.held[k]
             for k, p in enumerate(self.held)],
            self.other.outputs,
            {p: self.other.shapes[self.to.get(p, p)] for p in self.longest.shapes},
            self.longest.dtypes,
            self.longest.memory,
            self.other.baked,
            self.longest.scopes,
        )  # fmt: skip
