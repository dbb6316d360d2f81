"""From recordings of a program to an ONNX graph without in-place operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from ._record import Recording
from ._sizes import Sizes
from ._table import Dyn, OnnxGraph, Val
from ._views import undo
from .errors import OnnxExporterError, SymbolicValueError, UnsupportedOperatorError

_UNSEEN = ("dtype", "layout", "device", "format", "none")  # arguments that the results tell already


class Writer:
    """Writes each recorded operator by its entry in the table.

    A write to memory becomes a new value for the tensor that was written, and for what it is a view of;
    views are
    taken again where they are read after that.
    """

    def __init__(
        self, graph: OnnxGraph, found: list[Recording], where: Callable[[int], str], names: dict[int, str]
    ) -> None:
        self.graph, self.found, self.where = graph, found, where
        self.sizes = Sizes()
        self.first = found[0]
        self._values: dict[int, Val] = {}
        self._views: dict[int, tuple[int, int, int]] = {}  # slot -> slot it is a view of, step, which result
        self._taken_from: dict[int, Val] = {}
        self._names = names
        self._held = {slot: k for k, slot in enumerate(self.first.layout["held"])}

    # ------------------------------------------------------------------ values
    def enter(self, slot: int, name: str) -> Val:
        """Slot and name of a tensor that the graph has from now on."""
        shape = self.sizes.add(name, [r.shapes[slot] for r in self.found])
        self._values[slot] = val = Val(name, self.first.dtypes[slot], shape)
        return val

    def read(self, slot: int) -> Val | None:
        """What a slot holds now."""
        if slot < 0:
            return None
        if slot in self._views:
            parent, step, which = self._views[slot]
            source = self.read(parent)
            if self._taken_from.get(slot) is not source:
                self.enter(slot, self._emit(step)[which])
                self._taken_from[slot] = source
        elif slot not in self._values:
            self.enter(slot, self._constant(self._held[slot]))
        return self._values[slot]

    def write(self, slot: int, name: str) -> None:
        """Give a slot, and what it is a view of, a new value."""
        val = self.enter(slot, name)
        if slot in self._views:
            parent, step, which = self._views[slot]
            source = self.read(parent)
            arguments = self._arguments(step, {parent: source})
            self.write(parent, undo(self.graph, self.first.steps[step][0], which, source, val, arguments))
            self._taken_from[slot] = self.read(parent)

    def _constant(self, k: int) -> str:
        t = self.first.held[k]
        name = self._names.get(id(t))
        if name is not None:
            if name not in self.graph.initializers:
                self.graph.initializers[name] = t
            return name
        others = [r.held[k] for r in self.found]
        if all(o.shape == t.shape and fb.equal(o, t) for o in others[1:]):
            return self.graph.constant(t)
        if t.dtype in (fb.int64, fb.int32) and t.dim() < 2 and all(o.shape == t.shape for o in others):
            columns = list(zip(*(o.reshape(-1).tolist() for o in others)))
            numbers = self.graph.ints([self._number(c, "a tensor made from numbers") for c in columns])
            name = self.graph.op("Cast", numbers, to=6) if t.dtype == fb.int32 else numbers
            return self.graph.op("Squeeze", name, [0]) if t.dim() == 0 else name
        raise SymbolicValueError(
            "A tensor made outside the recorded operators changes with the sizes of the inputs\n"
            "(torch.tensor of something computed in Python): make it by torch.arange, torch.full or the like"
        )

    # ------------------------------------------------------------------ numbers
    def _number(self, values: tuple, what: str) -> Any:
        if len(set(map(repr, values))) == 1:  # NaN is not equal to itself
            return values[0]
        real = any(isinstance(v, float) for v in values)
        made: Any = self.sizes.real(values) if real else self.sizes.whole(values)
        if made is None:
            raise SymbolicValueError(
                f"A number in {what} follows the sizes of the inputs in a way that was not recognised: "
                f"{', '.join(map(str, values))} for the sizes tried\nleave that dimension static, or write "
                "the number with +, *, // and the shapes of tensors"
            )
        return made.alone() if isinstance(made, Dyn) else made

    def _arguments(self, k: int, given: dict[int, Val] | None = None) -> list[Any]:
        """The arguments of a step: tensors as Val, numbers that follow sizes as Dyn or DynFloat."""
        step = self.first.steps[k]
        steps = [r.steps[k] for r in self.found]

        def value(slot: int) -> Val | None:
            return given[slot] if given and slot in given else self.read(slot)

        made: list[Any] = []
        for n, (kind, content) in enumerate(step[1]):
            if kind == "tensor":
                made.append(value(content))
            elif kind == "tensors":
                made.append([value(v) for v in content])
            elif kind in _UNSEEN:
                made.append(None)
            elif kind in ("ints", "floats", "numbers"):
                lists = [s[1][n][1] for s in steps]
                if any(len(v) != len(content) for v in lists):
                    raise SymbolicValueError(f"a list in {step[0]} changes its length with the inputs")
                made.append([self._number(c, step[0]) for c in zip(*lists)])
            elif kind in ("int", "float"):
                made.append(self._number(tuple(s[1][n][1] for s in steps), step[0]))
            else:
                made.append(content)
        return made

    # ------------------------------------------------------------------ steps
    def _emit(self, k: int) -> list[str]:
        """Write the nodes of a step; the names of its results."""
        name, _, _, _, results, _ = self.first.steps[k]
        entry = self.graph.find(name)
        if entry is None:
            raise UnsupportedOperatorError(_public(name), self.graph.opset, None, self.where(k))
        arguments = self._arguments(k)
        self.graph.result = [self._shape_of_result(r) for r in results]
        try:
            made = entry(self.graph, *arguments)
        except NotImplementedError as error:
            raise OnnxExporterError(
                f"The operator '{_public(name)}' cannot be written for ONNX opset {self.graph.opset}: {error}"
                f"\nit is called in {self.where(k)}"
            ) from error
        stuck = [a for a in _flat(arguments) if isinstance(a, Dyn) and not a.used]
        if stuck:
            raise SymbolicValueError(
                f"A number of '{_public(name)}' follows a dynamic size ({int(stuck[0])} in the example), and "
                f"has to be the same for all inputs in ONNX\nit is called in {self.where(k)}"
            )
        return made if isinstance(made, list) else [made]

    def _shape_of_result(self, slot: int) -> Val:
        if slot < 0:
            return Val("", fb.float32, ())
        shapes = [r.shapes[slot] for r in self.found]
        shape = []
        for d, sizes in enumerate(zip(*shapes)):
            same = len(set(sizes)) == 1
            shape.append(sizes[0] if same else Dyn.size(sizes[0], "", d))
        return Val("", self.first.dtypes[slot], tuple(shape))

    def run(self) -> None:
        """Write all steps."""
        memory = self.first.memory
        for k, (operator, arguments, given, _, results, _list) in enumerate(self.first.steps):
            names = self._emit(k)
            written = given or (results if operator.partition(".")[0].endswith("_") else [])
            if written:
                for slot, name in zip(written, names):
                    self.write(slot, name)
                continue
            sources = [a[1] for a in arguments if a[0] == "tensor" and a[1] >= 0]
            for which, (slot, name) in enumerate(zip(results, names)):
                if slot < 0 or slot in sources:  # an operator that had nothing to do returns its argument
                    continue
                if sources and memory[slot] and memory[slot] == memory[sources[0]]:
                    self._views[slot] = (sources[0], k, which)
                    self._taken_from[slot] = self.read(sources[0])
                self.enter(slot, name)


def _flat(values: list[Any]) -> list[Any]:
    return [w for v in values for w in (v if isinstance(v, list) else [v])]


def _public(name: str) -> str:
    """The name of a recorded operator as PyTorch writes it."""
    space, _, plain = name.rpartition("::")
    return f"aten::{space}_{plain}" if space in ("linalg", "fft", "special") else "aten::" + plain
