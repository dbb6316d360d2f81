"""Modules and functions of ``torch.jit``: traced programs, and scripted ones, which run their Python."""

from __future__ import annotations

import ast
import inspect
import io
import math
import textwrap
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as fb
from flambeau._annotations import signature_of

from ._builtins import Error
from ._graph import graph_of
from ._program import TracedProgram, last_run
from ._source import Function

if typing.TYPE_CHECKING:
    from flambeau._schema import FunctionSchema

_TYPING = ("Any", "Dict", "List", "NamedTuple", "Optional", "Tuple", "Union")  # what programs name bare


# what writes and reads programs, by name; `_archive`, which knows the classes of this file, puts it here
archives: dict[str, Callable[..., Any]] = {}


def source_of(function: Callable) -> str:
    """The source of a function without comments, or a line that says why there is none."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function)))) + "\n"
    except (OSError, TypeError, SyntaxError):
        return f"# the source of {getattr(function, '__qualname__', function)} is not at hand\n"


def no_graph(what: str) -> NotImplementedError:
    """The error for what only a traced program has."""
    return NotImplementedError(
        f"{what}: a scripted program runs its Python and has no graph; torch.jit.trace makes one"
    )


class GraphExecutorState(NamedTuple):
    """What is kept for running a traced program."""

    graph: str
    execution_plans: dict[tuple, Any]  # graphs, by what sizes of the inputs differ from those traced
    fallback: None = None


class ConstMap:
    """Constants of a program, as attributes by their names."""

    def __init__(self, const_mapping: dict[str, Any]) -> None:
        self.const_mapping = const_mapping

    def __getattr__(self, attr: str) -> Any:
        try:
            return self.__dict__["const_mapping"][attr]
        except KeyError:
            raise AttributeError(f"the program has no constant {attr!r}") from None


def _graph_for(runs: Any, args: tuple, kwargs: dict) -> str:
    runs(*args, **kwargs)
    return last_executed_optimized_graph()


def _debug_state(program: TracedProgram | None) -> GraphExecutorState:
    if program is None:
        raise no_graph("get_debug_state")
    return GraphExecutorState(program.text(), dict(program._graphs))


def last_executed_optimized_graph() -> str:
    """The graph that this thread ran last.

    Raises
    ------
    RuntimeError : it ran none yet.
    """
    program = last_run()
    if program is None:
        raise RuntimeError("no graph has been run by this thread\nscripted programs run their Python")
    return program.text()


def _as_a_program(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    """A call of a scripted function; what a program would refuse or assert is raised as a program does."""
    try:
        return function(*args, **kwargs)
    except AssertionError as error:
        raise Error(f"AssertionError: {error}") from error
    except TypeError:
        try:
            signature_of(function).bind(*args, **kwargs)
        except TypeError as unfit:
            raise RuntimeError(f"{name}(): {unfit}") from None
        except ValueError:  # no signature to be had
            pass
        raise


class ScriptFunction:
    """A function that was traced (it runs its program), scripted (it runs its Python) or compiled from a
    text."""

    def __init__(
        self,
        name: str,
        *,
        program: TracedProgram | None = None,
        original: Callable | None = None,
        function: Function | None = None,
    ) -> None:
        self._name = name
        self._program = program
        if function is not None:
            self._original = function
            self._source = function.source + "\n"
        if original is not None:
            self._original = original
            self._source = source_of(original)  # the file may be gone later
            self.__doc__ = original.__doc__
            self.__wrapped__ = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._program is None:
            return _as_a_program(self._name, self._original, args, kwargs)
        return self._program.run([args, kwargs], {}.__getitem__)

    @property
    def code(self) -> str:
        """The program written like Python; of a scripted function its source."""
        return self._source if self._program is None else self._program.code()

    @property
    def graph(self) -> str:
        """The program, one operator a line."""
        if self._program is None:
            raise no_graph("ScriptFunction.graph")
        return graph_of(self._program)

    inlined_graph = graph

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def qualified_name(self) -> str:
        """Its name among those of programs."""
        return f"__torch__.{self._name}"

    @property
    def schema(self) -> FunctionSchema:
        """What it takes and gives.

        Raises
        ------
        RuntimeError : the source of a scripted function says what TorchScript has no words for.
        """
        from flambeau._schema import parse

        if self._program is not None:
            return parse(f"{self._name}{self._program.declaration()}")
        function = self._original
        if not isinstance(function, Function):
            function = type(archives["written_function"](function))._script_class.methods["forward"]
        arguments = ", ".join(a.declared() for a in function.arguments if a.name != "self")
        return parse(f"{self._name}({arguments}) -> {function._returns()}")

    def graph_for(self, *args: Any, **kwargs: Any) -> str:
        """The graph that runs for these arguments; it is run with them."""
        if self._program is None:
            raise no_graph("ScriptFunction.graph_for")
        return _graph_for(self, args, kwargs)

    def get_debug_state(self) -> GraphExecutorState:
        """What is kept for running a traced function."""
        return _debug_state(self._program)

    def save(self, filename: Any, _extra_files: dict | None = None) -> None:
        """Write the program to a file.

        Parameters
        ----------
        filename : a path or a file open for writing.
        _extra_files : texts or bytes that go along, by their names.
        """
        archives["save_function"](self, filename, _extra_files)

    def save_to_buffer(self, _extra_files: dict | None = None) -> bytes:
        """The bytes of :meth:`save`."""
        buffer = io.BytesIO()
        self.save(buffer, _extra_files)
        return buffer.getvalue()


class Attribute(NamedTuple):
    """A value with its type: scripted modules take the value."""

    value: Any
    type: Any


class ScriptModule(fb.nn.Module):
    """Base of modules whose methods are programs: parameters and buffers of a module, without its Python."""

    _programs: dict[str, TracedProgram]

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_programs"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Attribute):
            self.__dict__.setdefault("_attribute_types", {})[name] = value.type
            value = value.value
        super().__setattr__(name, value)

    @property
    def original_name(self) -> str:
        """The name of the class that the module was made from."""
        return self.__dict__.get("original_name") or type(self).__name__

    def extra_repr(self) -> str:
        """The name of the class that the module was made from."""
        return f"original_name={self.original_name}"

    def _find(self, path: str) -> fb.Tensor:
        owner, _, name = path.rpartition(".")
        return getattr(self.get_submodule(owner), name)

    def _run(self, method: str, args: tuple, kwargs: dict) -> Any:
        program = self._programs.get(method)
        if program is None:
            raise NotImplementedError(
                f"{self.original_name}.{method} was not traced: only the outermost module was called"
            )
        return program.run([args, kwargs], self._find)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the traced forward."""
        return self._run("forward", args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_programs", ()):
            return lambda *args, **kwargs: self._run(name, args, kwargs)
        return super().__getattr__(name)

    @property
    def code(self) -> str:
        """The forward written like Python."""
        return self._program("code").code()

    @property
    def graph(self) -> str:
        """The forward, one operator a line."""
        return graph_of(self._program("graph"))

    inlined_graph = graph

    @property
    def code_with_constants(self) -> tuple[str, ConstMap]:
        """The forward written like Python, and the constants that it calls ``CONSTANTS``."""
        return self.code, ConstMap(self._constants())

    def _constants(self) -> dict[str, Any]:
        program = self._programs.get("forward")
        return {} if program is None else {n.partition(".")[2]: v for n, v in program.constants.items()}

    def graph_for(self, *args: Any, **kwargs: Any) -> str:
        """The graph of the forward that runs for these arguments; it is run with them."""
        self._program("graph_for")
        return _graph_for(self, args, kwargs)

    def get_debug_state(self, *args: Any, **kwargs: Any) -> GraphExecutorState:
        """What is kept for running a traced forward."""
        return _debug_state(self._program("get_debug_state"))

    def forward_magic_method(self, method_name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method like ``__len__`` where the module has one.

        Raises
        ------
        NotImplementedError : it has none.
        """
        method = getattr(type(self), method_name, None) or self.__dict__.get(method_name)
        if method is None or method is getattr(ScriptModule, method_name, None):
            raise NotImplementedError
        return getattr(self, method_name)(*args, **kwargs)

    def define(self, src: str) -> None:
        """Add methods to this module.

        They run as Python and see ``torch`` and the types of annotations. `save` refuses the module then.

        Parameters
        ----------
        src : the text of the methods; indented texts are taken as they stand in a class.

        Raises
        ------
        RuntimeError : it is no text of functions.
        """
        try:
            tree = ast.parse(textwrap.dedent(src))
        except SyntaxError as error:
            raise RuntimeError(
                f'{error.msg} here:\n  File "<string>", line {error.lineno}\n{error.text or ""}'
            ) from None
        if not tree.body or not all(isinstance(node, ast.FunctionDef) for node in tree.body):
            raise RuntimeError("ScriptModule.define: the text has to be one of functions")
        space: dict[str, Any] = {"torch": fb, "Tensor": fb.Tensor, "math": math, "warnings": warnings}
        space.update((name, getattr(typing, name)) for name in _TYPING)
        exec(compile(tree, "<string>", "exec", dont_inherit=True), space)
        for node in tree.body:
            self.__dict__[node.name] = types.MethodType(space[node.name], self)
            self.__dict__.setdefault("_defined", []).append(node.name)

    def _check_saves(self) -> None:
        if defined := self.__dict__.get("_defined"):
            raise NotImplementedError(
                f"{self.original_name}: methods added by define are not written to files: "
                + ", ".join(defined)
            )

    def _program(self, what: str) -> TracedProgram:
        if "forward" not in self._programs:
            raise no_graph(f"{type(self).__name__}.{what}")
        return self._programs["forward"]

    def save(self, f: Any, **kwargs: Any) -> None:
        """Write the module to a file that :func:`flambeau.jit.load` reads.

        Parameters
        ----------
        f : a path or a file open for writing.
        _extra_files : texts or bytes that go along, by their names.
        """
        self._check_saves()
        self._save(f, **kwargs)

    def _save(self, f: Any, _extra_files: dict | None = None) -> None:
        archives["save_module"](self, f, _extra_files)

    def save_to_buffer(self, *args: Any, **kwargs: Any) -> bytes:
        """The bytes of :meth:`save`."""
        buffer = io.BytesIO()
        self._check_saves()
        self._save(buffer, *args, **kwargs)
        return buffer.getvalue()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return archives["from_bytes"], (self.save_to_buffer(),)

    def __reduce_package__(self, exporter: Any) -> Any:
        raise NotImplementedError(
            "flambeau.package cannot hold script modules: torch.jit.save writes them to a file of their own, "
            "which PackageExporter.save_binary takes"
        )

    def __copy__(self) -> Any:
        return self._rebuilt()

    def _rebuilt(self) -> Any:
        return archives["from_bytes"](self.save_to_buffer())


def take_over(made: ScriptModule, original: fb.nn.Module, kind: type) -> None:
    """Give ``made`` the parameters, buffers and children of ``original``; the tensors are shared."""
    state = made.__dict__
    state["original_name"] = original.__dict__.get("original_name", type(original).__name__)
    state["training"] = original.training
    state["_parameters"] = original._parameters
    state["_buffers"] = original._buffers
    state["_non_persistent_buffers_set"] = original._non_persistent_buffers_set
    for name, child in original._modules.items():
        if child is None:
            made._modules[name] = None
            continue
        inner = kind.__new__(kind)
        ScriptModule.__init__(inner)
        take_over(inner, child, kind)
        made._modules[name] = inner


class TracedModule(ScriptModule):
    """A part of a traced module."""

    def _get_name(self) -> str:
        return self.original_name


class TopLevelTracedModule(TracedModule):
    """A traced module: its methods are programs."""

    def __init__(self, original: fb.nn.Module, programs: dict[str, TracedProgram]) -> None:
        super().__init__()
        take_over(self, original, TracedModule)
        self._programs.update(programs)


class RecursiveScriptModule(ScriptModule):
    """A module that was scripted, loaded or frozen."""


class PythonScriptModule(RecursiveScriptModule):
    """A scripted module: runs the methods of the module it was made from."""

    def __init__(self, original: fb.nn.Module) -> None:
        super().__init__()
        take_over(self, original, RecursiveScriptModule)
        self.__dict__["_original"] = original

    def _get_name(self) -> str:
        return "RecursiveScriptModule"

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the original's forward."""
        return _as_a_program("forward", self.__dict__["_original"].forward, args, kwargs)

    def train(self, mode: bool = True) -> PythonScriptModule:
        """Set training mode here and in the original."""
        self.__dict__["_original"].train(mode)
        return super().train(mode)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            original = self.__dict__.get("_original")
            if original is None or name.startswith("__"):
                raise
            return getattr(original, name)

    @property
    def code(self) -> str:
        """The source of the forward."""
        return source_of(type(self.__dict__["_original"]).forward)

    @property
    def graph(self) -> str:
        """Not there: it runs its Python."""
        raise no_graph("RecursiveScriptModule.graph")

    inlined_graph = graph

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return PythonScriptModule, (self.__dict__["_original"],)
