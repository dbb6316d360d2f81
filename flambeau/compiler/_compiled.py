"""A compiled function: captured paths, each tried against eager, and what to do when none fits."""

from __future__ import annotations

import functools
import threading
import warnings
import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any

from flambeau import _C
from flambeau._dynamo import config
from flambeau._dynamo.exc import FailOnRecompileLimitHit, RecompileError, Unsupported

from ._capture import capture, capture_for_backend
from ._problem import Problem, explain_branch

ROUNDS = 3  # timed calls of each kind before a path is judged
CLEAR = 0.8, 1.3  # compiled over eager: below or above, one call of each is enough,
LONG = 1e-3  # if it took so many seconds
MARGIN = 0.95  # what compiled may cost of eager's time: ties go to eager
PATIENCE = 2  # calls run eagerly until a backward comes; then one is run to be recorded
ATTEMPTS = 3  # captures that fail before a function is left to eager

_all: weakref.WeakSet[Compiled] = weakref.WeakSet()
_stance = "default"


class Path:
    """One captured way through the function."""

    def __init__(self, entry: Any) -> None:
        self.entry = entry
        self.state = "trial" if entry.state() == "ready" else "waiting"
        self.patience = PATIENCE
        self.eager: list[float] = []
        self.compiled: list[float] = []

    def judge(self) -> None:
        """Keep the faster of the two once both were timed often enough."""
        rounds = min(len(self.eager), len(self.compiled))
        if not rounds:
            return
        eager, compiled = min(self.eager), min(self.compiled)
        if (backward := self.entry.backward_times()) is not None:
            if None not in backward:
                eager, compiled = eager + backward[1], compiled + backward[0]
            elif rounds < ROUNDS:  # it may still come
                return
        if rounds < ROUNDS and (eager < LONG or CLEAR[0] * eager < compiled < CLEAR[1] * eager):
            return
        self.times = eager, compiled
        self.state = "compiled" if compiled < MARGIN * eager else "eager"


class BackendPath:
    """One way through the function that a backend of the caller's own has taken over."""

    def __init__(self, entry: Any, program: Any) -> None:
        self.entry, self.program = entry, program
        self.state = "compiled"


class Compiled:
    """What ``flambeau.compile`` keeps for one function."""

    def __init__(
        self,
        function: Callable,
        limit: int | None = None,
        fullgraph: bool = False,
        backend: Callable | None = None,
    ) -> None:
        self.function = function
        self.limit = limit
        self.fullgraph = fullgraph
        self.backend = backend  # None: the engine of this house
        self.lock = threading.RLock()
        self.ready: list[Callable] = []  # `call` of the paths that won
        self.clear()
        _all.add(self)

    def clear(self) -> None:
        """Forget everything that was captured."""
        with self.lock:
            self.paths: list[Path] = []
            self.problems: list[str] = []
            self.ready.clear()
            self.left_to_eager = False
            self.lost = 0

    def miss(self, args: tuple, kwargs: dict) -> Any:
        """A call that no winning path has answered."""
        function = self.function
        if self.left_to_eager or _stance == "force_eager" or config.disable or _C._runs_plainly():
            return function(*args, **kwargs)
        for path in list(self.paths):
            if self.backend is not None:
                if path.entry.fits(args, kwargs) and path.program.holds():
                    return path.program.call(args, kwargs)
                continue
            if path.state == "compiled":
                if _stance != "default" and (result := path.entry.call(args, kwargs)) is not NotImplemented:
                    return result
                continue
            if not path.entry.fits(args, kwargs):
                continue
            if path.state == "eager":
                self._count_loss()
                return function(*args, **kwargs)
            if path.state == "waiting":
                state = path.entry.state()
                if state == "waiting" and path.patience:
                    path.patience -= 1
                    return function(*args, **kwargs)
                if state in ("waiting", "dropped"):  # a call without a backward
                    self.paths.remove(path)
                    return self._capture(args, kwargs, now=True)
                if state != "ready":
                    self.paths.remove(path)
                    self._note(state)
                    return function(*args, **kwargs)
                path.state = "trial"
            found, result = self._try(path, args, kwargs)
            if found:
                return result
        return self._capture(args, kwargs)

    def _try(self, path: Path, args: tuple, kwargs: dict) -> tuple[bool, Any]:
        compiled = len(path.compiled) <= len(path.eager)
        start = perf_counter()
        result = path.entry.call(args, kwargs) if compiled else self.function(*args, **kwargs)
        took = perf_counter() - start
        if not compiled:
            result = path.entry.time_backward(args, kwargs, result)
        elif result is NotImplemented:  # a number it depends on is another one
            return False, None
        (path.compiled if compiled else path.eager).append(took)
        with self.lock:
            path.judge()
            if path.state == "compiled" and path.entry.call not in self.ready:
                self.ready.append(path.entry.call)
        return True, result

    def _count_loss(self) -> None:
        # Where eager wins and nothing else was ever faster, even the question costs too much.
        self.lost += 1
        if self.lost > 16 and not self.ready and all(p.state == "eager" for p in self.paths):
            self.left_to_eager = True

    def _capture(self, args: tuple, kwargs: dict, now: bool = False) -> Any:
        limit = config.recompile_limit if self.limit is None else self.limit
        if self.paths and config.error_on_recompile:
            raise RecompileError("a call fits no recording, and config.error_on_recompile is set")
        if len(self.paths) >= limit and config.fail_on_recompile_limit_hit:
            raise FailOnRecompileLimitHit(f"recompile_limit of {limit} reached\n{self.report()}")
        if (
            len(self.paths) >= limit
            or _stance in ("eager_on_recompile", "fail_on_recompile")
            or not self.lock.acquire(False)
        ):
            if _stance == "fail_on_recompile":
                raise RuntimeError("Detected recompile when torch.compile stance is 'fail_on_recompile'.")
            return self.function(*args, **kwargs)
        try:
            if self.backend is not None:
                return self._capture_for_backend(args, kwargs)
            result, entry, problem, branch = capture(self.function, args, kwargs, now)
            if branch and self.fullgraph:
                raise Unsupported(explain_branch(branch))
            if entry is not None:
                self.paths.append(Path(entry))
            elif problem is not None:
                if self.fullgraph and problem.kind is not None:
                    raise Unsupported(problem.explain())
                if self.fullgraph and problem not in self.problems:
                    warnings.warn(
                        f"torch.compile(fullgraph=True): runs eagerly, because {problem}", stacklevel=4
                    )
                self._note(problem)
            return result
        finally:
            self.lock.release()

    def _capture_for_backend(self, args: tuple, kwargs: dict) -> Any:
        result, entry, program, problem = capture_for_backend(self.function, args, kwargs, self.backend)
        if problem is None:
            self.paths.append(BackendPath(entry, program))
        elif self.fullgraph:
            raise Unsupported(
                problem.explain() if problem.kind else f"this call cannot be recorded: {problem}"
            )
        else:
            self._note(problem)
        return result

    def _note(self, problem: Problem | str) -> None:
        self.problems.append(problem)
        self.left_to_eager = len(self.problems) >= ATTEMPTS and not self.paths

    def report(self) -> str:
        """What was captured, what won, and what could not be captured."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        lines = [f"{name}: {len(self.paths)} captured"]
        for number, path in enumerate(self.paths):
            if self.backend is not None:
                lines.append(f"  path {number}: taken over by {self.backend}")
                continue
            if path.state == "waiting":
                lines.append(f"  path {number}: waits for the first backward")
                continue
            operators, steps, fused = path.entry.sizes()
            line = f"  path {number}: {operators} operators in {steps} steps, {fused} of them fused; "
            if path.state == "trial":
                line += "being timed"
            else:
                eager, compiled = path.times
                line += f"{path.state} kept (eager {eager * 1e6:.1f} µs, compiled {compiled * 1e6:.1f} µs)"
            lines.append(line)
        for problem in dict.fromkeys(self.problems):
            place = getattr(problem, "place", None)
            lines.append(f"  not captured: {problem}" + (f" ({place[0]}:{place[1]})" if place else ""))
        if self.left_to_eager:
            lines.append("  left to eager")
        return "\n".join(lines)


def compiled_function(function: Callable, **options: Any) -> Callable:
    """A function that answers from captured paths where they fit."""
    state = Compiled(function, **options)
    ready, miss = state.ready, state.miss

    @functools.wraps(
        function, assigned=[n for n in functools.WRAPPER_ASSIGNMENTS if hasattr(function, n)], updated=()
    )
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for call in ready:
            result = call(args, kwargs)
            if result is not NotImplemented:
                return result
        return miss(args, kwargs)

    wrapper.report = state.report
    wrapper._compiled = state
    wrapper._torchdynamo_orig_callable = function
    return wrapper


def reset() -> None:
    """Forget every captured program of the process."""
    for state in list(_all):
        state.clear()


def set_stance(stance: str) -> str:
    """Change how compiled functions behave; returns the stance before."""
    global _stance
    before, _stance = _stance, stance
    for state in list(_all):
        with state.lock:
            state.ready.clear()
            if stance == "default":
                state.ready.extend(
                    p.entry.call for p in state.paths if p.state == "compiled" and state.backend is None
                )
    return before
