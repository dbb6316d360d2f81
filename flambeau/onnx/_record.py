"""What a program runs for several sizes of its inputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau.jit._trace import _record

from .errors import OnnxExporterError

# what is added to the size of a symbol, in the recordings after the first: several attempts, since
# programs may
# need sizes that a number divides, or that stay below a limit
_OFFSETS = [(1, 3, 2, 7, 6, 4, 9), (2, 5, 1, 3, 8, 11, 6), (4, 7, 3, 1, 10, 5, 2), (3, 1, 6, 9, 2, 8, 5)]
_FACTORS = [(2, 3, 4, 5, 6, 7, 9), (3, 2, 5, 4, 7, 9, 6), (4, 5, 2, 3, 9, 6, 7), (5, 4, 3, 2, 6, 8, 9)]
_EIGHTHS = (4, 2, 1, 6, 3, 7, 5)
FEW, MANY = 4, 8  # recordings: enough for sizes themselves, and for numbers that are computed from them


@dataclass
class Recording:
    """One run: the operators, and the tensors they gave."""

    steps: list
    layout: dict
    held: list[fb.Tensor]
    outputs: Any  # the structure of the result
    shapes: dict[int, tuple[int, ...]]  # by slot
    dtypes: dict[int, fb.dtype]
    memory: dict[int, int]  # equal for slots that share their memory; 0: none
    baked: str | None
    scopes: list[Any]  # for each step, what the program noted before it


def record(
    call: Callable[[list], Any],
    leaves: list[fb.Tensor],
    state: list[fb.Tensor],
    marks: list[tuple[int, Any]] | None = None,
) -> Recording:
    """Run ``call`` on these tensors; ``state`` has the parameters and buffers it may read.

    ``marks`` is what ``call`` notes while it runs: (number of the next step, something about those from
    there on).
    """
    with fb.no_grad():
        graph, structure, baked = _record(call, leaves, call, state)
        steps, layout, held = graph.steps(), graph.layout(), graph.held()
        slots = [*layout["inputs"], *layout["held"], *(r for step in steps for r in step[4])]
        slots = sorted({s for s in slots if s >= 0})
        again = _C._Graph()
        again.fill(steps, {**layout, "outputs": slots})
        tensors = again.run(leaves, held)
        shapes = {s: tuple(t.shape) for s, t in zip(slots, tensors)}
        dtypes = {s: t.dtype for s, t in zip(slots, tensors)}
        memory = {s: t.untyped_storage().data_ptr() if t.numel() else 0 for s, t in zip(slots, tensors)}
    starts = [at for at, _ in marks or ()]
    before = [bisect_right(starts, k) for k in range(len(steps))]
    scopes = [marks[n - 1][1] if marks and n else None for n in before]
    return Recording(steps, layout, held, structure, shapes, dtypes, memory, baked, scopes)


def _resized(t: fb.Tensor, sizes: dict[int, int]) -> fb.Tensor:
    """A tensor like ``t`` of other sizes: its content over and over."""
    for d, size in sizes.items():
        t = t.detach().index_select(d, fb.arange(size) % max(t.shape[d], 1))
    return t


def _choices(names: list[str], base: dict[str, int], count: int) -> list[list[dict[str, int]]]:
    """Attempts: the sizes of each symbol in the recordings; each attempt has `count`."""
    together: dict[int, int] = {}
    groups = [together.setdefault(base[n], len(together)) for n in names]
    each = list(range(len(names)))
    made = []
    for places in (each, groups) if groups != each else (each,):
        for change in (_added, _multiplied, _taken_off, _divided):
            columns = [change(max(base[n], 2), k) for n, k in zip(names, places)]
            made.append([dict(zip(names, row)) for row in zip(*columns)][:count])
    return made


def _added(size: int, k: int) -> list[int]:
    return [size, *(size + by for by in _OFFSETS[k % 4])]


def _multiplied(size: int, k: int) -> list[int]:
    return [size, *(size * by for by in _FACTORS[k % 4])]


def _taken_off(size: int, k: int) -> list[int]:
    if size < 5:
        return _added(size, k)
    return [size, *(size - 1 - by % (size - 2) for by in _OFFSETS[k % 4])]


def _divided(size: int, k: int) -> list[int]:
    return [size, *(size * by // 8 for by in _EIGHTHS)] if size >= 16 else _added(size, k)


def recordings(
    call: Callable[[list], Any],
    leaves: list[fb.Tensor],
    state: list[fb.Tensor],
    symbols: list[dict[int, str]],
    count: int,
    marks: list[tuple[int, Any]] | None = None,
    derived: dict[str, tuple[str, int, int]] | None = None,
) -> tuple[list[Recording], list[dict[str, int]]]:
    """Recordings, and the size of each symbol in them.

    ``symbols`` names the dimensions of each input that may change; ``derived`` those that are a factor times
    another one, and a number: name -> (other, factor, number).
    """
    derived = derived or {}
    before = fb.get_rng_state()
    kept = [(t, t.detach().clone()) for t in state if not t.requires_grad]

    def one(sizes: dict[str, int]) -> Recording:
        changed = [
            _resized(t, {d: sizes[n] for d, n in axes.items() if sizes[n] != t.shape[d]})
            for t, axes in zip(leaves, symbols)
        ]
        try:
            return record(call, changed, state, marks)
        finally:
            fb.set_rng_state(before)
            with fb.no_grad():
                for t, content in kept:
                    t.detach().copy_(content)

    base: dict[str, int] = {}
    for t, axes in zip(leaves, symbols):
        for d, n in axes.items():
            root, factor, offset = derived.get(n, (n, 1, 0))
            base.setdefault(root, (t.shape[d] - offset) // factor)
    if not base:
        return [one({})], [{}]
    problem: Exception | None = None

    def with_derived(sizes: dict[str, int]) -> dict[str, int]:
        return {
            **sizes,
            **{n: factor * sizes[root] + offset for n, (root, factor, offset) in derived.items()},
        }

    for attempt in _choices(list(base), base, count):
        sizes = [with_derived(s) for s in attempt]
        try:
            found = [one(s) for s in sizes]
        except NotImplementedError:
            raise
        except Exception as error:  # the program does not take these sizes
            problem = problem or error
            continue
        return found, sizes
    one(with_derived(base))  # what fails on the examples themselves says so
    raise OnnxExporterError(
        f"The program does not run for other sizes of the dynamic dimensions {', '.join(base)}\n"
        f"{type(problem).__name__}: {problem}"
    ) from problem
