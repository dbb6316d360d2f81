"""Running models in ONNX: the graph of a model file as a module."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import _read_math, _read_nn, _read_shape  # noqa: F401  they fill the table
from ._enums import DTYPES
from ._readers import READERS
from .errors import OnnxExporterError, need_onnx

_GRAPH, _GRAPHS, _TENSOR = 5, 10, 4  # kinds of attributes


def load(f: str | os.PathLike | Any) -> OnnxModule:
    """A module that runs the model of an ONNX file, with its weights as parameters.

    Parameters
    ----------
    f
        The path of the file, a file open for reading, or an ``onnx.ModelProto``.

    Raises
    ------
    OnnxExporterError
        If the package ``onnx`` is missing, the file is no ONNX model, or the model has operators that have
        no entry:
        all of them are named.
    """
    onnx = need_onnx()
    if isinstance(f, onnx.ModelProto):
        return _module_of(f, "the model")
    name = os.fspath(f) if isinstance(f, (str, os.PathLike)) else getattr(f, "name", "the file")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb"):
            pass  # that there is no such file is told as Python does
    try:
        model = onnx.load(name if isinstance(f, (str, os.PathLike)) else f)
    except Exception as error:
        raise OnnxExporterError(f"{name} is no ONNX model: {error}") from error
    return _module_of(model, name)


def _module_of(model: Any, name: str) -> OnnxModule:
    try:
        return OnnxModule(model)
    except OnnxExporterError as error:
        raise OnnxExporterError(f"{name}: {error}") from error
    except Exception as error:  # where and how damage shows is up to chance
        raise OnnxExporterError(
            f"{name}: The ONNX model is damaged: {type(error).__name__}: {error}"
        ) from error


def tensor_of(proto: Any) -> fb.Tensor:
    """A tensor from ONNX's representation."""
    onnx = need_onnx()
    if proto.data_type not in DTYPES:
        raise OnnxExporterError(
            f"The tensor {proto.name!r} has the type {onnx.TensorProto.DataType.Name(proto.data_type)}, "
            f"which "
            "does not exist here"
        )
    if proto.data_type == 16:
        words = onnx.numpy_helper.to_array(proto).view("int16")
        return fb.from_numpy(words.copy()).view(fb.bfloat16)
    if proto.data_type > 16:
        codes = onnx.numpy_helper.to_array(proto).view("uint8")
        return fb.from_numpy(codes.copy()).view(DTYPES[proto.data_type])
    return fb.from_numpy(onnx.numpy_helper.to_array(proto).copy())


class Graph:
    """The nodes of a graph, ready to run."""

    def __init__(self, proto: Any, opset: int, missing: set[str], outer: Iterable[str] = ()) -> None:
        _check_names(proto)
        self.inputs = [i.name for i in proto.input]
        self.outputs = [o.name for o in proto.output]
        self.constants = {t.name: tensor_of(t) for t in proto.initializer}
        self.steps: list[tuple[Callable, list[str], list[str], dict[str, Any], bool, str]] = []
        known = {*outer, *self.inputs, *self.constants, ""}
        for node in proto.node:
            kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
            label = f"{kind} '{node.name}'" if node.name else kind
            _check_made(f"the ONNX operator {label} reads", node.input, known)
            known.update(node.output)
            reader = READERS.get(kind)
            if reader is None:
                missing.add(kind)
                continue
            attributes = {a.name: _attribute(a, opset, missing, known) for a in node.attribute}
            extra = inspect.signature(reader).parameters
            if "opset" in extra:
                attributes["opset"] = opset
            if "count" in extra:
                attributes["count"] = len(node.output)
            graphs = any(isinstance(v, Graph) for v in attributes.values())
            self.steps.append((reader, list(node.input), list(node.output), attributes, graphs, label))
        _check_made("the graph's output is", self.outputs, known - {""})
        self._ends = self._last_uses(proto)

    def _last_uses(self, proto: Any) -> list[list[str]]:
        """After which node values are of no use any more."""
        seen = set(self.outputs)
        ends: list[list[str]] = []
        if any(step[4] for step in self.steps):
            return [[] for _ in self.steps]  # inner graphs may read anything
        for _, inputs, outputs, *_rest in reversed(self.steps):
            names = {n for n in [*inputs, *outputs] if n and n not in seen}
            seen |= names
            ends.append(list(names))
        return ends[::-1]

    def run(self, values: dict[str, fb.Tensor]) -> list[fb.Tensor]:
        """The outputs; ``values`` has the inputs and weights by name."""
        for reader, inputs, outputs, attributes, graphs, label in self._each(values):
            given = [values[n] if n else None for n in inputs]
            try:
                made = reader(*given, **attributes, outer=values) if graphs else reader(*given, **attributes)
            except (TypeError, AttributeError, KeyError, NotImplementedError) as error:
                raise NotImplementedError(f"the ONNX operator {label}: {error}") from error
            if not isinstance(made, (tuple, list)):
                made = (made,)
            values.update((n, v) for n, v in zip(outputs, made) if n)
        return [values[n] for n in self.outputs]

    def _each(self, values: dict[str, fb.Tensor]) -> Any:
        for step, ends in zip(self.steps, self._ends):
            yield step
            for name in ends:
                values.pop(name, None)

    def call(self, given: Sequence[fb.Tensor], outer: dict[str, fb.Tensor]) -> list[fb.Tensor]:
        """Run an inner graph, which may read the values around it."""
        return self.run({**outer, **self.constants, **dict(zip(self.inputs, given))})


def _check_names(proto: Any) -> None:
    """Protobuf hands text that is no UTF-8 out as bytes."""
    for part in (*proto.input, *proto.output, *proto.initializer, *proto.node):
        texts = [part.name]
        if hasattr(part, "op_type"):
            texts += [part.op_type, part.domain, *part.input, *part.output, *(a.name for a in part.attribute)]
        for text in texts:
            if not isinstance(text, str):
                raise OnnxExporterError(f"The ONNX model is damaged: the name {text!r} is no UTF-8")


def _check_made(what: str, names: Iterable[str], known: Container[str]) -> None:
    for name in names:
        if name not in known:
            raise OnnxExporterError(f"The ONNX model is damaged: {what} {name!r}, which nothing before makes")


def _attribute(a: Any, opset: int, missing: set[str], known: Iterable[str]) -> Any:
    if a.type == _GRAPH:
        return Graph(a.g, opset, missing, known)
    if a.type == _GRAPHS:
        return [Graph(g, opset, missing, known) for g in a.graphs]
    if a.type == _TENSOR:
        return tensor_of(a.t)
    value = need_onnx().helper.get_attribute_value(a)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)) or (hasattr(value, "__len__") and not isinstance(value, str)):
        return [v.decode() if isinstance(v, bytes) else v for v in value]
    return value


class OnnxModule(nn.Module):
    """A model in ONNX as a module.

    Its weights are parameters and buffers under the names that they have in the file, so that a model that
    was
    exported from a module has that module's state dict. Called with the model's inputs,
    it returns its output, or
    a tuple of several.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        onnx = need_onnx()
        if not model.graph.output or (model.ir_version > 2 and not model.opset_import):
            raise OnnxExporterError("The ONNX model is damaged: it has no graph, or says of no operator set")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        missing: set[str] = set()
        self._graph = Graph(model.graph, opset, missing)
        if missing:
            raise OnnxExporterError(
                f"The model has operators that are not supported: {', '.join(sorted(missing))}"
                "\nan entry for one is a function with flambeau.onnx.reader"
            )
        self.opset = opset
        statistics = {
            n for node in model.graph.node if node.op_type == "BatchNormalization" for n in node.input[3:5]
        }
        self._weights = {}
        for name, tensor in self._graph.constants.items():
            trained = tensor.is_floating_point() and tensor.dim() > 0 and name not in statistics
            self._weights[name] = _place(self, name, tensor, trained)
        self._graph.constants = {}
        self.input_names = [n for n in self._graph.inputs if n not in self._weights]
        self.output_names = list(self._graph.outputs)

    def forward(self, *args: fb.Tensor, **kwargs: fb.Tensor) -> fb.Tensor | tuple[fb.Tensor, ...]:
        """Inputs in the file's order, or by name."""
        unknown = set(kwargs) - set(self._graph.inputs)
        if unknown or len(args) > len(self.input_names):
            raise TypeError(f"The model's inputs are {', '.join(self.input_names)}")
        values = {name: getattr(home, key) for name, (home, key) in self._weights.items()}
        values.update(zip(self.input_names, args))
        values.update(kwargs)
        absent = [n for n in self.input_names if n not in values]
        if absent:
            raise TypeError(f"missing inputs of the model: {', '.join(absent)}")
        made = self._graph.run(values)
        return made[0] if len(made) == 1 else tuple(made)

    def extra_repr(self) -> str:
        return f"opset={self.opset}, nodes={len(self._graph.steps)}, inputs={self.input_names}"


class _Part(nn.Module):
    """What a dotted name of a weight goes through."""


def _place(root: nn.Module, name: str, tensor: fb.Tensor, trained: bool) -> tuple[nn.Module, str]:
    """Register a tensor under its dotted name; the module that has it, and its name there."""
    *path, last = name.split(".")
    home = root
    if not all([*path, last]) or last in root.__dict__:
        path, last = [], name.replace(".", "_")
    for part in path:
        inner = home._modules.get(part)
        if inner is None and hasattr(home, part):
            path, last, home = [], "weight_" + name.replace(".", "_"), root
            break
        if inner is None:
            home.add_module(part, _Part())
        home = home._modules[part]
    if hasattr(home, last):
        last = "weight_" + last
    if trained:
        home.register_parameter(last, nn.Parameter(tensor))
    else:
        home.register_buffer(last, tensor)
    return home, last
