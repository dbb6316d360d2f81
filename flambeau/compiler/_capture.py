"""One call recorded: operators by the core, the Python code they came from by the profile hook."""

from __future__ import annotations

import gc
import pickle
import re
import sys
import threading
import types
from collections import OrderedDict, defaultdict
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._library.overload import CustomOverload
from flambeau._own_methods import is_ours

from ._problem import Place, Problem
from ._watch import CannotCapture, Watch

_NEVER = frozenset("print input open exec eval compile breakpoint globals locals __import__".split())
_PURE_MODULES = frozenset(
    "builtins math cmath operator _operator itertools _functools _collections _abc _typing _warnings".split()
)
_PURE_TYPES = (
    list, dict, tuple, str, bytes, set, frozenset, int, float, complex, bool, range, slice, property,
    OrderedDict, defaultdict, types.MappingProxyType, types.GeneratorType, types.CellType, types.FunctionType,
    type(None), type({}.keys()), type({}.values()), type({}.items()), re.Pattern, re.Match,
)  # fmt: skip
_KERNELS = CustomOverload._run.__code__  # whatever is called from it

_DISABLED = "Skip calling `torch.compiler.disable()`d function"
_BUILTIN = "Failed to trace builtin operator"
_FOREIGN = "Attempted to call function marked as skipped"
_BREAK = "Call to `torch._dynamo.graph_break()`"


def _place(frame: types.FrameType | None) -> Place | None:
    """The first line outside the library, from ``frame`` outwards."""
    while frame is not None and _is_internal(frame):
        frame = frame.f_back
    return frame and (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _importing(frame: types.FrameType | None) -> bool:
    """Whether a module is being imported: that happens once, whoever asks first."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _is_internal(frame: types.FrameType) -> bool:
    return is_ours(frame.f_globals.get("__name__")) or frame.f_code.co_filename.startswith("<frozen ")


class _Places(threading.local):
    """Where this thread's recording first failed, and first decided by a value."""

    failure: Place | None = None
    branch: Place | None = None


_places = _Places()


def _note(event: str) -> None:
    frame = sys._getframe(1)
    if event == "failure":
        _places.failure = _places.failure or _place(frame)
    elif not _is_internal(frame):
        _places.branch = _places.branch or _place(frame)


_C._on_trace_event(_note)


def _explained(problem: str) -> Problem:
    """A problem that the tracer met."""
    if isinstance(problem, Problem):
        return problem
    kind = None
    if "torch.compiler.disable" in problem:
        kind = _DISABLED
    elif "torch._dynamo.graph_break" in problem:
        kind = _BREAK
    return Problem(problem, kind, _places.failure)


def _forbidden(function: Any, strict: bool) -> str | None:
    """Why a C function may not be called in a captured program; None when it may."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "?")
    if isinstance(owner, types.ModuleType) or owner is None:
        home = owner.__name__ if owner is not None else getattr(function, "__module__", None) or "?"
        if home in ("builtins", "io", "_io") and name in _NEVER:
            return f"it calls {name}()"
        if not strict or home in _PURE_MODULES or is_ours(home):
            return None
        return f"it calls {home}.{name}()"
    kind = owner if isinstance(owner, type) else type(owner)
    if kind is _C.Generator and name not in ("get_state", "initial_seed"):
        return f"it calls {name}() of a random generator"
    if not strict or issubclass(kind, _PURE_TYPES) or is_ours(kind.__module__) or kind in (object, type):
        return None
    if issubclass(kind, (_C.Tensor, _C.ModuleBase)) or (isinstance(owner, type) and name == "__new__"):
        return None
    return f"it calls {kind.__name__}.{name}()"


def _numpy_stream() -> bytes | None:
    """Where NumPy's global random stream is: the profile hook does not see that its functions are called."""
    module = sys.modules.get("numpy.random")
    return module and pickle.dumps(module.get_state(legacy=False))


class Observer:
    """Profile hook: watches the globals of functions before they first run, refuses C code with effects.

    Kernels of custom operators are not looked into: the program calls them again.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.problem: Problem | None = None
        self.numpy_stream = _numpy_stream()
        self._known: dict[types.CodeType, bool] = {}  # code -> is it library code?
        self._kernel: types.FrameType | None = None  # that runs

    def __call__(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if self._kernel is not None:
            if event == "return" and frame is self._kernel:
                self._kernel = None
            return
        if self.problem is not None or event not in ("call", "c_call"):
            return
        code = frame.f_code
        if code is _KERNELS and event == "call":
            self._kernel = frame
            return
        library = self._known.get(code)
        if library is None:
            name = frame.f_globals.get("__name__")
            library = is_ours(name) or code.co_filename.startswith("<frozen ")
            self._known[code] = library
            if not library:
                try:
                    self.watch.code(code, frame.f_globals)
                except CannotCapture as why:
                    if _importing(frame):
                        return
                    self.problem = Problem(str(why), None, _place(frame))
                    return
        if event == "c_call" and not code.co_filename.startswith("<frozen "):
            why = _forbidden(arg, strict=not library)
            if why is not None and not _importing(frame):
                builtin = getattr(arg, "__module__", None) == "builtins"
                self.problem = Problem(why, _BUILTIN if builtin else _FOREIGN, _place(frame))


def _watched(function: Any, args: tuple, kwargs: dict) -> tuple[Watch, Any]:
    """What watches a call's Python state, and the entry that tells whether another call is like it."""
    watch = Watch()
    _places.failure = _places.branch = None
    watch.values([function])
    watch.arguments((args, kwargs))
    return watch, _C._Entry(args, kwargs, watch.guards)


def _observed(observer: Observer, function: Any, args: tuple, kwargs: dict) -> Any:
    """Call ``function`` under the profile hook."""
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # finalizers and callbacks of the collector are no part of the program
    sys.setprofile(observer)
    try:
        return function(*args, **kwargs)
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


def _effect(observer: Observer) -> Problem | None:
    """What the observed call did that a recording would not repeat."""
    if observer.problem is None and (changed := observer.watch.guards.changed()) is not None:
        return Problem(f"it changed Python state: {changed}")
    if observer.problem is None and observer.numpy_stream not in (None, _numpy_stream()):
        return Problem("it draws from numpy.random", _FOREIGN)
    return observer.problem


def capture_for_backend(
    function: Any, args: tuple, kwargs: dict, backend: Any
) -> tuple[Any, Any, Any, Problem | None]:
    """Call ``function``, write it down as a graph of ``torch.fx`` and give that to ``backend``.

    Returns
    -------
    tuple
        The result, the entry that tells which calls fit, the ``BackendProgram``, or why there is none.
    """
    from ._backend import BackendProgram, GraphWriter

    try:
        watch, entry = _watched(function, args, kwargs)
    except (CannotCapture, NotImplementedError) as why:
        return function(*args, **kwargs), None, None, Problem(str(why))
    observer = Observer(watch)
    writer = GraphWriter(function, args, kwargs)
    random = fb.get_rng_state()
    entry.start(watch.tensors)  # tells of numbers that are read
    watch.on_tensor = entry.know
    try:
        with writer:
            result = _observed(observer, function, args, kwargs)
    finally:
        entry.stop()
        entry.give_up()
    problem = _effect(observer)
    if problem is None and _places.branch is not None:
        problem = Problem(
            "the value of a tensor decides what runs", "Data-dependent branching", _places.branch
        )
    if problem is None:
        writer.write()
        problem = writer.problem
    if problem is not None:
        return result, None, None, problem
    program = BackendProgram(writer, function, backend, result)
    if not writer.has_effects and random.equal(fb.get_rng_state()):
        result = program.call(args, kwargs)  # what ran to be written down is as if it had not run
    return result, entry, program, None


def capture(
    function: Any, args: tuple, kwargs: dict, now: bool = False
) -> tuple[Any, Any, Problem | None, Place | None]:
    """Call ``function`` and record it.

    Where a backward belongs to the call, the caller's own is recorded when it runs, and ``entry.state()``
    tells that it did; with ``now`` one is run for that purpose.

    Returns
    -------
    tuple
        The result, the entry (``_C._Entry``) or None, why there is none, and the line that decided something
        by a value of a tensor, if there is one.
    """
    try:
        watch, entry = _watched(function, args, kwargs)
    except (CannotCapture, NotImplementedError) as why:
        return function(*args, **kwargs), None, Problem(str(why)), None
    observer = Observer(watch)
    entry.start(watch.tensors)
    watch.on_tensor = entry.know
    finished = False
    try:
        result = _observed(observer, function, args, kwargs)
        finished = True
    finally:
        entry.stop()
        if not finished:
            entry.give_up()
    problem = _effect(observer)
    if problem is None:
        try:
            result, problem = entry.finish(result, now)
        except Exception as why:  # the user meets it in his own backward
            problem = f"{type(why).__name__} while its backward was recorded: {why}".splitlines()[0]
    if problem is not None:
        entry.give_up()
        return result, None, _explained(problem), _places.branch
    return result, entry, None, _places.branch
