"""Tracing: a function or module runs on examples, and its operators become a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._annotations import signature_of
from flambeau.compiler._watch import CannotCapture, Watch

from ._graph import graph_of
from ._module import ScriptFunction, TopLevelTracedModule
from ._program import TracedProgram, put_together, take_apart


class TracerWarning(Warning):
    """A value became a constant of a traced program."""


class TracingCheckError(Exception):
    """A traced program gave other numbers than the function it was made from."""

    def __init__(
        self, graph_diff_error: str | None, tensor_compare_error: str | None, extra_msg: str | None = None
    ) -> None:
        self.message = "Tracing failed sanity checks!\n" + "\n".join(
            m for m in (extra_msg, graph_diff_error, tensor_compare_error) if m
        )
        super().__init__(self.message)


def _record(
    function: Callable, leaves: list, call: Callable[[list], Any], reachable: list
) -> tuple[Any, Any, str | None]:
    """(graph, structure of the result, what became a constant) of one run on these tensors."""
    graph = _C._Graph()
    graph.start(leaves, reachable)
    try:
        result = call(leaves)
    finally:
        graph.stop()
    outputs: list[fb.Tensor] = []
    structure = take_apart(result, outputs)
    problem, baked = graph.finish(outputs)
    if problem is not None:
        raise NotImplementedError(f"torch.jit.trace: {problem}")
    return graph, structure, baked


def _same_numbers(a: list, b: list, allowed: bool) -> list[list[int]] | None:
    """Where recordings of the same operators differ in whole numbers: (step, argument, place, difference)."""
    if len(a) != len(b):
        return None
    found = []
    for k, (x, y) in enumerate(zip(a, b)):
        if x[0] != y[0] or x[2:] != y[2:] or len(x[1]) != len(y[1]):
            return None
        for n, ((kind, v), (other, w)) in enumerate(zip(x[1], y[1])):
            if kind != other:
                return None
            if v == w:
                continue
            if kind == "int" and allowed:
                found.append([k, n, -1, w - v])
            elif kind == "ints" and allowed and len(v) == len(w):
                found += [[k, n, i, q - p] for i, (p, q) in enumerate(zip(v, w)) if p != q]
            else:
                return None
    return found


def _grown(leaves: list[fb.Tensor], dimension: int) -> tuple[list[fb.Tensor], int] | None:
    """The same tensors, twice as long in one dimension, and by how much they grew."""
    sizes = [t.shape[dimension] for t in leaves if t.dim() > dimension]
    if not sizes or not sizes[0]:
        return None
    grow = [
        fb.cat([t, t], dimension) if t.dim() > dimension and t.shape[dimension] == sizes[0] else t
        for t in leaves
    ]
    return [g.detach().requires_grad_(t.requires_grad) for g, t in zip(grow, leaves)], sizes[0]


def trace_call(
    function: Callable, args: tuple, kwargs: dict, names: dict[int, str], check: bool, tolerance: float
) -> TracedProgram:
    """Record ``function(*args, **kwargs)``; ``names`` has parameters and buffers by their id."""
    watch = Watch()
    try:
        watch.values([function])
    except CannotCapture:
        pass  # what it does not reach becomes a constant
    leaves: list[fb.Tensor] = []
    structure = take_apart([args, kwargs], leaves)

    def call(tensors: list) -> Any:
        a, k = put_together(structure, tensors)
        return function(*a, **k)

    before = fb.get_rng_state()
    state = {id(t): t for t in watch.tensors}
    buffers = [(t, t.detach().clone()) for t in state.values() if not t.requires_grad]

    def back() -> None:
        fb.set_rng_state(before)
        with fb.no_grad():
            for t, content in buffers:
                if t.shape == content.shape:
                    t.detach().copy_(content)

    graph, outputs, baked = _record(function, leaves, call, list(state.values()))
    after = fb.get_rng_state(), [(t, t.detach().clone()) for t, _ in buffers]
    if baked is not None:
        warnings.warn(
            f"Converting a tensor to a Python value might cause the trace to be incorrect: {baked}.",
            TracerWarning,
            4,
        )
    steps, layout, kept = graph.steps(), graph.layout(), graph.held()
    held, constants = [], {}
    for t in kept:
        name = names.get(id(t))
        if name is None:
            name = f"CONSTANTS.c{len(constants)}"
            constants[name] = t
        held.append(name)
    free, varying = [], []
    try:
        for d in range(max((t.dim() for t in leaves), default=0)):
            back()
            grown = _grown(leaves, d)
            if grown is None:
                continue
            try:
                other, shape, _ = _record(function, grown[0], call, list(state.values()))
            except Exception:
                continue
            same_slots = other.layout() == layout and shape == outputs
            changes = _same_numbers(steps, other.steps(), allowed=True) if same_slots else None
            if changes is None or any(by % grown[1] for *_, by in changes):
                continue
            free.append(d)
            varying += [[k, n, place, d, by // grown[1]] for k, n, place, by in changes]
        sizes = [list(t.shape) for t in leaves]
        parameters = _parameter_names(function, args, kwargs)
        program = TracedProgram(
            steps, layout, held, constants, structure, outputs, sizes, free, varying, parameters
        )
        if check:
            back()
            with fb.no_grad():
                wanted = call(_copies(leaves))
            back()
            by_name = {name: t for t in state.values() if (name := names.get(id(t)))}
            with fb.no_grad():
                given = program.run(put_together(structure, _copies(leaves)), by_name.__getitem__)
            _compare(wanted, given, tolerance)
    finally:
        fb.set_rng_state(after[0])
        with fb.no_grad():
            for t, content in after[1]:
                if t.shape == content.shape:
                    t.detach().copy_(content)
    return program


def _copies(tensors: list) -> list:
    """Tensors that a function may write to; what was one tensor stays one."""
    made = {id(t): t.detach().clone().requires_grad_(t.requires_grad) for t in tensors}
    return [made[id(t)] for t in tensors]


def _compare(wanted: Any, given: Any, tolerance: float) -> None:
    a: list[fb.Tensor] = []
    b: list[fb.Tensor] = []
    take_apart(wanted, a)
    take_apart(given, b)
    for k, (x, y) in enumerate(zip(a, b)):
        try:
            fb.testing.assert_close(y.double(), x.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
        except AssertionError as error:
            raise TracingCheckError(
                None, f"output nr {k + 1}. of the traced function does not match the Python function\n{error}"
            ) from None


def _parameter_names(function: Callable, args: tuple, kwargs: dict) -> list[str]:
    target = function.forward if isinstance(function, fb.nn.Module) else function
    try:
        bound = signature_of(target).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return []
    return list(bound.arguments)


def _state_names(module: fb.nn.Module) -> dict[int, str]:
    names = {id(t): n for n, t in module.named_buffers(remove_duplicate=False)}
    names.update({id(t): n for n, t in module.named_parameters(remove_duplicate=False)})
    return names


def trace(
    func: Callable,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: Any = None,
    example_kwarg_inputs: dict | None = None,
    _store_inputs: bool = True,
) -> ScriptFunction | TopLevelTracedModule:
    """Record the operators that a function or module runs on examples: a program that needs no source.

    Control flow and numbers that Python computed are fixed; sizes of the inputs may change where the
    recording follows them (each dimension is tried with a larger example).

    Returns
    -------
    ScriptFunction or TopLevelTracedModule
        For a module, its parameters and buffers are shared with it.

    Raises
    ------
    TracingCheckError
        If the program, run again, gives other numbers than ``func``.
    NotImplementedError
        If something in it cannot be recorded.
    """
    if example_kwarg_inputs is not None and not isinstance(example_kwarg_inputs, dict):
        raise RuntimeError("example_kwarg_inputs should be a dict")
    if example_inputs is None and example_kwarg_inputs is None:
        raise RuntimeError("example_kwarg_inputs should be a dict")
    args = () if example_inputs is None else example_inputs
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    kwargs = example_kwarg_inputs or {}
    if isinstance(func, fb.jit.ScriptModule | ScriptFunction) and not hasattr(func, "_original"):
        return func
    if isinstance(func, fb.nn.Module):
        program = trace_call(func, args, kwargs, _state_names(func), check_trace, check_tolerance)
        made = TopLevelTracedModule(func, {"forward": program})
    else:
        program = trace_call(func, args, kwargs, {}, check_trace, check_tolerance)
        name = getattr(func, "__name__", "forward")
        made = ScriptFunction("_lambda" if name == "<lambda>" else name, program=program)
    for more in check_inputs or ():
        more = more if isinstance(more, tuple) else (more,)
        with fb.no_grad():
            _compare(func(*more), made(*more), check_tolerance)
    return made


def trace_module(
    mod: fb.nn.Module,
    inputs: dict[str, Any],
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: Any = None,
    example_inputs_is_kwarg: bool = False,
    _store_inputs: bool = True,
) -> TopLevelTracedModule:
    """:func:`trace` for several methods of a module: ``inputs`` has the examples for each by its name."""
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    programs = {}
    for name, example in inputs.items():
        args, kwargs = ((), example) if example_inputs_is_kwarg else (example, {})
        args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
        function = mod if name == "forward" else getattr(mod, name)
        programs[name] = trace_call(function, args, kwargs, _state_names(mod), check_trace, check_tolerance)
    return TopLevelTracedModule(mod, programs)


def trace_graph(
    f: Any, args: Any = (), kwargs: dict[str, Any] | None = None, strict: bool = True,
    _force_outplace: bool = False, return_inputs: bool = False, _return_inputs_states: bool = False,
) -> tuple:  # fmt: skip
    """The graph of a call and what it returned; with `return_inputs` also the tensors that go in.

    The inputs of the graph are the tensors of the arguments, then the parameters and buffers it reads.
    """
    if _return_inputs_states:
        raise NotImplementedError("torch.jit._get_trace_graph: _return_inputs_states")
    args = args if isinstance(args, tuple) else (args,)
    module = isinstance(f, fb.nn.Module)
    program = trace_call(f, args, kwargs or {}, _state_names(f) if module else {}, False, 1e-5)
    own = {**dict(f.named_parameters()), **dict(f.named_buffers())} if module else {}
    held = [program.constants[n] if n in program.constants else own[n] for n in program.held]
    leaves: list[fb.Tensor] = []
    take_apart([args, kwargs or {}], leaves)
    made = graph_of(program, (leaves, held))
    made._filled()
    result = f(*args, **(kwargs or {}))
    return (made, result, (*leaves, *held)) if return_inputs else (made, result)
