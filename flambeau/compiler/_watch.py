"""The Python state that a captured program depends on: what it was, so that a later call can tell.

A trace sees operators. What Python looked at to choose them (attributes of modules, globals, variables of
enclosing functions, configuration objects) is walked here and watched by identity, in C (``_C._Guards``).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._own_methods import is_ours

_ATOMS = (
    type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice,
    types.CodeType, _C.dtype, _C.device, _C.Size,
)  # fmt: skip
_FUNCTIONS = (types.FunctionType,)
MOST_VALUES = 100_000


class CannotCapture(Exception):
    """Why a call is not captured; never leaves the package."""


def _hooks_of_all_modules() -> list[dict]:
    from flambeau.nn.modules import _call

    return [
        _call.forward_pre_hooks,
        _call.forward_hooks,
        _call.forward_hooks_with_kwargs,
        _call.forward_hooks_always_called,
        _call.backward_pre_hooks,
        _call.backward_hooks,
    ]


class Watch:
    """Collects what to watch, and the tensors that a program can reach through it."""

    def __init__(self) -> None:
        self.guards = _C._Guards()
        self.tensors: list[fb.Tensor] = []
        self.on_tensor: Callable[[fb.Tensor], None] = self.tensors.append
        self._seen: set[int] = set()
        self._classes: set[type] = set()
        self._alive: list[Any] = []  # ids must not be reused

    def values(self, values: Iterable[Any]) -> None:
        """Watch everything that can be reached from these."""
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if isinstance(value, _ATOMS) or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            self._alive.append(value)
            if len(self._seen) > MOST_VALUES:
                raise CannotCapture("it reaches too much Python state to watch")
            waiting.extend(self._look_into(value))

    def arguments(self, value: Any) -> None:
        """Watch what lies behind the arguments of a call: objects, but not containers and tensors, which are
        compared at each call."""
        if isinstance(value, (tuple, list)):
            for item in value:
                self.arguments(item)
        elif isinstance(value, dict):
            for item in value.values():
                self.arguments(item)
        elif not isinstance(value, fb.Tensor):
            self.values([value])

    def _look_into(self, value: Any) -> Iterable[Any]:
        kind = type(value)
        if isinstance(value, fb.Tensor):
            if fb.overrides.has_torch_function((value,)):
                raise CannotCapture(f"it reaches a tensor subclass, {kind.__name__}")
            self.on_tensor(value)
            return ()
        if isinstance(value, dict):
            self.guards.watch_dict(value)
            return list(value.values())
        if isinstance(value, list):
            self.guards.watch_list(value)
            return list(value)
        if isinstance(value, (tuple, frozenset)):
            return list(iter(value))  # a class of tuples may refuse to say its length
        if isinstance(value, _FUNCTIONS):
            return self._function(value)
        if isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            return () if isinstance(value.__self__, types.ModuleType) else (value.__self__,)
        if isinstance(value, types.MethodType):
            return (value.__self__, value.__func__)
        if isinstance(value, functools.partial):
            return (value.func, value.args, value.keywords)
        if isinstance(value, (staticmethod, classmethod)):
            return (value.__func__,)
        if isinstance(value, property):
            return [f for f in (value.fget,) if f is not None]
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, Iterator):
            raise CannotCapture(f"it reaches an iterator ({kind.__name__}), which changes when it is read")
        if str(kind.__module__).startswith("numpy.random"):
            raise CannotCapture(f"it reaches a {kind.__name__} of numpy.random, whose draws are not watched")
        if kind.__name__ == "ndarray":
            raise CannotCapture("it reaches a NumPy array, whose contents are not watched")
        if isinstance(value, types.ModuleType):
            return ()  # its names are watched where code uses them
        if isinstance(value, set):
            self.guards.watch_set(value)
            return list(value)
        state = getattr(value, "__dict__", None)
        found: list[Any] = []
        for base in kind.__mro__[:-1]:
            if vars(base).get("__slots__") and not is_ours(base.__module__):
                raise CannotCapture(f"it reaches a {kind.__name__}, whose __slots__ are not watched")
            found.extend(self._class(base))
        if isinstance(state, dict):
            if isinstance(value, fb.nn.Module):
                self._seen.add(
                    id(state.get("_non_persistent_buffers_set"))
                )  # of interest to state_dict alone
                found.extend(_hooks_of_all_modules())
            self.guards.watch_dict(state)
            found.extend(state.values())
        return found

    def _function(self, function: types.FunctionType) -> Iterable[Any]:
        if is_ours(function.__module__):
            return ()
        found = []
        for cell in function.__closure__ or ():
            self.guards.watch_cell(cell)
            try:
                found.append(cell.cell_contents)
            except ValueError:
                pass  # not assigned yet
        found.extend(function.__defaults__ or ())
        found.extend((function.__kwdefaults__ or {}).values())
        return found

    def _class(self, cls: type) -> Iterable[Any]:
        if cls in self._classes or not cls.__flags__ & (1 << 9):  # types of the interpreter do not change
            return ()
        self._classes.add(cls)
        self.guards.watch_type(cls)
        if is_ours(cls.__module__):
            return ()
        return [v for k, v in vars(cls).items() if not k.startswith("__")]

    def code(self, code: types.CodeType, names: dict[str, Any]) -> None:
        """Watch the globals that a piece of code may read, before it runs."""
        found = []
        for name in code.co_names:
            if name not in names:
                continue
            value = names[name]
            self.guards.watch_item(names, name)
            if isinstance(value, types.ModuleType) and not is_ours(value.__name__):
                inside = vars(value)
                for attribute in code.co_names:
                    if attribute in inside:
                        self.guards.watch_item(inside, attribute)
                        found.append(inside[attribute])
            found.append(value)
        self.values(found)
