"""Running a statement again and again, and measuring it."""

from __future__ import annotations

import enum
import textwrap
import timeit
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .common import Measurement, TaskSpec, set_torch_threads

__all__ = ["Language", "Timer", "timer"]

_OVERHEAD = 1e-4  # the share of a measurement that reading the clock may take


def timer() -> float:
    """The clock, after the work that an accelerator was given."""
    if fb.cuda.is_available() and fb.cuda.is_initialized():
        fb.cuda.synchronize()
    return timeit.default_timer()


class Language(enum.Enum):
    """The language of a statement."""

    PYTHON = 0
    CPP = 1


_LANGUAGES = {"py": Language.PYTHON, "python": Language.PYTHON, "c++": Language.CPP, "cpp": Language.CPP}


def _dedented(text: str) -> str:
    """A block of code moved to the left margin."""
    text = textwrap.dedent(text)
    lines = text.split("\n")
    if lines and not lines[0].strip() and len(lines) > 1:
        lines = lines[1:]
    return "\n".join(lines).rstrip()


class Timer:
    """Measures how long a statement takes.

    Parameters
    ----------
    stmt, setup, timer, globals : as of `timeit.Timer`.
    label, sub_label, description, env : how `Compare` groups and names the results.
    num_threads : the threads operators use while it runs.
    language : Python; C++ raises NotImplementedError.
    """

    _timer_cls: type[timeit.Timer] = timeit.Timer

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timer, globals: dict[str, Any] | None = None, label: str | None = None,
        sub_label: str | None = None, description: str | None = None, env: str | None = None,
        num_threads: int = 1, language: Language | str = Language.PYTHON,
    ) -> None:  # fmt: skip
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        found = language if isinstance(language, Language) else _LANGUAGES.get(str(language).lower())
        if found is None:
            raise ValueError(f"Invalid language `{language}`.")
        if found is Language.CPP:
            raise NotImplementedError("Timer of C++ statements: flambeau has no headers to compile against")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved "
                "to `setup`."
            )
        self._globals = {**(globals or {})}
        self._globals.setdefault("torch", fb)
        self._language = found
        stmt, setup = _dedented(stmt), _dedented(setup)
        self._timer = self._timer_cls(stmt=stmt, setup=setup, timer=timer, globals=self._globals)
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def _timeit(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)  # never 0: a coarse clock may not have moved

    def timeit(self, number: int = 1000000) -> Measurement:
        """Run the statement `number` times, in one measurement."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timeit(max(int(number // 100), 2))  # warms up
            return Measurement(number, [self._timeit(number)], self._task_spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Not there: see `Timer.blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> None:
        """Not there: see `Timer.blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _estimate_block_size(self, min_run_time: float) -> int:
        with set_torch_threads(self._task_spec.num_threads):
            overhead = sorted(self._timeit(0) for _ in range(5))[2]
            number = 1
            while True:
                taken = self._timeit(number)
                if (overhead / taken <= _OVERHEAD and taken >= min_run_time / 1000) or taken > min_run_time:
                    return number
                number *= 10

    def _measure(
        self,
        number: int,
        stop: Callable[[list[float]], bool],
        min_run_time: float,
        max_run_time: float | None,
        callback: Callable[[int, float], Any] | None,
    ) -> Measurement:
        times: list[float] = []
        total, longest = 0.0, min_run_time if max_run_time is None else max_run_time
        with set_torch_threads(self._task_spec.num_threads):
            while total < longest and (total < min_run_time or not stop(times)):
                taken = self._timeit(number)
                if callback is not None:
                    callback(number, taken)
                times.append(taken)
                total += taken
        return Measurement(number, times, self._task_spec)

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measure blocks of runs for `min_run_time` seconds.

        A block is so long that reading the clock does not count. `callback` is given the runs and the
        seconds of each block.
        """
        return self._measure(
            self._estimate_block_size(min_run_time), lambda times: True, min_run_time, None, callback
        )

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Measure until the quartiles are closer than `threshold` of the median, or for `max_run_time` s."""
        number = self._estimate_block_size(min_run_time=0.05)

        def steady(times: list[float]) -> bool:
            return len(times) > 3 and Measurement(number, times, self._task_spec).meets_confidence(threshold)

        return self._measure(number, steady, min_run_time, max_run_time, callback)

    def collect_callgrind(
        self,
        number: int = 100,
        *,
        repeats: int | None = None,
        collect_baseline: bool = True,
        retain_out_file: bool = False,
    ) -> Any:
        """Not there: counting instructions with Valgrind."""
        raise NotImplementedError(
            "Timer.collect_callgrind: flambeau does not count instructions with Valgrind"
        )
