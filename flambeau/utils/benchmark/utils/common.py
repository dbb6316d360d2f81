"""What was measured, and the numbers that describe it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flambeau as fb

__all__ = ["Measurement", "TaskSpec", "ordered_unique", "select_unit", "trim_sigfig", "unit_to_english"]

_MAX_SIGNIFICANT_FIGURES = 4
_MIN_CONFIDENCE_INTERVAL = 25e-9  # what a clock is trusted to tell apart
_IQR_WARN_THRESHOLD = 0.1
_IQR_GROSS_WARN_THRESHOLD = 0.25
_Z = 1.645  # of a confidence of 90 %
_ENGLISH = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}


@dataclasses.dataclass(init=True, repr=False, eq=True, frozen=True)
class TaskSpec:
    """What is measured: the statement, and the words that tell it from others."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or the statement, and the sub-label."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self) -> str:
        """The setup as `summarize` shows it."""
        if self.setup == "pass" or not self.setup:
            return ""
        if "\n" in self.setup:
            return f"setup:\n{textwrap.indent(self.setup, '  ')}\n"
        return f"setup: {self.setup}"

    def summarize(self) -> str:
        """Title, description and setup, a line each."""
        return "\n".join(part for part in (self.title, self.description or "", self.setup_str()) if part)


_FIELDS = tuple(field.name for field in dataclasses.fields(TaskSpec))


def _quantile(ordered: Sequence[float], q: float) -> float:
    """The q-quantile of sorted numbers, between neighbours by a straight line."""
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """Times of one statement.

    Parameters
    ----------
    number_per_run : how often the statement ran for each of `raw_times`.
    raw_times : seconds.
    task_spec : what was measured; its fields are attributes of the measurement too.
    metadata : anything a caller wants to keep along.
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _FIELDS:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def times(self) -> list[float]:
        """Seconds of one run of the statement."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """The median of `times`."""
        return _quantile(sorted(self.times), 0.5)

    @property
    def _quartiles(self) -> tuple[float, float]:
        ordered = sorted(self.times)
        return _quantile(ordered, 0.25), _quantile(ordered, 0.75)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        low, high = self._quartiles
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many digits of the median can be believed: from the confidence interval of the middle half."""
        low, high = self._quartiles
        middle = [t for t in self.times if low <= t <= high]
        width = _Z * statistics.pstdev(middle) / math.sqrt(len(middle)) if middle else 0.0
        figures = math.log10(self.median / max(width, _MIN_CONFIDENCE_INTERVAL))
        return min(max(math.floor(figures), 1), _MAX_SIGNIFICANT_FIGURES)

    @property
    def has_warnings(self) -> bool:
        """Whether the times differ so much that `repr` warns."""
        return bool(self._warning)

    @property
    def _warning(self) -> str:
        spread = self.iqr / self.median if len(self.raw_times) > 1 else 0.0
        if spread <= _IQR_WARN_THRESHOLD:
            return ""
        gross = spread > _IQR_GROSS_WARN_THRESHOLD
        rest = (
            "This suggests significant environmental influence."
            if gross
            else "This could indicate system fluctuation."
        )
        indent = " " * 11
        first = f"  WARNING: Interquartile range is {spread * 100:.1f}% of the median measurement."
        return f"{first}\n{indent}{rest}"

    def meets_confidence(self, threshold: float = _IQR_WARN_THRESHOLD) -> bool:
        """Whether the distance of the quartiles is below that share of the median."""
        return self.iqr / self.median < threshold

    @property
    def title(self) -> str:
        """The title of the task."""
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        """The sub-label, else the statement."""
        return self.sub_label or self.stmt or "[Unknown]"

    def __repr__(self) -> str:
        unit, scale = select_unit(self.median)
        count = len(self.raw_times)
        lines = [object.__repr__(self), self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if count > 1 else ''}{self.median / scale:.2f} {unit}")
        if count > 3:
            low, high = (quartile / scale for quartile in self._quartiles)
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low:.2f} to {high:.2f})")
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        runs = f"{self.number_per_run} runs {'per measurement' if count > 1 else ''}, {threads}"
        lines.append(f"  {count} measurement{'s' if count > 1 else ''}, {runs}")
        return "\n".join(lines + [self._warning] * bool(self._warning))

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One measurement for each task, with the times of all that measured it, of one run each."""
        found: dict[TaskSpec, list[float]] = defaultdict(list)
        for measurement in measurements:
            found[measurement.task_spec].extend(measurement.times)
        return [Measurement(1, times, spec) for spec, times in found.items()]


def select_unit(t: float) -> tuple[str, float]:
    """The unit that makes a time a number a reader takes in, and how many seconds it is."""
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(int(fb.tensor(t).log10().item() // 3), "s")
    return unit, {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def unit_to_english(u: str) -> str:
    """The name of a unit."""
    return _ENGLISH[u]


def trim_sigfig(x: float, n: int) -> float:
    """Trim `x` to `n` significant figures: (3.14159, 2) gives 3.1."""
    if n != int(n):
        raise AssertionError("Number of significant figures must be an integer")
    magnitude = int(fb.tensor(x).abs().log10().ceil().item())
    scale = 10 ** (magnitude - n)
    return float(fb.tensor(x / scale).round() * scale)


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """The elements, each once, in the order they came."""
    return list(dict.fromkeys(elements))


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Use `n` threads inside the ``with`` block."""
    before = fb.get_num_threads()
    try:
        fb.set_num_threads(n)
        yield
    finally:
        fb.set_num_threads(before)
