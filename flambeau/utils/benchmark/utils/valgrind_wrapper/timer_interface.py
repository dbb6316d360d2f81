"""Counts of instructions as Callgrind gives them: by function, compared and put together."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..common import TaskSpec

__all__ = ["CallgrindStats", "FunctionCount", "FunctionCounts"]

_HEAD, _TAIL = 8, 8  # lines of a long table
_PLUMBING = (
    "_PyFunction_Vectorcall", "_PyObject_Vectorcall", "PyEval", "unicode_", "_PyUnicode", "dict_lookup",
    "_Py_INCREF", "_Py_DECREF",
)  # fmt: skip


class FunctionCount(NamedTuple):
    """So many instructions of a function."""

    count: int
    function: str


@dataclasses.dataclass(repr=False, eq=False, frozen=True)
class FunctionCounts:
    """Counts of several functions, the largest first.

    Parameters
    ----------
    _data : the counts.
    inclusive : whether those of a function have those of the functions that it calls.
    truncate_rows : whether a long table is shortened where it is printed.
    """

    _data: tuple[FunctionCount, ...]
    inclusive: bool
    truncate_rows: bool = True
    _linewidth: int | None = None

    def __iter__(self) -> Iterator[FunctionCount]:
        yield from self._data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, item: Any) -> FunctionCount | FunctionCounts:
        data = self._data[item]
        return dataclasses.replace(self, _data=data) if isinstance(item, slice) else data

    def __repr__(self) -> str:
        width = max((len(str(c)) + (c < 0) for c, _ in self._data), default=0) + 2
        lines = [f"{c:>{width}}  {name}" for c, name in self]
        if self.truncate_rows and len(lines) > _HEAD + _TAIL + 2:
            lines = [*lines[:_HEAD], "...".rjust(width + 2), *lines[-_TAIL:]]
        if not lines:
            lines = ["[No functions]"]
        head = f"<{type(self).__module__}.FunctionCounts object at {hex(id(self))}>"
        return "\n".join([head, *lines, "", f"Total: {self.sum()}"])

    def sum(self) -> int:
        """All instructions."""
        return sum(c for c, _ in self)

    def _merged(self, other: FunctionCounts, sign: int) -> FunctionCounts:
        if self.inclusive != other.inclusive:
            raise AssertionError("Cannot merge inclusive and exclusive counts.")
        counts: dict[str, int] = collections.defaultdict(int)
        for factor, part in ((1, self), (sign, other)):
            for c, name in part:
                counts[name] += factor * c
        return self._from(counts)

    def _from(self, counts: dict[str, int]) -> FunctionCounts:
        data = [FunctionCount(c, name) for name, c in counts.items() if c]
        return dataclasses.replace(self, _data=tuple(sorted(data, reverse=True)))

    def __add__(self, other: FunctionCounts) -> FunctionCounts:
        return self._merged(other, 1)

    def __sub__(self, other: FunctionCounts) -> FunctionCounts:
        return self._merged(other, -1)

    def __mul__(self, other: int) -> FunctionCounts:
        return self._from({name: int(c * other) for c, name in self})

    def transform(self, map_fn: Callable[[str], str]) -> FunctionCounts:
        """The counts under other names; equal ones are added."""
        counts: dict[str, int] = collections.defaultdict(int)
        for c, name in self:
            counts[map_fn(name)] += c
        return self._from(counts)

    def filter(self, filter_fn: Callable[[str], bool]) -> FunctionCounts:
        """The counts of functions whose names fit."""
        return dataclasses.replace(self, _data=tuple(x for x in self if filter_fn(x.function)))

    def denoise(self) -> FunctionCounts:
        """Without functions of Python whose counts change by chance."""
        return self.filter(lambda name: not any(word in name for word in _PLUMBING))


@dataclasses.dataclass(repr=False, eq=False, frozen=True)
class CallgrindStats:
    """Instructions of a statement, and of doing nothing, as Callgrind counted them."""

    task_spec: TaskSpec
    number_per_run: int
    built_with_debug_symbols: bool
    baseline_inclusive_stats: FunctionCounts
    baseline_exclusive_stats: FunctionCounts
    stmt_inclusive_stats: FunctionCounts
    stmt_exclusive_stats: FunctionCounts
    stmt_callgrind_out: str | None

    def __repr__(self) -> str:
        base = self.baseline_exclusive_stats
        lines = [
            f"<{type(self).__module__}.CallgrindStats object at {hex(id(self))}>",
            *self.task_spec.summarize().splitlines(),
            f"Instructions: {self.counts()}, baseline: {base.sum()}",
            f"{self.number_per_run} runs per measurement, {self.task_spec.num_threads} "
            f"thread{'s' if self.task_spec.num_threads > 1 else ''}",
        ]
        return "\n".join(lines)

    def stats(self, inclusive: bool = False) -> FunctionCounts:
        """The counts of the statement by function, less those of doing nothing."""
        if inclusive:
            return self.stmt_inclusive_stats - self.baseline_inclusive_stats
        return self.stmt_exclusive_stats - self.baseline_exclusive_stats

    def counts(self, *, denoise: bool = False) -> int:
        """All instructions of the statement."""
        made = self.stmt_exclusive_stats
        return (made.denoise() if denoise else made).sum()

    def delta(self, other: CallgrindStats, inclusive: bool = False) -> FunctionCounts:
        """The counts less those of another statement."""
        return self.stats(inclusive) - other.stats(inclusive)

    def as_standardized(self) -> CallgrindStats:
        """With names of functions that do not say where files lie."""

        def strip(stats: FunctionCounts) -> FunctionCounts:
            return stats.transform(lambda name: name.rpartition("/")[2])

        return dataclasses.replace(
            self,
            **{
                f.name: strip(getattr(self, f.name))
                for f in dataclasses.fields(self)
                if f.name.endswith("clusive_stats")
            },
        )
