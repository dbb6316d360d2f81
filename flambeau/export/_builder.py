"""One export: runs of a module are recorded, and what they share becomes a program."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._dynamo.exc import UserError, UserErrorType
from flambeau._ops import recorded_overload
from flambeau._recorded import constant, needed
from flambeau.fx.graph import Graph
from flambeau.fx.node import Node
from flambeau.onnx._align import aligned
from flambeau.onnx._record import MANY, Recording, recordings
from flambeau.onnx._sizes import Sizes
from flambeau.onnx._table import Dyn
from flambeau.onnx.errors import OnnxExporterError
from flambeau.utils import _pytree as pytree

from .dynamic_shapes import (
    Dim,
    Symbol,
    ValueRanges,
    _Derived,
    _DimHint,
    error,
    parameter_values,
    specs_of_leaves,
)
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature, Value
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)  # fmt: skip

__all__ = ["Builder", "marked_modules"]

_ARITHMETIC = {"Add": (operator.add, "+"), "Mul": (operator.mul, "*"), "Div": (operator.floordiv, "//")}
_MADE_OUTSIDE = "a tensor that no operation made"


class Builder:
    """One export.

    `marked` is a context that notes which modules the program is in.
    """

    def __init__(
        self,
        mod: fb.nn.Module,
        args: tuple,
        kwargs: dict[str, Any],
        dynamic_shapes: Any,
        marked: Callable[[fb.nn.Module, list], AbstractContextManager] | None = None,
    ) -> None:
        self.mod, self.args, self.kwargs = mod, args, kwargs
        self.marked = marked or marked_modules
        self.values = parameter_values(mod.forward, args, kwargs)
        self.leaves, self.in_spec = pytree.tree_flatten((args, kwargs))
        self.tensors = [leaf for leaf in self.leaves if isinstance(leaf, fb.Tensor)]
        specs = specs_of_leaves(self.values, dynamic_shapes)
        self.hints = [s for leaf, s in zip(self.leaves, specs) if isinstance(leaf, fb.Tensor)]
        self.graph = Graph()
        self.sizes = Sizes()
        self.nodes: dict[int, Node] = {}  # slot -> node
        self.by_name: dict[str, Node] = {}
        self.computed: dict[Any, Node] = {}  # expression -> node
        self.symbols: dict[tuple, Symbol] = {}  # (name of an input, dimension) -> symbol
        self.ranges: dict[Symbol, ValueRanges] = {}
        self.tried: dict[tuple[int, ...], Symbol] = {}  # the sizes in the recordings -> symbol
        self.derived: dict[str, tuple[str, int, int]] = {}  # dimension -> that which it follows, and how
        self.marks: list[tuple[int, dict[str, Any]]] = []  # of the recording that runs
        self.calls: dict[str, _Call] = {}  # calls of modules whose signatures are kept

    # ------------------------------------------------------------------ recording
    def _names_of_sizes(self, left_out: set[str], together: bool) -> list[dict[int, str]]:
        """The dynamic dimensions of each input, by a name that equal ones share.

        `together`: those without a name have that of one of equal size of an input before.
        """
        named: list[dict[int, str]] = []
        self._check_equal_names()
        for k, hints in enumerate(self.hints):
            axes: dict[int, str] = {}
            before = {self.tensors[i].shape[d]: n for i, names in enumerate(named) for d, n in names.items()}
            for d, hint in hints.items():
                if isinstance(hint, _Derived):
                    self._check_derived(hint, k, d)
                if isinstance(hint, _DimHint):
                    small = hint.kind == "AUTO" and self.tensors[k].shape[d] < 2
                    name = f"input {k} dimension {d}"
                    if hint.kind != "STATIC" and not small and name not in left_out:
                        axes[d] = before.get(self.tensors[k].shape[d], name) if together else name
                else:
                    axes[d] = hint.__name__
            named.append(axes)
        return named

    def _check_equal_names(self) -> None:
        """Dimensions of one name have to have one size in the examples."""
        seen: dict[str, tuple[str, int]] = {}
        leaves = [
            name + ("" if isinstance(value, fb.Tensor) else str(path))
            for name, value in self.values.items()
            for path, leaf in pytree.tree_leaves_with_path(value)
            if isinstance(leaf, fb.Tensor)
        ]
        for name, tensor, hints in zip(leaves, self.tensors, self.hints):
            for d, hint in hints.items():
                if not isinstance(hint, Dim):
                    continue
                place = f"L['{name}'].size()[{d}]"
                other, size = seen.setdefault(hint.__name__, (place, tensor.shape[d]))
                if size != tensor.shape[d]:
                    raise UserError(
                        UserErrorType.CONSTRAINT_VIOLATION,
                        f"{place} = {tensor.shape[d]} is not equal to {other} = {size}",
                    )

    def _check_derived(self, hint: _Derived, k: int, d: int) -> None:
        """Note how a size follows that of another dimension, and whether the example does."""
        root, size = hint.root.__name__, self.tensors[k].shape[d]
        value, rest = divmod(size - hint.offset, hint.factor)
        if rest:
            raise error(f"Expected the size {size} to be of the form {hint}, where {root} is an integer")
        for i, hints in enumerate(self.hints):
            for at, other in hints.items():
                there = self.tensors[i].shape[at]
                if isinstance(other, Dim) and other.__name__ == root and there != value:
                    raise error(f"Expected the size {size} to be equal to {hint}, where {root} is {there}")
        self.derived[hint.__name__] = (root, hint.factor, hint.offset)

    def _call(self, tensors: list) -> Any:
        waiting = iter(tensors)
        leaves = [next(waiting) if isinstance(leaf, fb.Tensor) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.in_spec)
        self.marks.clear()
        with self.marked(self.mod, self.marks):
            flat, self.out_spec = pytree.tree_flatten(self.mod(*args, **kwargs))
        return flat

    def _record(self) -> tuple[list[Recording], list[dict[str, int]]]:
        state = [*self.mod.parameters(), *self.mod.buffers()]
        automatic = [
            f"input {k} dimension {d}"
            for k, hints in enumerate(self.hints)
            for d, hint in hints.items()
            if isinstance(hint, _DimHint) and hint.kind == "AUTO"
        ]
        left_out: set[str] = set()
        while True:
            best = None
            problem = None
            for together in (False, True):
                names = self._names_of_sizes(left_out, together)
                try:
                    found, sizes = aligned(
                        *recordings(self._call, self.tensors, state, names, MANY, self.marks, self.derived)
                    )
                except OnnxExporterError as failure:
                    problem = problem or failure
                    continue
                columns = {tuple(row[n] for row in sizes) for n in sizes[0]}
                if best is None or len(columns) > best[0]:
                    best = (len(columns), found, sizes, names)
                if len(columns) == len(sizes[0]):
                    break  # no two dimensions had to be equal
            if best is not None:
                _, found, sizes, self.axes = best
                return found, sizes
            rest = [name for name in automatic if name not in left_out]
            if not rest:
                raise UserError(
                    UserErrorType.CONSTRAINT_VIOLATION,
                    f"Constraints violated! {problem}\nmark the dimension as static, or as Dim.AUTO",
                ) from problem
            left_out.add(rest[-1])

    # ------------------------------------------------------------------ inputs
    def _placeholder(self, name: str, value: Value | None) -> Node:
        node = self.graph.placeholder(_identifier(name))
        if value is not None:
            node.meta["val"] = value
        self.by_name[node.name] = node
        return node

    def _lifted(self, first: Recording) -> list[InputSpec]:
        """Placeholders of parameters, buffers and constants."""
        slots = {id(t): slot for slot, t in zip(first.layout["held"], first.held)}
        specs, self.state, self.constants = [], {}, {}
        saved = set(self.mod.state_dict())
        entries: list[tuple[str, InputKind, str, fb.Tensor]] = [
            ("p_", InputKind.PARAMETER, name, t)
            for name, t in self.mod.named_parameters(remove_duplicate=False)
        ]
        entries += [
            ("b_", InputKind.BUFFER, name, t) for name, t in self.mod.named_buffers(remove_duplicate=False)
        ]
        known = {id(t) for *_, t in entries}
        attributes = [
            (f"{prefix}.{key}" if prefix else key, v)
            for prefix, part in self.mod.named_modules()
            for key, v in vars(part).items()
            if isinstance(v, fb.Tensor)
        ]
        for t in first.held:
            if id(t) not in known:
                name = next((key for key, v in attributes if _alike(v, t)), None)
                name = name or f"lifted_tensor_{len(self.constants)}"
                self.constants[name] = t
                entries.append(("c_", InputKind.CONSTANT_TENSOR, name, t))
        for prefix, kind, name, t in entries:
            node = self._placeholder(prefix + name, Value(t.dtype, tuple(t.shape)))
            self.nodes.setdefault(slots.get(id(t), -2), node)
            persistent = name in saved if kind is InputKind.BUFFER else None
            if kind is not InputKind.CONSTANT_TENSOR:
                (self.state if kind is InputKind.PARAMETER or persistent else self.constants)[name] = t
            specs.append(InputSpec(kind, TensorArgument(node.name), name, persistent))
        return specs

    def _user_inputs(self, found: list[Recording], columns: list[dict[str, int]]) -> list[InputSpec]:
        names = []
        for name, value in self.values.items():
            paths = pytree.tree_leaves_with_path(value)
            names += ["_".join([name, *(re.sub(r"\W", "", str(part)) for part in path)]) for path, _ in paths]
        specs, tensor = [], iter(range(len(self.tensors)))
        same = self.tried
        for name, leaf in zip(names, self.leaves):
            if not isinstance(leaf, fb.Tensor):
                node = self._placeholder(name, None)
                specs.append(InputSpec(InputKind.USER_INPUT, ConstantArgument(node.name, leaf), None))
                continue
            k = next(tensor)
            node = self._placeholder(name, None)
            slot = found[0].layout["inputs"][k]
            shape: list[Any] = list(leaf.shape)
            for d, size_name in self.axes[k].items():
                root, factor, offset = self.derived.get(size_name, (size_name, 1, 0))
                values = tuple(row[root] for row in columns)
                symbol = same.setdefault(values, Symbol(f"s{len(same)}"))
                hint = self.hints[k][d]
                if isinstance(hint, _Derived):
                    self.ranges.setdefault(symbol, ValueRanges(hint.root.min, hint.root.max))
                    symbol = Symbol(_linear(symbol, factor, offset))
                shape[d] = self.symbols[node.name, d] = symbol
                low = hint.min if hint.min is not None else 2
                high = hint.max if hint.max is not None else float("inf")
                low = max(low, 0 if isinstance(hint, (Dim, _Derived)) else 2)
                before = self.ranges.get(symbol, ValueRanges(low, high))
                self.ranges[symbol] = ValueRanges(max(low, before.lower), min(high, before.upper))
            self.sizes.add(node.name, [
                [row[self.axes[k][d]] if d in self.axes[k] else size for d, size in enumerate(leaf.shape)]
                for row in columns
            ])  # fmt: skip
            node.meta["val"] = Value(leaf.dtype, tuple(shape))
            if slot >= 0:
                self.nodes[slot] = node
            specs.append(InputSpec(InputKind.USER_INPUT, TensorArgument(node.name), None))
        return specs

    # ------------------------------------------------------------------ numbers
    def _number(self, values: tuple, what: str) -> Any:
        """A number of a step, or the node of one that follows the sizes of the inputs."""
        if len(set(map(repr, values))) == 1:
            return values[0]
        if any(isinstance(v, float) for v in values):
            raise NotImplementedError(f"export: a float in {what} that follows a dynamic size")
        made = self.sizes.whole(values)
        if made is None:
            raise UserError(
                UserErrorType.DYNAMIC_DIM,
                f"A number in {what} follows the sizes of the inputs in a way that was not recognised: "
                f"{', '.join(map(str, values))} for the sizes tried",
            )
        return self._computed(made)

    def _computed(self, number: Any) -> Any:
        if not isinstance(number, Dyn):
            return number
        key = number.key()
        if key not in self.computed:
            kind, a, b = number.expr
            if kind == "size":
                target, args = fb.ops.aten.sym_size.int, (self.by_name[a], b)
            else:
                target, args = _ARITHMETIC[kind][0], (self._computed(a), self._computed(b))
            name = "sym_size_int" if kind == "size" else None
            node = self.graph.create_node("call_function", target, args, {}, name=name)
            self.computed[key] = node
            node.meta["val"] = Value(None, (self._text(number),))
        return self.computed[key]

    def _text(self, number: Any) -> Any:
        """A number as shapes show it: by the symbols of the inputs."""
        if not isinstance(number, Dyn):
            return number
        kind, a, b = number.expr
        if kind == "size":
            known = self.symbols.get((a, b))
            return known if known is not None else self.by_name[a].meta["val"].shape[b]
        return f"{self._text(a)}{_ARITHMETIC[kind][1]}{self._text(b)}"

    # ------------------------------------------------------------------ operators
    def _argument(self, k: int, n: int, found: list[Recording]) -> Any:
        name, arguments, *_ = found[0].steps[k]
        kind, content = arguments[n]
        if kind == "tensor":
            return self._node(content)
        if kind == "tensors":
            return [self._node(slot) for slot in content]
        if kind in ("int", "float"):
            return self._number(tuple(r.steps[k][1][n][1] for r in found), name)
        if kind in ("ints", "floats", "numbers"):
            lists = [r.steps[k][1][n][1] for r in found]
            if any(len(v) != len(content) for v in lists):
                raise UserError(
                    UserErrorType.DYNAMIC_DIM, f"a list in {name} changes its length with the inputs"
                )
            return [self._number(column, name) for column in zip(*lists)]
        return constant(kind, content)

    def _noted(self, step: tuple, call: _Call, leaves: list, n: int) -> None:
        """A step that stands for a tensor on its way into or out of a module."""
        _, arguments, _, _, results, _ = step
        node = self.nodes.get(arguments[0][1])
        if node is None:  # nothing needed it
            leaves[n] = ConstantArgument("", None)
            return
        self.nodes[results[0]] = node
        leaves[n] = TensorArgument(node.name)
        self.calls[call.fqn] = call

    def _call_graph(self, whole: ModuleCallSignature) -> list[ModuleCallEntry]:
        """How modules are called, those of several calls once for each."""
        made = [ModuleCallEntry("", whole)]
        for name, _ in self.mod.named_modules():
            own = [call for fqn, call in self.calls.items() if fqn.partition("@")[0] == name]
            if name:
                made += [ModuleCallEntry(c.fqn, c.signature()) for c in own] or [ModuleCallEntry(name)]
        return made

    def _node(self, slot: int) -> Node | None:
        return None if slot < 0 else self.nodes[slot]

    def _step(self, k: int, found: list[Recording]) -> None:
        name, arguments, given, inplace, results, is_list = found[0].steps[k]
        if given and not inplace:
            raise NotImplementedError(f"export: {name} with out=")
        values = [self._argument(k, n, found) for n in range(len(arguments))]
        overload = _overload(name, inplace, arguments)
        args, kwargs = _by_schema(overload, values)
        called = overload._overloadpacket.__name__
        node = self.graph.create_node("call_function", overload, args, kwargs, name=called)
        if not is_list and len(results) == 1:
            self._result(node, results[0], found)
            return
        for n, slot in enumerate(results):
            if slot >= 0:
                self._result(self.graph.call_function(operator.getitem, (node, n)), slot, found)

    def _result(self, node: Node, slot: int, found: list[Recording]) -> None:
        self.nodes[slot] = self.by_name[node.name] = node
        shape = self.sizes.add(node.name, [r.shapes[slot] for r in found])
        known = []
        for d, size in enumerate(shape):
            if isinstance(size, Dyn):
                values = tuple(r.shapes[slot][d] for r in found)
                made = self.sizes.whole(values)
                own = made.expr[:2] == ("size", node.name)
                text = _fitted(values, self.tried) or f"{node.name}.size({d})" if own else self._text(made)
                known.append(text)
            else:
                known.append(size)
        node.meta["val"] = Value(found[0].dtypes[slot], tuple(known))

    def build(self, assumed: list[str] | None = None) -> ExportedProgram:
        """The exported program.

        `assumed` takes what else would be an error: that the value of a tensor decided what is recorded.
        """
        found, columns = self._record()
        first = found[0]
        if first.baked is not None and not first.baked.startswith(_MADE_OUTSIDE):
            if assumed is None:
                raise UserError(
                    UserErrorType.DYNAMIC_CONTROL_FLOW,
                    f"The program reads the value of a tensor in Python: {first.baked}\n"
                    "what follows from it would be the same for all inputs; write it with torch.where",
                )
            assumed.append(first.baked)
        _same_constants(found)
        inputs = self._lifted(first)
        inputs += self._user_inputs(found, columns)
        for k, wanted in enumerate(needed(first.steps, first.layout["outputs"])):
            if _MARK in (first.scopes[k] or ()):
                self._noted(first.steps[k], *first.scopes[k][_MARK])
            elif wanted:
                self._step(k, found)
                for node in reversed(self.graph.nodes):  # those that this step made
                    if node.op == "placeholder" or "nn_module_stack" in node.meta:
                        break
                    node.meta["nn_module_stack"] = dict(first.scopes[k] or {})
        slots = iter(first.layout["outputs"])
        results = [
            self._node(next(slots))
            if parts[0] == "tensor"
            else self._number(tuple(p["value"] for p in parts), "the result")
            for parts in zip(*(r.outputs["list"] for r in found))
        ]
        self.graph.output(tuple(results))
        outputs = [
            OutputSpec(
                OutputKind.USER_OUTPUT,
                TensorArgument(v.name) if isinstance(v, Node) else ConstantArgument(f"output_{k}", v),
                None,
            )
            for k, v in enumerate(results)
        ]
        call = ModuleCallSignature(
            [], [], self.in_spec, self.out_spec, list(self.values)[: len(self.args)] + list(self.kwargs)
        )
        return ExportedProgram(
            fb.nn.Module(), self.graph, ExportGraphSignature(inputs, outputs), self.state, self.ranges,
            self._call_graph(call),
            (self.args, self.kwargs), self.constants,
        )  # fmt: skip


_MARK = ""  # the key of what a step stands for that is no step of the program


class _Call:
    """A call of a module whose signature is kept."""

    def __init__(self, fqn: str) -> None:
        self.fqn = fqn
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.in_spec: Any = None
        self.out_spec: Any = None

    def signature(self) -> ModuleCallSignature:
        """What is known of it."""
        return ModuleCallSignature(self.inputs, self.outputs, self.in_spec, self.out_spec)


@contextmanager
def marked_modules(mod: fb.nn.Module, marks: list, kept: frozenset[str] = frozenset()) -> Iterator[None]:
    """While it runs: which modules the program is in from which step on, as `nn_module_stack` has it.

    Tensors that go into and out of the modules in `kept` pass a step of their own, so that their places in
    the recording are known.
    """
    names = {id(part): name for name, part in mod.named_modules()}
    calls: dict[int, int] = {}
    stack: list[dict[str, tuple[str, str]]] = [{}]

    def enter(part: fb.nn.Module, args: tuple) -> None:
        count = calls[id(part)] = calls.get(id(part), -1) + 1
        name, kind = names[id(part)], type(part)
        key = f"L__self__{name}" + (f"@{count}" if count else "")
        stack.append({**stack[-1], key: (name, f"{kind.__module__}.{kind.__qualname__}")})
        marks.append((_C._Graph.steps_so_far(), stack[-1]))

    def leave(part: fb.nn.Module, args: tuple, result: Any) -> None:
        stack.pop()
        marks.append((_C._Graph.steps_so_far(), stack[-1]))

    under_way: list[_Call] = []

    def passed(call: _Call, values: Any, into: list) -> tuple[Any, Any]:
        """Values of which each tensor has passed a step, and their structure."""
        leaves, spec = pytree.tree_flatten(values)
        for n, leaf in enumerate(leaves):
            into.append(ConstantArgument("", leaf))
            if isinstance(leaf, fb.Tensor):
                marks.append((_C._Graph.steps_so_far(), {**stack[-1], _MARK: (call, into, n)}))
                leaves[n] = leaf.view_as(leaf)
        marks.append((_C._Graph.steps_so_far(), stack[-1]))
        return pytree.tree_unflatten(leaves, spec), spec

    def take(part: fb.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        count = calls.get(id(part), -1) + 1
        call = _Call(names[id(part)] + (f"@{count}" if count else ""))
        under_way.append(call)
        given, call.in_spec = passed(call, (args, kwargs), call.inputs)
        return given

    def give(part: fb.nn.Module, args: tuple, kwargs: dict, result: Any) -> Any:
        call = under_way.pop()
        made, call.out_spec = passed(call, result, call.outputs)
        return made

    hooks = []
    for part in mod.modules():
        if names[id(part)] in kept:
            hooks.append(part.register_forward_pre_hook(take, prepend=True, with_kwargs=True))
        hooks.append(part.register_forward_pre_hook(enter, prepend=names[id(part)] not in kept))
        hooks.append(part.register_forward_hook(leave, always_call=True))
        if names[id(part)] in kept:
            hooks.append(part.register_forward_hook(give, with_kwargs=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _linear(symbol: Symbol, factor: int, offset: int) -> str:
    product = f"{symbol}" if factor == 1 else f"{factor}*{symbol}"
    return product + (f" + {offset}" if offset > 0 else f" - {-offset}" if offset else "")


def _fitted(values: tuple[int, ...], tried: dict[tuple[int, ...], Symbol]) -> str | None:
    """Sizes as a product or quotient of those of an input, and a number; None if they are neither."""
    for sizes, symbol in tried.items():
        first, last = sizes[0], sizes[-1]
        if first == last:
            continue
        factor, rest = divmod(values[-1] - values[0], last - first)
        offset = values[0] - factor * first
        if rest == 0 and all(v == factor * s + offset for v, s in zip(values, sizes)):
            return _linear(symbol, factor, offset)
        for divisor in range(2, 33):
            offset = values[0] - first // divisor
            if all(v == s // divisor + offset for v, s in zip(values, sizes)):
                quotient = f"{symbol}//{divisor}"
                return quotient + (f" + {offset}" if offset > 0 else f" - {-offset}" if offset else "")
    return None


def _alike(a: fb.Tensor, b: fb.Tensor) -> bool:
    """Whether two tensors are the same; the recording has copies of those it does not know."""
    return a.dtype == b.dtype and a.shape == b.shape and fb.equal(a, b)


def _identifier(name: str) -> str:
    made = re.sub(r"\W", "_", name)
    return made + "_" if keyword.iskeyword(made) else made


def _same_constants(found: list[Recording]) -> None:
    for k, t in enumerate(found[0].held):
        if any(
            r.held[k].shape != t.shape or not (r.held[k] is t or fb.equal(r.held[k], t)) for r in found[1:]
        ):
            raise UserError(
                UserErrorType.DYNAMIC_DIM,
                "A tensor made outside the recorded operators changes with the sizes of the inputs\n"
                "(torch.tensor of something computed in Python): make it by torch.arange or torch.full",
            )


def _overload(name: str, inplace: bool, arguments: list) -> Any:
    """The ``torch.ops`` operator of a recorded one."""
    space, _, plain = name.rpartition("::")
    plain = plain.partition(".")[0]
    if space in ("linalg", "fft", "special"):
        space, plain = "", f"{space}_{plain}"
    space = "aten" if space in ("", "nn") else space
    packet = getattr(getattr(fb.ops, space), plain + ("_" if inplace else ""))
    names = packet.overloads()
    wanted = recorded_overload(name) or "default"
    tensors = [kind in ("tensor", "tensors") for kind, _ in arguments]
    numbers = [kind in ("int", "float", "bool", "complex") for kind, _ in arguments]
    for candidate in sorted(names, key=lambda n: n != wanted):
        made = getattr(packet, candidate)
        kinds = ["Tensor" in str(a.type) for a in made._schema.arguments]
        if candidate == wanted and not any(k and n for k, n in zip(kinds, numbers)):
            return made
        if kinds[: len(tensors)] == tensors:
            return made
    if wanted in names:
        return getattr(packet, wanted)
    raise NotImplementedError(f"export: the operator {name} has no name among torch.ops.{space}")


def _by_schema(overload: Any, values: list) -> tuple[tuple, dict[str, Any]]:
    """Arguments as the schema takes them, without those at the end that are what they would be anyway."""
    arguments = overload._schema.arguments
    if len(values) > len(arguments):
        raise NotImplementedError(
            f"export: {overload} takes {len(arguments)} arguments, {len(values)} were recorded"
        )
    plain, named = [], {}
    for argument, value in zip(arguments, values):
        if argument.kwarg_only:
            if not _is_default(argument, value):
                named[argument.name] = value
        else:
            plain.append(value)
    while (
        plain
        and arguments[len(plain) - 1].has_default_value()
        and _is_default(arguments[len(plain) - 1], plain[-1])
    ):
        plain.pop()
    return tuple(plain), named


def _is_default(argument: Any, value: Any) -> bool:
    default = argument.default_value
    return not isinstance(value, Node) and type(value) is type(default) and value == default
