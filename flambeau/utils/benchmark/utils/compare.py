"""A table of measurements."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator

from .common import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

__all__ = ["Colorize", "Compare"]

_BEST, _GOOD, _BAD, _VERY_BAD = "\033[92m\033[1m", "\033[34m\033[1m", "\033[2m\033[91m", "\033[31m\033[1m"
_PLAIN = "\033[0m\033[0m"


class Colorize(enum.Enum):
    """With which cells a cell is compared for its colour."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


def _coloured(text: str, value: float, best: float) -> str:
    if value <= max(best * 1.01, best + 100e-9):  # a clock does not tell these apart
        return _BEST + text + _PLAIN
    if value >= 5 * best:
        return _VERY_BAD + text + _PLAIN
    if value >= 2 * best:
        return _BAD + text + _PLAIN
    return _GOOD + text + _PLAIN if value <= 1.1 * best else text


_Row = tuple[int, str | None, str]  # threads, environment, name


class _Table:
    """The measurements of one label: a row for each name, a column for each description."""

    def __init__(self, results: list[Measurement], compare: Compare) -> None:
        self.label, self.compare = results[0].label or "", compare
        self.unit, self.scale = select_unit(min(result.median for result in results))
        self.columns = ordered_unique(result.description for result in results)
        self.rows: list[_Row] = ordered_unique((r.num_threads, r.env, r.as_row_name) for r in results)
        self.rows.sort(key=lambda row: row[:2])
        self.cells = {((r.num_threads, r.env, r.as_row_name), r.description): r for r in results}

    def _names(self) -> list[str]:
        """The first column: the environment, where there are several, and the name."""
        environments = ordered_unique(env for _, env, _ in self.rows)
        several = len(environments) > 1
        width = max(len(str(env)) for env in environments) + 6 if several else 6
        names, before = [], None
        for threads, env, name in self.rows:
            shown = f"  ({env})" if several and (threads, env) != before else ""
            names.append(f"{shown:<{width}}{name}")
            before = (threads, env)
        width = max(len(name) for name in names)
        return [f"{name:<{width}}" for name in names]

    def _column(self, description: str | None) -> list[str]:
        """The cells of a column, of equal width, and its heading before them."""
        cells = [self.cells.get((row, description)) for row in self.rows]
        found = [cell for cell in cells if cell is not None]
        digits = 1
        if self.compare._trim:
            digits = min(self._decimals(cell) for cell in found)
        texts = ["" if cell is None else self._text(cell, digits) for cell in cells]
        inner = max(len(text) for text in texts)
        marks = [self._mark(cell) for cell in cells]
        longest = max(len(mark) for mark in marks)
        blank = " " * max(longest - 1, 0)
        texts = [text.rjust(inner) + (mark or blank) for text, mark in zip(texts, marks, strict=True)]
        inner += longest
        width = max(inner, len(description or ""))
        made = [(description or "").center(width)]
        for row, cell, text in zip(self.rows, cells, texts, strict=True):
            text = text.center(width)
            if cell is not None and self.compare._colorize is not Colorize.NONE:
                text = _coloured(
                    text, cell.median, min(rival.median for rival in self._rivals(row, description))
                )
            made.append(text)
        return made

    def _rivals(self, row: _Row, description: str | None) -> list[Measurement]:
        """What a cell is compared with: its row, or its column of the same number of threads."""
        if self.compare._colorize is Colorize.ROWWISE:
            return [cell for (other, _), cell in self.cells.items() if other == row]
        return [cell for (r, c), cell in self.cells.items() if c == description and r[0] == row[0]]

    def _decimals(self, cell: Measurement) -> int:
        figures = cell.significant_figures
        leading = math.ceil(math.log10(cell.median / self.scale))
        return max(figures - leading, 0)

    def _text(self, cell: Measurement, digits: int) -> str:
        value = cell.median / self.scale
        if self.compare._trim:
            value = trim_sigfig(value, cell.significant_figures)
        return f"{value:.{digits}f}"

    def _mark(self, cell: Measurement | None) -> str:
        if cell is None or not self.compare._highlight_warnings or not cell.has_warnings:
            return ""
        return f" (! {cell.iqr / cell.median * 100:.0f}%)"

    def render(self) -> Iterator[str]:
        """The lines of the table."""
        names = self._names()
        columns = [self._column(description) for description in self.columns]
        heading = "  |  ".join([" " * len(names[0]), *(column[0] for column in columns)])
        yield f"[{f' {self.label} '.center(len(heading) - 2, '-')}]"
        yield heading
        before = None
        for k, (row, name) in enumerate(zip(self.rows, names, strict=True)):
            if row[0] != before:
                yield f"{row[0]} threads: ".ljust(len(heading), "-")
            before = row[0]
            yield "  |  ".join([name, *(column[k + 1] for column in columns)])


class Compare:
    """Shows measurements side by side: a table for each label, a row for each sub-label, a column for each
    description.
    """

    def __init__(self, results: list[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim = False
        self._colorize = Colorize.NONE
        self._highlight_warnings = False

    def __str__(self) -> str:
        return "\n".join(self._render())

    def extend_results(self, results: list[Measurement]) -> None:
        """Add measurements."""
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show only digits that can be believed."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour the best and the worst of each column, or of each row."""
        self._colorize = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Mark measurements whose times differ much."""
        self._highlight_warnings = True

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def _render(self) -> list[str]:
        groups: dict[str | None, list[Measurement]] = {}
        for result in Measurement.merge(self._results):
            groups.setdefault(result.label, []).append(result)
        made = []
        for group in groups.values():
            table = _Table(group, self)
            lines = [*table.render(), "", f"Times are in {unit_to_english(table.unit)}s ({table.unit})."]
            if self._highlight_warnings and any(result.has_warnings for result in group):
                lines.append("(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
            made.append("\n".join([*lines, ""]))
        return made
