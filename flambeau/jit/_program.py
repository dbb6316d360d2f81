"""A traced program: the operators that ran, what they take, how sizes of the inputs enter their numbers."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

# of the core's own table
_SPACES = ("", "nn", "linalg", "fft", "special")

MOST_VARIANTS = 32  # graphs kept for other sizes of the inputs


_thread = threading.local()


def last_run() -> TracedProgram | None:
    """The program that this thread ran last."""
    return getattr(_thread, "program", None)


def take_apart(value: Any, leaves: list) -> Any:
    """The structure of a value as JSON can hold it; its tensors are appended to ``leaves``."""
    if isinstance(value, fb.Tensor):
        leaves.append(value)
        return "tensor"
    if isinstance(value, (tuple, list)):
        return {
            type(value).__name__ if type(value) is list else "tuple": [take_apart(v, leaves) for v in value]
        }
    if isinstance(value, dict):
        return {"dict": [[k, take_apart(v, leaves)] for k, v in value.items()]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise RuntimeError(
        "Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from traced functions"
        f"\nthere is a {type(value).__name__}"
    )


def put_together(structure: Any, leaves: Sequence) -> Any:
    """The inverse of :func:`take_apart`."""
    waiting = iter(leaves)

    def build(s: Any) -> Any:
        if s == "tensor":
            leaf = next(waiting, waiting)
            if leaf is waiting:
                raise ValueError("the traced program has fewer tensors than its arguments or results name")
            return leaf
        kind, content = next(iter(s.items()))
        if kind == "list":
            return [build(v) for v in content]
        if kind == "tuple":
            return tuple(build(v) for v in content)
        if kind == "dict":
            return {k: build(v) for k, v in content}
        return content

    return build(structure)


class TracedProgram:
    """What a trace recorded.

    ``held`` names the tensors that the program has of its own: parameters and buffers by their path in the
    module, ``"CONSTANTS.cK"`` for others, whose values are in ``constants``. ``varying`` lists numbers that
    follow a size of the inputs: (step, argument, place in a list or -1, dimension, factor).
    """

    def __init__(
        self,
        steps: list,
        layout: dict,
        held: list[str],
        constants: dict[str, fb.Tensor],
        inputs: Any,
        outputs: Any,
        sizes: list[list[int]],
        free: list[int],
        varying: list[list[int]],
        parameters: list[str],
    ) -> None:
        self.steps, self.layout, self.held, self.constants = steps, layout, held, constants
        self.inputs, self.outputs, self.sizes, self.free, self.varying = inputs, outputs, sizes, free, varying
        self.parameters = parameters  # names of the arguments
        self._graphs: dict[tuple, Any] = {}

    def describe(self) -> dict[str, Any]:
        """Everything but the tensors, as JSON can hold it."""
        names = "steps layout held inputs outputs sizes free varying parameters".split()
        return {name: getattr(self, name) for name in names}

    # ------------------------------------------------------------------ running
    def run(self, values: Any, find: Callable[[str], fb.Tensor]) -> Any:
        """Run it on arguments of the structure that was traced; ``find`` gives the held tensors."""
        leaves: list[fb.Tensor] = []
        structure = take_apart(values, leaves)
        if structure != self.inputs:
            raise RuntimeError(
                "The traced program takes other arguments\n"
                f"it was traced with {self.inputs}, and called with {structure}; values that are no tensors "
                "are constants"
            )
        _thread.program = self
        held = [self.constants[name] if name in self.constants else find(name) for name in self.held]
        return put_together(self.outputs, self._graph(leaves).run(leaves, held))

    def _graph(self, leaves: list[fb.Tensor]) -> Any:
        sizes = [list(t.shape) for t in leaves]
        change = {}
        for traced, now in zip(self.sizes, sizes):
            if len(traced) != len(now):
                if not self.varying and all(d in self.free for d in range(len(traced))):
                    continue  # no number in the program has to do with sizes
                raise RuntimeError(
                    f"The traced program takes a tensor of {len(traced)} dimensions, not {len(now)}"
                )
            for d, (a, b) in enumerate(zip(traced, now)):
                if a != b and d not in self.free:
                    raise RuntimeError(
                        f"The traced program was recorded for size {a} of dimension {d}, not {b}"
                        "\nits numbers could not be told apart from that size; trace it again"
                    )
                if a == self._base(d):
                    if change.setdefault(d, b - a) != b - a:
                        raise RuntimeError(
                            f"Arguments of the traced program differ in the size of dimension {d}"
                        )
        key = tuple(sorted((d, by) for d, by in change.items() if by))
        graph = self._graphs.get(key)
        if graph is None:
            steps = copy.deepcopy(self.steps) if key else self.steps
            for step, argument, place, d, factor in self.varying if key else ():
                value = steps[step][1][argument]
                by = factor * change.get(d, 0)
                if place < 0:
                    value[1] += by
                else:
                    value[1][place] += by
            graph = _C._Graph()
            graph.fill(steps, self.layout)
            if len(self._graphs) >= MOST_VARIANTS:
                self._graphs.clear()
            self._graphs[key] = graph
        return graph

    def _base(self, dimension: int) -> int | None:
        return next((s[dimension] for s in self.sizes if len(s) > dimension), None)

    # ------------------------------------------------------------------ reading
    def _name(self, slot: int) -> str:
        if slot < 0:
            return "None"
        if slot in self.layout["inputs"]:
            return self._input_names()[self.layout["inputs"].index(slot)]
        if slot in self.layout["held"]:
            name = self.held[self.layout["held"].index(slot)]
            return name if name in self.constants else "self." + name
        return f"_{slot}"

    def _input_names(self) -> list[str]:
        count = len(self.layout["inputs"])
        if len(self.parameters) == count:
            return self.parameters
        return [f"input_{k}" for k in range(count)]

    def _value(self, argument: list) -> str:
        kind, value = argument
        if kind == "tensor":
            return self._name(value)
        if kind == "tensors":
            return "[" + ", ".join(map(self._name, value)) + "]"
        if kind == "none":
            return "None"
        return repr(value)

    def declaration(self) -> str:
        """What it takes and gives, as schemas say it."""
        count = 1 if self.outputs == "tensor" else len(self.layout["outputs"])
        result = "Tensor" if self.outputs == "tensor" else f"({', '.join(['Tensor'] * count)})"
        return f"({', '.join(f'Tensor {n}' for n in self._input_names())}) -> {result}"

    def code(self) -> str:
        """The program written like Python."""
        names = ", ".join(f"{n}: Tensor" for n in self._input_names())
        result = "Tensor" if self.outputs == "tensor" else next(iter(self.outputs)).capitalize()
        lines = [f"def forward(self{', ' if names else ''}{names}) -> {result}:"]
        for name, arguments, _, inplace, results, is_list in self.steps:
            space, _, plain = torch_name(name).partition("::")
            plain = plain.partition(".")[0]
            target = ", ".join(self._name(r) for r in results)
            function = ("torch." if space == "aten" else f"ops.{space}.") + plain + ("_" if inplace else "")
            left = f"[{target}] = " if is_list else f"{target} = " if target else ""
            lines.append(f"  {left}{function}({', '.join(map(self._value, arguments))})")
        outputs = put_together(self.outputs, [_Word(self._name(v)) for v in self.layout["outputs"]])
        return "\n".join([*lines, f"  return {outputs!r}", ""])

    def text(self) -> str:
        """The program as a graph, one operator a line."""
        lines = ["graph(" + ", ".join("%" + n for n in ["self", *self._input_names()]) + "):"]
        for name, arguments, _, inplace, results, _list in self.steps:
            left = ", ".join("%" + self._name(r) for r in results)
            right = ", ".join(
                ("%" if kind == "tensor" else "") + self._value([kind, v]) for kind, v in arguments
            )
            call = f"{torch_name(name).partition('.')[0]}{'_' if inplace else ''}({right})"
            lines.append(f"  {left} : Tensor = {call}" if left else f"  {call}")
        return "\n".join(
            [*lines, f"  return ({', '.join('%' + self._name(v) for v in self.layout['outputs'])})", ""]
        )


def torch_name(full: str) -> str:
    """PyTorch's name of an operator of a graph: ``aten::add.Tensor``, ``mylib::f``."""
    space, _, plain = full.rpartition("::")
    return f"{'aten' if space in _SPACES else space}::{plain}"


class _Word:
    """A name whose repr is itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text
