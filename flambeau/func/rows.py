"""Gradients for many cotangents at once.

A backward is linear in its cotangent. One is run and recorded, operator by operator; what was recorded then
runs under `vmap` for all cotangents together. Formulas that compute without operators run for one after the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from flambeau import _C

from .._ops import overload_of
from .._recorded import constant
from ..autograd.grad_mode import set_grad_enabled
from . import batched, rules

__all__ = ["basis", "gradients"]

FEW = 4  # cotangents that are as well done one by one
MOST = 1 << 26  # numbers in the results of all operators together; more cotangents go in parts

_PLAIN, _IN_PLACE, _WITH_NUMBER = 0, 1, 3  # how the core calls an operator
_Backward = Callable[[list, bool], tuple]


def basis(t: Any) -> Any:
    """The unit tensors of a shape, stacked: the cotangents that give the rows of a Jacobian."""
    return _C.eye(t.numel(), dtype=t.dtype, device=t.device).reshape(-1, *t.shape)


def gradients(
    backward: _Backward, cotangents: Sequence[Any], keep: bool = True, at_once: int | None = None
) -> tuple:
    """What a backward gives for each of many cotangents, stacked.

    Parameters
    ----------
    backward : called with a cotangent (or None) for each output, and whether the graph is kept; returns the
        gradients, None where there is none.
    cotangents : for each output, with one more dimension in front that counts; or None.
    keep : whether the graph is kept after the last.
    at_once : how many to compute together at most; by default as many as memory bears.
    """
    given = [c for c in cotangents if c is not None]
    count = given[0].shape[0]
    if count > FEW and not batched.active():
        program = _Program.recorded(backward, cotangents)
        if program is not None:
            found = program.run_all(cotangents, count, at_once)
            if found is not None:
                if not keep:
                    backward([None if c is None else c[0] for c in cotangents], False)
                return found
    rows = []
    for k in range(count):
        rows.append(backward([None if c is None else c[k] for c in cotangents], keep or k + 1 < count))
    return tuple(None if column[0] is None else _C.stack(column) for column in zip(*rows))


@cache
def _called(name: str, variant: int, count: int) -> tuple[Any, list[str], int]:
    """The operator of a step, the names of its arguments, and how many of them go without."""
    overload = overload_of(name, variant)
    schema = overload._schema.arguments
    if len(schema) < count:
        raise NotImplementedError(f"{name} takes fewer arguments than were recorded")
    return overload, [a.name for a in schema[:count]], sum(not a.kwarg_only for a in schema[:count])


def _content(kind: str, v: Any, values: dict[int, Any]) -> Any:
    """An argument of a step."""
    if kind == "tensor":
        return values[v]
    if kind == "tensors":
        return [values[s] for s in v]
    return constant(kind, v)


class _Program:
    """A backward that was recorded."""

    def __init__(self, graph: Any, sample: list, result: tuple) -> None:
        self.graph, self.steps, self.layout = graph, graph.steps(), graph.layout()
        self.held = dict(zip(self.layout["held"], graph.held()))
        self.gone = [g is None for g in result]
        self.connected = any(g is not None and g.requires_grad for g in result)
        numbers = max((t.numel() for t in (*sample, *result) if t is not None), default=0)
        self.at_once = max(1, MOST // max(numbers * len(self.steps), 1))  # cotangents

    @classmethod
    def recorded(cls, backward: _Backward, cotangents: Sequence[Any]) -> _Program | None:
        """One backward, run; None if it cannot be recorded."""
        sample = [None if c is None else c[0] for c in cotangents]
        graph = _C._Graph()
        graph.start([c for c in sample if c is not None], [], True)
        try:
            result = backward(sample, True)
        finally:
            graph.stop()
        problem, decided = graph.finish(
            [g for g in result if g is not None]
        )  # a value that Python read decides
        return cls(graph, sample, result) if problem is None and decided is None else None

    def run_all(self, cotangents: Sequence[Any], count: int, at_once: int | None) -> tuple | None:
        """The gradients for all cotangents; None if an operator has no way to run for several."""
        given = [c for c in cotangents if c is not None]
        n = min(at_once or self.at_once, count)
        try:
            with set_grad_enabled(self.connected):
                parts = [self._run([c[k : k + n] for c in given]) for k in range(0, count, n)]
        except NotImplementedError:
            return None
        except RuntimeError as error:
            if not getattr(error, "by_sample", False):
                raise
            return None
        found = iter(parts[0] if len(parts) == 1 else [_C.cat(column) for column in zip(*parts)])
        return tuple(None if gone else next(found) for gone in self.gone)

    def _run(self, cotangents: list) -> list:
        count = cotangents[0].shape[0]
        level = batched.Level(1, count, "same")
        values = dict(self.held)
        values.update((s, batched.make(c, (1,))) for s, c in zip(self.layout["inputs"], cotangents) if s >= 0)
        values[-1] = None
        batched.active().append(level)
        try:
            for k, step in enumerate(self.steps):
                self._step(k, step, values)
            return [batched.aligned(values[s], (1,), full=True) for s in self.layout["outputs"]]
        finally:
            batched.active().pop()

    def _step(self, k: int, step: list, values: dict[int, Any]) -> None:
        name, arguments, given, in_place, results, is_list = step
        if not name:
            made: Any = self._formulas(k, [[values[s] for s in slots] for _, slots in arguments])
        elif given and (not in_place or given[0] in self.held):
            raise NotImplementedError(f"{name}, which writes")
        else:
            number = any(kind in ("int", "float", "complex", "bool") for kind, _ in arguments[1:])
            variant = _IN_PLACE if in_place else _WITH_NUMBER if number else _PLAIN
            function, names, plain = _called(name, variant, len(arguments))
            content = [_content(kind, v, values) for kind, v in arguments]
            args, kwargs = tuple(content[:plain]), dict(zip(names[plain:], content[plain:]))
            tensors = [x for c in content for x in (c if isinstance(c, list) else (c,))]
            if any(map(batched.is_batched, tensors)):
                made = rules.call(function, args, kwargs)
            else:
                made = function(*args, **kwargs)
        if is_list or len(results) > 1 or not name:
            values.update((s, m) for s, m in zip(results, made) if s >= 0)
        elif results:
            values[results[0]] = made

    def _formulas(self, k: int, tensors: list[list]) -> list:
        """Those of a node, for one cotangent after the other."""
        flat = [x for column in tensors for x in column]
        count = batched.active()[-1].size
        whole = [batched.aligned(x, (1,)) if batched.is_batched(x) else x for x in flat]
        cut, rows = len(tensors[0]), []
        for n in range(count):
            row = [w[n] if batched.is_batched(x) else x for w, x in zip(whole, flat)]
            rows.append(self.graph.formulas(k, row[:cut], row[cut:]))
        return [None if c[0] is None else batched.make(_C.stack(c), (1,)) for c in zip(*rows)]
