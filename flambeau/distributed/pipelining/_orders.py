"""What each process of a pipeline does and in which order, as actions without the pauses between them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

__all__ = ["dual_pipe", "interleaved", "looped_breadth_first", "zero_bubble_v"]


class _ComputationType(Enum):
    """Kinds of work; the values are their letters."""

    FORWARD = "F"
    BACKWARD_INPUT = "I"
    BACKWARD_WEIGHT = "W"
    FULL_BACKWARD = "B"
    OVERLAP_F_B = "OVERLAP_F_B"

    def __str__(self) -> str:
        return self.value


FORWARD = _ComputationType.FORWARD
BACKWARD_INPUT = _ComputationType.BACKWARD_INPUT
BACKWARD_WEIGHT = _ComputationType.BACKWARD_WEIGHT
FULL_BACKWARD = _ComputationType.FULL_BACKWARD


class _Action(NamedTuple):
    """A piece of work: of a stage and a microbatch, or several of them that may overlap."""

    stage_index: int
    computation_type: _ComputationType
    microbatch_index: int | None = None
    sub_actions: tuple[_Action, ...] | None = None

    def __repr__(self) -> str:
        if self.sub_actions is not None:
            return f"({';'.join(map(repr, self.sub_actions))}){self.computation_type}"
        number = "" if self.microbatch_index is None else self.microbatch_index
        return f"{self.stage_index}{self.computation_type}{number}"

    __str__ = __repr__


class _Counter:
    """Actions of one process, whose microbatches are counted by stage and kind."""

    def __init__(self) -> None:
        self.actions: list[_Action] = []
        self._next: dict[tuple[int, _ComputationType], int] = {}

    def made(self, stage: int, kind: _ComputationType) -> _Action:
        """The next one of its kind, which nobody has done yet."""
        counted = BACKWARD_INPUT if kind is FULL_BACKWARD else kind
        number = self._next.get((stage, counted), 0)
        self._next[stage, counted] = number + 1
        return _Action(stage, kind, number)

    def add(self, stage: int, *kinds: _ComputationType) -> None:
        """Do the next ones of these kinds."""
        self.actions += [self.made(stage, kind) for kind in kinds]

    def count(self, stage: int, kind: _ComputationType) -> int:
        """How many of a kind there were."""
        return self._next.get((stage, kind), 0)


def looped_breadth_first(rank: int, size: int, stages: int, microbatches: int) -> list[_Action]:
    """All microbatches of a stage before the next stage (Lamy-Poirier, 2023)."""
    own = range(rank, stages, size)
    pieces = range(microbatches)
    forward = [_Action(s, FORWARD, k) for s in own for k in pieces]
    return forward + [_Action(s, FULL_BACKWARD, k) for s in reversed(own) for k in reversed(pieces)]


def interleaved(rank: int, size: int, stages: int, microbatches: int, split: bool = False) -> list[_Action]:
    """Forwards and backwards in turn over stages that lie round the processes (Narayanan et al., 2021).

    With `split` the two parts of a backward are apart: gradients of weights, for which nobody waits, come
    the later the nearer a process is to the end (Qi et al., 2023), and there are fewer forwards ahead.
    """
    own = range(rank, stages, size)
    local = len(own)
    in_round = microbatches // max(1, microbatches // size)
    total = microbatches * local
    behind = size - 1 - rank
    ahead = min((local - 1) * in_round + behind * (1 if split else 2), total)
    work = _Counter()

    def stage(k: int, backward: bool = False) -> int:
        place = k // in_round % local
        return own[local - 1 - place if backward else place]

    for k in range(ahead):
        work.add(stage(k), FORWARD)
    weights = 0
    for k in range(total):
        if ahead + k < total:
            work.add(stage(ahead + k), FORWARD)
        work.add(stage(k, True), BACKWARD_INPUT if split else FULL_BACKWARD)
        if split and k >= rank:
            work.add(stage(weights, True), BACKWARD_WEIGHT)
            weights += 1
    while split and weights < total:
        work.add(stage(weights, True), BACKWARD_WEIGHT)
        weights += 1
    return work.actions


def zero_bubble_v(rank: int, size: int, microbatches: int) -> list[_Action]:
    """Two stages in each process, in the form of a V (Qi et al., 2024)."""
    down, up = rank, 2 * size - 1 - rank
    backward = (BACKWARD_INPUT, BACKWARD_WEIGHT)
    total = max(2 * size - 1, microbatches)  # fewer leave pauses
    work = _Counter()
    work.add(down, *[FORWARD] * (2 * (size - rank) - 1))
    for _ in range(rank):
        work.add(up, FORWARD)
        work.add(down, FORWARD)
    for _ in range(size - rank):
        work.add(up, FORWARD, *backward)
    while work.count(up, FORWARD) < total or work.count(down, FORWARD) < total:
        if work.count(down, FORWARD) < total:
            work.add(down, FORWARD)
        work.add(down, *backward)
        work.add(up, FORWARD, *backward)
    for _ in range(rank):
        work.add(down, BACKWARD_INPUT)
        work.add(up, BACKWARD_INPUT)
    for _ in range(size - rank):
        work.add(down, *backward)
    for stage in (up, down):
        work.add(stage, *[BACKWARD_WEIGHT] * (total - work.count(stage, BACKWARD_WEIGHT)))
    return [a for a in work.actions if a.microbatch_index < microbatches]


def dual_pipe(rank: int, size: int, microbatches: int) -> list[_Action]:
    """Two stages in each process, in the form of a V, whose forwards and backwards overlap (DeepSeek-AI,
    2024)."""
    down, up = rank, 2 * size - 1 - rank
    behind = size - 1 - rank
    work = _Counter()
    waiting: list[int] = []  # stages whose gradients of weights are put off

    def both(forward: int, backward: int) -> None:
        parts = (work.made(forward, FORWARD), work.made(backward, FULL_BACKWARD))
        work.actions.append(_Action(-1, _ComputationType.OVERLAP_F_B, None, parts))

    def backward(stage: int, apart: bool) -> None:
        work.add(stage, BACKWARD_INPUT if apart else FULL_BACKWARD)
        if apart:
            waiting.append(stage)
        else:  # its number has gone with the whole
            work.made(stage, BACKWARD_WEIGHT)

    def weights() -> None:
        work.add(waiting.pop(0), BACKWARD_WEIGHT)

    def overlapped(forward: int, stage: int) -> None:
        both(forward, stage)
        work.made(stage, BACKWARD_WEIGHT)

    work.add(down, *[FORWARD] * (2 * behind))
    for _ in range(rank + 1):
        work.add(down, FORWARD)
        work.add(up, FORWARD)
    for _ in range(behind):
        backward(up, True)
        weights()
        work.add(up, FORWARD)
    for k in range(microbatches - 2 * size + rank + 1):
        if k == 0 and rank == size - 1:  # nothing to overlap with: the loss comes from here
            work.add(down, FORWARD)
            backward(up, False)
        else:
            overlapped(down, up)
        overlapped(up, down)
    for _ in range(behind):
        backward(up, False)
        overlapped(up, down)
    half = (rank + 1) // 2
    for k in range(rank + 1):
        odd = rank % 2 == 1
        backward(up, k > half or (k == half and odd))
        backward(down, k >= half)
    for _ in range(behind):
        weights()
        backward(down, True)
    for _ in range(rank + 1):
        weights()
    return work.actions


def in_all(order: Callable[..., list[_Action]], size: int, *args: int) -> dict[int, list[_Action]]:
    """The actions of all processes."""
    return {rank: order(rank, size, *args) for rank in range(size)}
