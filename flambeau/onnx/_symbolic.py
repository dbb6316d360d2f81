"""Entries of the table in the form of PyTorch's older exporter: ``symbolic(g, *arguments)``.

`register_custom_op_symbolic` puts such a function into the table. Its tensors are `Value`s, its numbers
those of
the call; ``g.op("Domain::Kind", …)`` adds a node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from ._enums import TensorProtoDataType
from ._table import OnnxGraph, Val, element_type
from .errors import OnnxExporterError

__all__ = [
    "GraphContext",
    "Value",
    "register_custom_op_symbolic",
    "registered",
    "unregister_custom_op_symbolic",
]

_NAME = re.compile(r"[a-zA-Z0-9_]+::[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)?")
_registered: dict[str, dict[int, Callable]] = {}
_SPACES = ("nn", "special", "linalg", "fft")


class ValueType:
    """What is known of a value: ``kind()``, ``sizes()``, ``dtype()``, ``scalarType()``."""

    def __init__(self, value: Value, dtype: fb.dtype | None, shape: tuple | None) -> None:
        self._value, self._dtype, self._shape = value, dtype, shape

    def kind(self) -> str:
        """The kind of value: all are tensors."""
        return "TensorType"

    def sizes(self) -> list[int | None] | None:
        """The sizes, None for those that follow the inputs; None where none are known."""
        if self._shape is None:
            return None
        return [int(s) if type(s) is int else None for s in self._shape]

    def dim(self) -> int | None:
        """The number of dimensions."""
        return None if self._shape is None else len(self._shape)

    def dtype(self) -> fb.dtype | None:
        """The type of the elements."""
        return self._dtype

    def scalarType(self) -> str | None:
        """Its name as PyTorch's older tensors have it: ``"Float"``."""
        return None if self._dtype is None else NAMES.get(self._dtype)

    def with_sizes(self, sizes: Sequence[int | None] | None) -> ValueType:
        """The same with other sizes."""
        return ValueType(self._value, self._dtype, None if sizes is None else tuple(sizes))

    def with_dtype(self, dtype: fb.dtype) -> ValueType:
        """The same with another type of elements."""
        return ValueType(self._value, dtype, self._shape)


class Value(str):
    """A value of the graph: its name, and what is known of it."""

    _type: ValueType

    @classmethod
    def of(cls, name: str, dtype: fb.dtype | None = None, shape: tuple | None = None) -> Value:
        """The value of that name."""
        made = cls(name)
        made._type = ValueType(made, dtype, shape)
        return made

    def type(self) -> ValueType:
        """What is known of it."""
        return self._type

    def setType(self, type: ValueType) -> Value:
        """Say more of it."""
        self._type = ValueType(self, type._dtype, type._shape)
        return self

    def debugName(self) -> str:
        """Its name."""
        return str(self)

    def isCompleteTensor(self) -> bool:
        """Whether all sizes are known."""
        sizes = self._type.sizes()
        return sizes is not None and None not in sizes


NAMES = {
    fb.uint8: "Byte", fb.int8: "Char", fb.float64: "Double", fb.float32: "Float", fb.float16: "Half",
    fb.int32: "Int", fb.int64: "Long", fb.int16: "Short", fb.bool: "Bool", fb.complex64: "ComplexFloat",
    fb.complex128: "ComplexDouble", fb.bfloat16: "BFloat16",
}  # fmt: skip
_ATTRIBUTES = {"i": int, "f": float, "s": str, "t": None}


class GraphContext:
    """The graph that a symbolic function writes into.

    Parameters
    ----------
    graph : the graph of the exporter.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.opset = graph.opset

    def op(self, opname: str, *raw_args: Any, outputs: int = 1, **kwargs: Any) -> Any:
        """Add a node; its value, or a tuple of them where there are several.

        Parameters
        ----------
        opname : its kind, with a domain before ``::`` where it is not ONNX's own.
        *raw_args : values, numbers and lists of numbers (which become constants), None for one left out.
        outputs : how many results it has.
        **kwargs : attributes; the end of the name says their type: ``axis_i=1``, ``mode_s="x"``,
            ``pads_i=[0, 0]``, ``value_t=torch.ones(1)``.
        """
        domain, _, kind = opname.rpartition("::")
        attributes = {}
        for key, content in kwargs.items():
            name, _, suffix = key.rpartition("_")
            if suffix not in _ATTRIBUTES or not name:
                raise ValueError(f"attribute {key!r} of {opname} must end with _i, _f, _s or _t")
            if content is not None:
                attributes[name] = self._attribute(suffix, content)
        if kind == "Constant" and not domain and isinstance(kwargs.get("value_t"), fb.Tensor):
            constant = kwargs["value_t"]
            return Value.of(self.graph.constant(constant), constant.dtype, tuple(constant.shape))
        names = ["" if a is None else self.graph.name_of(a) for a in raw_args]
        while names and not names[-1]:
            names.pop()
        results = [self.graph.fresh(kind.lower()) for _ in range(outputs)]
        node = self.graph.onnx.helper.make_node(kind, names, results, domain=domain, **attributes)
        self.graph.nodes.append(node)
        dtype, shape = None, None
        if "to" in attributes and kind == "Cast":
            dtype = next((d for d in NAMES if element_type(d) == attributes["to"]), None)
        made = tuple(Value.of(name, dtype, shape) for name in results)
        return made[0] if outputs == 1 else made

    def _attribute(self, suffix: str, content: Any) -> Any:
        if suffix == "t":
            return self.graph.tensor("", fb.as_tensor(content))
        convert = _ATTRIBUTES[suffix]
        if isinstance(content, (list, tuple)):
            return [convert(x) for x in content]
        return convert(content)

    def at(self, operator: str, *args: Any, **kwargs: Any) -> Any:
        """Refused: ONNX Runtime knows no operators of ATen."""
        raise OnnxExporterError(f"g.at('{operator}'): nodes of ATen cannot be run where there is no PyTorch")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or not name[0].isalpha():
        raise OnnxExporterError(
            f"Failed to register operator {name}. The symbolic name must match the format domain::name, and "
            "should start with a letter and contain only alphanumeric characters"
        )
    return name


def _keys(name: str) -> list[str]:
    """The names that the table has for an operator."""
    domain, _, plain = name.partition("::")
    if domain not in ("aten", "prim", "onnx"):
        return [name]
    keys = [plain, f"nn::{plain}"]
    for space in _SPACES:
        if plain.startswith(space + "_"):
            keys.append(f"{space}::{plain[len(space) + 1 :]}")
    return keys


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Callable, opset_version: int) -> None:
    """Have a function write the nodes of an operator.

    Parameters
    ----------
    symbolic_name : ``"library::operator"``; ``"aten::relu"`` replaces what the exporter writes.
    symbolic_fn : ``symbolic(g, *arguments)``, gives the value of the result, or several.
    opset_version : from which version of ONNX on it is right.

    Raises
    ------
    OnnxExporterError : the name has another form.
    """
    _registered.setdefault(_checked(symbolic_name), {})[int(opset_version)] = symbolic_fn


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Undo `register_custom_op_symbolic`."""
    versions = _registered.get(_checked(symbolic_name), {})
    versions.pop(int(opset_version), None)
    if not versions:
        _registered.pop(symbolic_name, None)


def registered(opset: int) -> dict[str, Callable]:
    """Entries of the table for what was registered: those of the latest version that is not later than
    `opset`,
    or else of the earliest."""
    made = {}
    for name, versions in _registered.items():
        known = [v for v in versions if v <= opset]
        function = versions[max(known) if known else min(versions)]
        for key in _keys(name):
            made[key] = _entry(function)
    return made


def _entry(symbolic: Callable) -> Callable:
    def write(graph: OnnxGraph, *arguments: Any) -> Any:
        result = symbolic(GraphContext(graph), *map(value_of, arguments))
        if isinstance(result, (tuple, list)):
            return [graph.name_of(r) for r in result]
        return graph.name_of(result)

    return write


def value_of(argument: Any) -> Any:
    """An argument of the table's entries as symbolic functions have it."""
    if isinstance(argument, Val):
        return Value.of(argument.name, argument.dtype, argument.shape)
    return [value_of(a) for a in argument] if isinstance(argument, list) else argument


def val_of(value: Any, graph: OnnxGraph) -> Any:
    """The reverse."""
    if isinstance(value, Value):
        known = value.type()
        if known._dtype is None or known._shape is None:
            raise OnnxExporterError(
                f"the type and sizes of {value} are not known: it is the result of a node that was "
                "written by "
                "hand; say them with setType, or write the next node with g.op"
            )
        return Val(str(value), known._dtype, known._shape)
    return value


def constants() -> dict[str, TensorProtoDataType]:
    """ONNX's types by PyTorch's older names."""
    made = {name: TensorProtoDataType(element_type(d)) for d, name in NAMES.items() if not d.is_complex}
    made["ComplexFloat"], made["ComplexDouble"] = TensorProtoDataType(14), TensorProtoDataType(15)
    made["Undefined"] = TensorProtoDataType(0)
    return made
