"""Numbers of a program that follow sizes of its inputs: found by comparing recordings of several sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from ._table import Dyn, DynFloat

_MOST = 64  # sizes that are looked at when numbers are combined
_LARGEST_DIVISOR = 64

_CURVES: list[tuple[tuple[str, ...], Callable[[int], float]]] = [
    ((), float),
    (("Sqrt",), math.sqrt),
    (("Reciprocal",), lambda v: 1 / v),
    (("Sqrt", "Reciprocal"), lambda v: 1 / math.sqrt(v)),
    (("Log",), math.log),
]


class Sizes:
    """The sizes that change among the recordings, by what they are in each of them."""

    def __init__(self) -> None:
        self.guessed = False  # a number was found in a way that other sizes could refute
        self._known: dict[tuple[int, ...], Dyn] = {}

    def add(self, name: str, shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Enter a tensor of the graph by its shapes; its shape, sizes that change as Dyn."""
        shape: list[int] = []
        for d, sizes in enumerate(zip(*shapes)):
            if len(set(sizes)) == 1:
                shape.append(sizes[0])
                continue
            size = Dyn.size(sizes[0], name, d)
            self._known.setdefault(sizes, size)
            shape.append(size)
        return tuple(shape)

    def whole(self, values: tuple[int, ...]) -> Dyn | None:
        """How the graph computes a number from the sizes; None if no simple way gives all these values."""
        if values in self._known:
            return self._known[values]
        known = list(self._known.items())[-_MOST:][::-1]  # what was made last is the likeliest
        found = next(_products(known, values), None)
        if found is None:
            self.guessed = True
            found = next(_quotients_and_sums(known, values), None)
        return found

    def real(self, values: tuple[float, ...]) -> DynFloat | None:
        """:meth:`whole` for numbers that are not whole."""
        for sizes, size in self._known.items():
            for path, curve in _CURVES:
                points = [curve(v) if v > 0 else math.nan for v in sizes]
                factor = values[0] / points[0] if points[0] else math.nan
                if all(math.isclose(factor * p, v, rel_tol=1e-12) for p, v in zip(points, values)):
                    made = DynFloat(values[0])
                    made.size, made.path, made.factor = size, path, factor
                    return made
        return None


def _line(sizes: Sequence[int], values: Sequence[int]) -> tuple[int, int] | None:
    """(factor, offset) with ``values = factor * sizes + offset``, factor not 0."""
    k = next((k for k, v in enumerate(sizes) if v != sizes[0]), None)
    if k is None:
        return None
    factor, rest = divmod(values[k] - values[0], sizes[k] - sizes[0])
    offset = values[0] - factor * sizes[0]
    if rest or not factor or any(factor * s + offset != v for s, v in zip(sizes, values)):
        return None
    return factor, offset


_Known = list[tuple[tuple[int, ...], Dyn]]


def _products(known: _Known, values: tuple[int, ...]) -> Iterator[Dyn]:
    """``factor * size + offset``, ``factor * size * size + offset``, ``factor * size * size * size``."""
    for sizes, size in known:
        line = _line(sizes, values)
        if line is not None:
            yield size.times(line[0]).plus(line[1])
    for i, (a, x) in enumerate(known):
        for j, (b, y) in enumerate(known[i:], i):
            product = tuple(p * q for p, q in zip(a, b))
            line = _line(product, values)
            if line is not None:
                yield x.times(y).times(line[0]).plus(line[1])
            for c, z in known[j:]:
                line = _line(tuple(p * q for p, q in zip(product, c)), values)
                if line is not None and line[1] == 0:
                    yield x.times(y).times(z).times(line[0])


def _quotients_and_sums(known: _Known, values: tuple[int, ...]) -> Iterator[Dyn]:
    """``factor * ((size + add) // divisor) + offset``, and the same of the sum or difference of two sizes."""
    for sizes, size in known:
        for divisor in range(2, _LARGEST_DIVISOR):
            for add in range(divisor):
                line = _line([(v + add) // divisor for v in sizes], values)
                if line is not None:
                    yield size.plus(add).over(divisor).times(line[0]).plus(line[1])
    for i, (a, x) in enumerate(known):
        for b, y in known[i:]:
            for sign in (1, -1):
                line = _line([p + sign * q for p, q in zip(a, b)], values)
                if line is not None:
                    yield x.plus(y.times(sign)).times(line[0]).plus(line[1])
