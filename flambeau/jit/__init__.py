"""``torch.jit``: programs recorded from Python, saved and run without its source.

``trace`` records the operators of a call. ``script`` returns something that behaves as the Python it was
given, because it runs it: nothing that Python can do is refused before it is saved.
Files are archives of TorchScript: PyTorch reads what ``save`` writes, and ``load`` runs what PyTorch wrote,
scripted
or traced, its program checked word by word before.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Final

import flambeau as fb
from flambeau import _C
from flambeau._own_methods import is_ours
from flambeau.futures import Future

from . import _module
from . import _recursive as _recursive
from . import frontend as frontend
from ._archive import load, save
from ._builtins import Error
from ._builtins import fork as _fork
from ._module import (
    Attribute,
    PythonScriptModule,
    RecursiveScriptModule,
    ScriptFunction,
    ScriptModule,
    TopLevelTracedModule,
    TracedModule,
    last_executed_optimized_graph,
)
from ._program import torch_name
from ._source import Unit
from ._torchscript import LoadedModule, frozen_copy, operators_of
from ._trace import TracerWarning, TracingCheckError, trace, trace_module
from ._trace import trace_graph as _get_trace_graph  # noqa: F401
from .frontend import FunctionModifiers

__all__ = [
    "Attribute", "CompilationUnit", "Error", "Final", "Future", "RecursiveScriptModule", "ScriptFunction",
    "ScriptModule",
    "ScriptWarning", "TopLevelTracedModule", "TracedModule", "TracerWarning", "TracingCheckError",
    "annotate", "enable_onednn_fusion", "export", "export_opnames", "fork", "freeze", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance",
    "last_executed_optimized_graph", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "optimized_execution", "run_frozen_optimizations", "save", "script",
    "script_if_tracing", "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused",
    "wait",
]  # fmt: skip


class ScriptWarning(Warning):
    """Something in scripted code that will not work as written."""


def script(
    obj: Any,
    optimize: None = None,
    _frames_up: int = 0,
    _rcb: Callable | None = None,
    example_inputs: Any = None,
) -> Any:
    """A function or module under the type that scripting gives; it runs its Python.

    ``.code`` is the source. ``save`` puts it into TorchScript's words, and raises where there are none.
    ``.graph``
    raises: a graph comes from :func:`trace`.
    """
    if builtins.isinstance(obj, (ScriptModule, ScriptFunction)):
        return obj
    if builtins.isinstance(obj, fb.nn.Module):
        for part in obj.modules():
            forward = type(part).forward  # a class of the program may have it from one of the library's
            _check(forward, getattr(forward, "__module__", None))
        return PythonScriptModule(obj)
    if builtins.isinstance(obj, (list, dict)):
        return obj  # scripted containers are Python's own here
    if inspect.isclass(obj):
        if not is_ours(obj.__module__):
            obj._torchscript_class = True  # its objects may be attributes of modules
        return obj
    if inspect.isroutine(obj) or builtins.isinstance(obj, functools.partial):
        _check(obj, getattr(obj, "__module__", None))
        return ScriptFunction(getattr(obj, "__name__", "forward"), original=obj)
    raise TypeError(f"{type(obj)} is a built-in class\ntorch.jit.script takes functions, classes and modules")


def _check(function: Callable, module: str | None) -> None:
    """Refuse code of a program that is no script; the library's own and what is left to Python is not looked
    at."""
    modifier = getattr(function, "_torchscript_modifier", None)
    left = modifier in (FunctionModifiers.IGNORE, FunctionModifiers.UNUSED, FunctionModifiers._DROP)
    if inspect.isfunction(function) and not left and not is_ours(module):
        frontend.check(function)


def freeze(
    mod: ScriptModule, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True
) -> ScriptModule:
    """A module in eval mode whose parameters and buffers have become constants of its program."""
    if not builtins.isinstance(mod, ScriptModule):
        raise RuntimeError(
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to "
            "script your 'nn.Module'."
        )
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your "
            "module before freezing."
        )
    if builtins.isinstance(mod, LoadedModule):
        return frozen_copy(mod, preserved_attrs)
    if builtins.isinstance(mod, PythonScriptModule):
        return frozen_copy(_module.archives["written"](mod), preserved_attrs)
    if not mod._programs:
        raise NotImplementedError("torch.jit.freeze: this module has neither a program nor a source")
    from ._program import TracedProgram

    frozen = RecursiveScriptModule()
    frozen.__dict__["original_name"] = mod.original_name
    frozen.__dict__["training"] = False
    for method, p in mod._programs.items():
        values = [p.constants[n] if n in p.constants else mod._find(n).detach().clone() for n in p.held]
        names = [f"CONSTANTS.c{k}" for k in range(len(values))]
        d = {**p.describe(), "held": names}
        frozen._programs[method] = TracedProgram(constants=dict(zip(names, values)), **d)
    for name in preserved_attrs or ():
        frozen.__dict__[name] = getattr(mod, name)
    return frozen


class CompilationUnit:
    """Functions of a TorchScript text: attributes by their names.

    Raises
    ------
    RuntimeError
        If the text says what no program may, or names what is not there.
    """

    def __init__(self, lang: str | None = None, _frames_up: int = 0) -> None:
        self.drop_all_functions()
        if lang is not None:
            self.define(lang)

    def define(self, lang: str, rcb: Callable | None = None, _frames_up: int = 0) -> None:
        """Add the functions of a text."""
        self._unit.define(textwrap.dedent(lang))
        self._unit.finish()

    def __getattr__(self, attr: str) -> Any:
        function = self.__dict__["_unit"].functions.get(attr) if "_unit" in self.__dict__ else None
        if function is None:
            raise AttributeError(f"'CompilationUnit' has no attribute '{attr}'")
        return self._made.setdefault(attr, ScriptFunction(attr, function=function))

    def drop_all_functions(self) -> None:
        """Forget all functions."""
        self._unit = Unit()
        self._made: dict[str, ScriptFunction] = {}

    def create_function(self, qualified_name: str, graph: Any, shouldMangle: bool = False) -> Any:
        """Raise: there are no graphs of TorchScript here."""
        raise NotImplementedError("torch.jit.CompilationUnit.create_function: flambeau has no such graphs")

    def find_function(self, name: str) -> ScriptFunction | None:
        """A function by its name, None where there is none."""
        return getattr(self, name.rpartition(".")[2], None)

    def get_functions(self) -> list[ScriptFunction]:
        """All functions."""
        return [getattr(self, name) for name in self._unit.functions]


def optimize_for_inference(mod: ScriptModule, other_methods: list[str] | None = None) -> ScriptModule:
    """The frozen module: freezing is all that is done to it, fusing is done by ``flambeau.compile``."""
    if not builtins.isinstance(mod, ScriptModule):
        raise RuntimeError(
            "optimize_for_inference expects a ScriptModule as input. Please use torch.jit.script or "
            "torch.jit.trace to script your 'nn.Module'."
        )
    return freeze(mod.eval()) if any(True for _ in mod.parameters()) else mod


def run_frozen_optimizations(
    mod: ScriptModule, optimize_numerics: bool = True, preserved_methods: list[str] | None = None
) -> None:
    """Optimizations of a frozen module in place: there are none beyond freezing."""
    if not builtins.isinstance(mod, ScriptModule):
        raise RuntimeError("run_frozen_optimizations expects a frozen ScriptModule")


def script_if_tracing(fn: Callable) -> Callable:
    """``fn``: its operators are recorded wherever it is called."""
    return fn


_script_if_tracing = script_if_tracing


def _overload(fn: Callable) -> Callable:
    """Marks one of several signatures of a function; the last definition is the one that runs."""
    return fn


_overload_method = _overload


def export(fn: Callable) -> Callable:
    """Marks a method that is written to files beside the forward; in the process all methods are there."""
    fn._torchscript_modifier = "export"
    return fn


def script_method(fn: Callable) -> Callable:
    """Marks a method of a class derived from ScriptModule: it runs its Python."""
    return fn


def ignore(drop: bool | Callable = False, **kwargs: Any) -> Callable:
    """Marks a function that scripting leaves to Python: it leaves all."""
    if callable(drop):
        drop._torchscript_modifier = FunctionModifiers.IGNORE
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    modifier = FunctionModifiers.UNUSED if drop else FunctionModifiers.IGNORE

    def mark(fn: Callable) -> Callable:
        fn._torchscript_modifier = modifier
        return fn

    return mark


def unused(fn: Callable) -> Callable:
    """Marks a method that raises in PyTorch's scripted modules; here it keeps working."""
    if builtins.isinstance(fn, property):
        for part in filter(None, (fn.fget, fn.fset)):
            part._torchscript_modifier = FunctionModifiers.UNUSED
        return fn
    fn._torchscript_modifier = FunctionModifiers.UNUSED
    return fn


def interface(obj: type) -> type:
    """A class as an interface: Python needs no declaration."""
    if not inspect.isclass(obj):
        raise RuntimeError("interface must be applied to a class")
    obj._torchscript_interface = True
    return obj


def annotate(the_type: Any, the_value: Any) -> Any:
    """``the_value``."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, containers looked into: ``List[int]``, ``Dict[str, Tensor]``."""
    from typing import Union, get_args, get_origin

    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, t) for t in target_type)
    origin, parts = get_origin(target_type), get_args(target_type)
    if origin is None:
        return obj is None if target_type in (None, type(None)) else builtins.isinstance(obj, target_type)
    if origin is Union:
        return any(isinstance(obj, t) for t in parts)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is list:
        return all(isinstance(o, parts[0]) for o in obj)
    if origin is dict:
        return all(isinstance(k, parts[0]) and isinstance(v, parts[1]) for k, v in obj.items())
    if origin is tuple:
        return len(obj) == len(parts) and all(isinstance(o, t) for o, t in zip(obj, parts))
    return True


def _unwrap_optional(x: Any) -> Any:
    """``x``, which is not None.

    Raises
    ------
    AssertionError
        If it is.
    """
    assert x is not None, "Unwrapping null optional"
    return x


def is_scripting() -> bool:
    """Whether this is TorchScript: scripted code runs as Python, so never."""
    return False


def is_tracing() -> bool:
    """Whether this call is being recorded."""
    return _C._is_tracing()


def fork(func: Callable, *args: Any, **kwargs: Any) -> Future:
    """A future of ``func(*args, **kwargs)``; it is called at once, as PyTorch does outside TorchScript."""
    return _fork(func, *args, **kwargs)


def wait(future: Future) -> Any:
    """The value of a future."""
    return future.wait()


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """How often traced programs specialise: they always follow the sizes given, so no strategy can be set."""
    if strategy != [("STATIC", 0), ("DYNAMIC", 0)] and any(
        kind not in ("STATIC", "DYNAMIC") for kind, _ in strategy
    ):
        raise RuntimeError("FusionBehavior only supported 'STATIC' or 'DYNAMIC', got: " + str(strategy[0][0]))
    return [("STATIC", 0), ("DYNAMIC", 0)]


def onednn_fusion_enabled() -> bool:
    """Whether oneDNN fuses traced programs: flambeau's own engine does that, so False."""
    return False


def enable_onednn_fusion(enabled: bool) -> None:
    """Turns oneDNN's fusion of traced programs on, which does not exist here."""
    if enabled:
        raise NotImplementedError("torch.jit.enable_onednn_fusion: traced programs are not fused by oneDNN")


class _Within:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


class strict_fusion(_Within):
    """Marks code that PyTorch must fuse whole; here there is nothing to check."""


class optimized_execution(_Within):
    """Marks code that PyTorch runs with or without its optimizations; a traced program runs as recorded."""

    def __init__(self, should_optimize: bool) -> None:
        self.should_optimize = should_optimize


def export_opnames(m: ScriptModule) -> list[str]:
    """The operators of a traced module."""
    if builtins.isinstance(m, LoadedModule):
        return operators_of(m)
    names = {step[0] for program in m._programs.values() for step in program.steps}
    return sorted(map(torch_name, names))


# the module's name was that of `__future__` until here, and it shows `Future`
importlib.import_module(".annotations", __name__)
