"""A traced program as a graph of nodes and values, as `Graph.nodes()` of PyTorch gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import _C

from ._program import TracedProgram, torch_name

__all__ = ["Graph", "Node", "Value", "graph_of"]

_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool", "bfloat16": "BFloat16",
    "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


class ValueType:
    """The type of a value; of a tensor also what the trace saw of it."""

    def __init__(self, text: str, seen: fb.Tensor | None = None) -> None:
        self._text, self._seen = text, seen

    def kind(self) -> str:
        """``"TensorType"``, ``"IntType"``, …"""
        words = {"int": "Int", "float": "Float", "bool": "Bool", "str": "String", "NoneType": "None"}
        return "ListType" if self._text.endswith("[]") else words.get(self._text, self._text) + "Type"

    def _of_tensor(self, get: Callable[[fb.Tensor], Any]) -> Any:
        return None if self._seen is None else get(self._seen)

    def sizes(self) -> list[int] | None:
        """The sizes of a tensor."""
        return self._of_tensor(lambda t: list(t.shape))

    def strides(self) -> list[int] | None:
        """The strides of a tensor."""
        return self._of_tensor(lambda t: list(t.stride()))

    def dim(self) -> int | None:
        """The number of dimensions of a tensor."""
        return self._of_tensor(lambda t: t.dim())

    def dtype(self) -> fb.dtype | None:
        """The type of a tensor's elements."""
        return self._of_tensor(lambda t: t.dtype)

    def scalarType(self) -> str | None:
        """The same by the name that old tensors have."""
        return self._of_tensor(lambda t: _NAMES.get(str(t.dtype).removeprefix("torch.")))

    def device(self) -> fb.device | None:
        """Where a tensor lies."""
        return self._of_tensor(lambda t: t.device)

    def requires_grad(self) -> bool | None:
        """Whether a tensor takes gradients."""
        return self._of_tensor(lambda t: t.requires_grad)

    def annotation_str(self) -> str:
        """As programs write it."""
        return f"List[{self._text[:-2]}]" if self._text.endswith("[]") else self._text

    def __str__(self) -> str:
        return self._text


class Use(NamedTuple):
    """A node that takes a value, and as which input."""

    user: Node
    offset: int


class Value:
    """What a node gives, or an input of the graph."""

    def __init__(self, name: str, type: ValueType, node: Node, number: int) -> None:
        self._name, self._type, self._node, self._number = name, type, node, number
        self._uses: list[Use] = []

    def debugName(self) -> str:
        """Its name."""
        return self._name

    def unique(self) -> int:
        """Its number in the graph."""
        return self._number

    def type(self) -> ValueType:
        """Its type."""
        return self._type

    def node(self) -> Node:
        """The node that gives it."""
        return self._node

    def uses(self) -> list[Use]:
        """The nodes that take it."""
        return list(self._uses)

    def isCompleteTensor(self) -> bool:
        """Whether sizes, strides and type of the elements are known."""
        return self._type._seen is not None

    def requires_grad(self) -> bool:
        """Whether it takes gradients."""
        return bool(self._type.requires_grad())

    requiresGrad = requires_grad

    def toIValue(self) -> Any:
        """The constant that it is, None of what is computed."""
        return self._node._attributes.get("value")

    def __repr__(self) -> str:
        return f"{self._name} defined in ({self._node!r})"


class Node:
    """One operator of a graph."""

    def __init__(
        self, kind: str, attributes: dict[str, Any] | None = None, schema: str | None = None
    ) -> None:
        self._kind, self._attributes, self._schema = kind, attributes or {}, schema
        self._inputs: list[Value] = []
        self._outputs: list[Value] = []

    def kind(self) -> str:
        """``"aten::add"``, ``"prim::Constant"``, …"""
        return self._kind

    def schema(self) -> str:
        """The operator's schema."""
        return self._schema or "(no schema)"

    def scopeName(self) -> str:
        """The module that it is called in: not recorded."""
        return ""

    def sourceRange(self) -> str:
        """The line that it is called in: not recorded."""
        return ""

    def inputs(self) -> Iterator[Value]:
        """The values that it takes."""
        return iter(self._inputs)

    def outputs(self) -> Iterator[Value]:
        """The values that it gives."""
        return iter(self._outputs)

    def inputsSize(self) -> int:
        """How many values it takes."""
        return len(self._inputs)

    def outputsSize(self) -> int:
        """How many values it gives."""
        return len(self._outputs)

    def inputsAt(self, i: int) -> Value:
        """One of the values that it takes."""
        return self._inputs[i]

    def outputsAt(self, i: int) -> Value:
        """One of the values that it gives."""
        return self._outputs[i]

    def input(self) -> Value:
        """The one value that it takes."""
        (value,) = self._inputs
        return value

    def output(self) -> Value:
        """The one value that it gives."""
        (value,) = self._outputs
        return value

    def hasAttribute(self, name: str) -> bool:
        """Whether it has an attribute."""
        return name in self._attributes

    def attributeNames(self) -> list[str]:
        """The names of its attributes."""
        return list(self._attributes)

    def kindOf(self, name: str) -> str:
        """The letter of an attribute's type."""
        value = self._attributes[name]
        return {bool: "i", int: "i", float: "f", str: "s"}.get(type(value), "ival")

    def _attribute(self, name: str) -> Any:
        return self._attributes[name]

    i = f = s = t = ival = _attribute

    def blocks(self) -> Iterator[Any]:
        """Inner blocks: a trace has none."""
        return iter(())

    def __repr__(self) -> str:
        left = ", ".join(f"%{v.debugName()} : {v.type()}" for v in self._outputs)
        said = ", ".join(f"{name}={value!r}" for name, value in self._attributes.items())
        call = f"{self._kind}{f'[{said}]' if said else ''}"
        return f"{left} = {call}({', '.join('%' + v.debugName() for v in self._inputs)})"


class Graph(str):
    """A traced program: its text, one operator a line, and its nodes and values.

    Parameters
    ----------
    text : the text.
    build : fills the nodes in, when they are first asked for.
    """

    def __new__(
        cls, text: str = "graph():\n  return ()\n", build: Callable[[Graph], None] | None = None
    ) -> Graph:
        self = super().__new__(cls, text)
        self._build = build
        self._nodes: list[Node] = []
        self._param, self._return = Node("prim::Param"), Node("prim::Return")
        return self

    def _filled(self) -> Graph:
        if self._build is not None:
            build, self._build = self._build, None
            build(self)
        return self

    def nodes(self) -> Iterator[Node]:
        """The operators, in order."""
        return iter(self._filled()._nodes)

    def inputs(self) -> Iterator[Value]:
        """The values that the graph takes."""
        return self._filled()._param.outputs()

    def outputs(self) -> Iterator[Value]:
        """The values that the graph gives."""
        return self._filled()._return.inputs()

    def param_node(self) -> Node:
        """The node whose outputs are the inputs of the graph."""
        return self._filled()._param

    def return_node(self) -> Node:
        """The node whose inputs are the outputs of the graph."""
        return self._filled()._return

    def findAllNodes(self, kind: str, recurse: bool = True) -> list[Node]:
        """All operators of a kind."""
        return [n for n in self.nodes() if n.kind() == kind]

    def findNode(self, kind: str, recurse: bool = True) -> Node | None:
        """The first operator of a kind."""
        return next(iter(self.findAllNodes(kind)), None)

    def copy(self) -> Graph:
        """The same graph: it cannot be changed."""
        return self

    def __reduce__(self) -> tuple:
        return str, (str(self),)

    def __str__(self) -> str:
        return str.__str__(self)


class _Builder:
    """Makes the nodes of a program, numbers as constants of their own."""

    def __init__(self, graph: Graph, program: TracedProgram, seen: dict[int, fb.Tensor]) -> None:
        self.graph, self.program, self.seen = graph, program, seen
        self.values: dict[int, Value] = {}
        self.count = 0

    def give(self, node: Node, type: ValueType, name: str | None = None) -> Value:
        value = Value(name or str(self.count), type, node, self.count)
        self.count += 1
        node._outputs.append(value)
        return value

    def take(self, node: Node, value: Value) -> None:
        value._uses.append(Use(node, len(node._inputs)))
        node._inputs.append(value)

    def tensor(self, node: Node, slot: int) -> Value:
        self.values[slot] = value = self.give(node, ValueType("Tensor", self.seen.get(slot)))
        return value

    def constant(self, value: Any, text: str) -> Value:
        node = Node("prim::Constant", {} if value is None else {"value": value})
        self.graph._nodes.append(node)
        return self.give(node, ValueType(text))

    def listed(self, items: Sequence[Value], text: str) -> Value:
        node = Node("prim::ListConstruct")
        for item in items:
            self.take(node, item)
        self.graph._nodes.append(node)
        return self.give(node, ValueType(text + "[]"))

    def argument(self, kind: str, content: Any) -> Value:
        if kind == "tensor":
            return self.values[content] if content >= 0 else self.constant(None, "NoneType")
        if kind == "tensors":
            return self.listed([self.argument("tensor", slot) for slot in content], "Tensor")
        if isinstance(content, (list, tuple)):
            words = [type(x).__name__ for x in content]
            return self.listed(
                [self.constant(x, w) for x, w in zip(content, words)], words[0] if words else "int"
            )
        return self.constant(content, "NoneType" if content is None else type(content).__name__)

    def run(self) -> None:
        program, graph = self.program, self.graph
        for slot in program.layout["inputs"]:
            if slot >= 0:
                self.tensor(graph._param, slot)
        for slot in program.layout["held"]:
            self.tensor(graph._param, slot)
        for name, arguments, _, inplace, results, is_list in program.steps:
            full = torch_name(name)
            given = [self.argument(kind, content) for kind, content in arguments]
            node = Node(full.partition(".")[0] + "_" * bool(inplace), schema=_schema(full))
            for value in given:
                self.take(node, value)
            graph._nodes.append(node)
            if is_list:
                packed = self.give(node, ValueType("Tensor[]"))
                node = Node("prim::ListUnpack")
                self.take(node, packed)
                graph._nodes.append(node)
            for slot in results:
                self.tensor(node, slot)
        for slot in program.layout["outputs"]:
            self.take(graph._return, self.values[slot])


def _schema(full: str) -> str | None:
    from flambeau import _ops

    found = _ops.overload_named(full)
    return None if found is None or found._text is None else str(found._schema)


def graph_of(program: TracedProgram, run: tuple[list, list] | None = None) -> Graph:
    """The graph of a program.

    Parameters
    ----------
    run : its inputs and the tensors it holds, for what the values are like; they are not known without.
    """

    def build(graph: Graph) -> None:
        seen: dict[int, fb.Tensor] = {}
        if run is not None:
            layout = program.layout
            slots = [*layout["inputs"], *layout["held"], *(r for step in program.steps for r in step[4])]
            slots = sorted({s for s in slots if s >= 0})
            again = _C._Graph()
            again.fill(program.steps, {**layout, "outputs": slots})
            with fb.no_grad():
                seen = {s: t.detach() for s, t in zip(slots, again.run(*run))}
            for place, tensors in zip(("inputs", "held"), run):
                seen |= {slot: t for slot, t in zip(layout[place], tensors) if slot >= 0}
        _Builder(graph, program, seen).run()

    return Graph(program.text(), build)
