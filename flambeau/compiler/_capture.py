"""One call recorded: operators by the core, the Python code they came from by the profile hook."""

from __future__ import annotations

import re
import sys
import types
from collections import OrderedDict, defaultdict
from typing import Any

from flambeau import _C

from ._watch import CannotCapture, Watch, is_library

_NEVER = frozenset("print input open exec eval compile breakpoint globals locals __import__".split())
_PURE_MODULES = frozenset(
    "builtins math cmath operator _operator itertools _functools _collections _abc _typing _warnings".split()
)
_PURE_TYPES = (
    list, dict, tuple, str, bytes, set, frozenset, int, float, complex, bool, range, slice, property,
    OrderedDict, defaultdict, types.MappingProxyType, types.GeneratorType, types.CellType, types.FunctionType,
    type(None), type({}.keys()), type({}.values()), type({}.items()), re.Pattern, re.Match,
)  # fmt: skip


def _forbidden(function: Any, strict: bool) -> str | None:
    """Why a C function may not be called in a captured program; None when it may."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "?")
    if isinstance(owner, types.ModuleType) or owner is None:
        home = owner.__name__ if owner is not None else getattr(function, "__module__", None) or "?"
        if home in ("builtins", "io", "_io") and name in _NEVER:
            return f"it calls {name}()"
        if not strict or home in _PURE_MODULES or is_library(home):
            return None
        return f"it calls {home}.{name}()"
    kind = owner if isinstance(owner, type) else type(owner)
    if kind is _C.Generator and name not in ("get_state", "initial_seed"):
        return f"it calls {name}() of a random generator"
    if not strict or issubclass(kind, _PURE_TYPES) or is_library(kind.__module__) or kind in (object, type):
        return None
    if issubclass(kind, (_C.Tensor, _C.ModuleBase)) or (isinstance(owner, type) and name == "__new__"):
        return None
    return f"it calls {kind.__name__}.{name}()"


class Observer:
    """Profile hook: watches the globals of functions before they first run, refuses C code with effects."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.problem: str | None = None
        self._known: dict[types.CodeType, bool] = {}  # code -> is it library code?

    def __call__(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if self.problem is not None or event not in ("call", "c_call"):
            return
        code = frame.f_code
        library = self._known.get(code)
        if library is None:
            name = frame.f_globals.get("__name__")
            library = is_library(name) or code.co_filename.startswith("<frozen ")
            self._known[code] = library
            if not library:
                try:
                    self.watch.code(code, frame.f_globals)
                except CannotCapture as why:
                    self.problem = str(why)
                    return
        if event == "c_call" and not code.co_filename.startswith("<frozen "):
            self.problem = _forbidden(arg, strict=not library)


def capture(function: Any, args: tuple, kwargs: dict, now: bool = False) -> tuple[Any, Any, str | None]:
    """Call ``function`` and record it.

    Where a backward belongs to the call, the caller's own is recorded when it runs, and ``entry.state()`` tells
    that it did; with ``now`` one is run for that purpose.

    Returns
    -------
    tuple
        The result, the entry (``_C._Entry``) or None, and why there is none.
    """
    watch = Watch()
    try:
        watch.values([function])
        watch.arguments((args, kwargs))
        entry = _C._Entry(args, kwargs, watch.guards)
    except (CannotCapture, NotImplementedError) as why:
        return function(*args, **kwargs), None, str(why)
    observer = Observer(watch)
    entry.start(watch.tensors)
    watch.on_tensor = entry.know
    before = sys.getprofile()
    sys.setprofile(observer)
    try:
        result = function(*args, **kwargs)
    except BaseException:
        sys.setprofile(before)
        entry.stop()
        entry.give_up()
        raise
    sys.setprofile(before)
    entry.stop()
    problem = observer.problem
    if problem is None and (changed := watch.guards.changed()) is not None:
        problem = f"it changed Python state: {changed}"
    if problem is None:
        try:
            result, problem = entry.finish(result, now)
        except Exception as why:  # the user meets it in his own backward
            problem = f"{type(why).__name__} while its backward was recorded: {why}".splitlines()[0]
    if problem is not None:
        entry.give_up()
        return result, None, problem
    return result, entry, None
