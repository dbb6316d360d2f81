"""The exported program: saving it, running it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau.jit._program import put_together, take_apart
from flambeau.serialization.files import replacing, settle

from ._table import element_type, raw_bytes
from .errors import OnnxExporterError, need_onnx

_LARGEST = 2**31 - 2**20  # bytes in one file of ONNX
_SMALL = 1024  # bytes: tensors below stay in the model's own file


class ONNXProgram:
    """A model in ONNX with what is needed to run it like the module it was made from.

    ``model_proto`` is the model as the package ``onnx`` has it. Calling the program runs it by
    ``onnxruntime``.
    """

    def __init__(self, model: Any, weights: dict[str, fb.Tensor], inputs: Any, outputs: Any) -> None:
        self._proto, self._weights = model, weights  # one message of ONNX may not have more than 2 GB
        self._inputs, self._outputs = inputs, outputs
        self._full: Any = None
        self._session: Any = None
        self.exported_program = None

    def __repr__(self) -> str:
        graph = self._proto.graph
        return (
            f"ONNXProgram(opset={self._proto.opset_import[0].version}, nodes={len(graph.node)}, "
            f"inputs={[i.name for i in graph.input]}, outputs={[o.name for o in graph.output]})"
        )

    @property
    def model_proto(self) -> Any:
        """The model with its weights as ``onnx.ModelProto``."""
        if self._full is None:
            self._full = _with_weights(self._proto, self._weights)
        return self._full

    # ------------------------------------------------------------------ running
    def initialize_inference_session(self, initializer: Callable[[Any], Any] | None = None) -> None:
        """Make the session that calls use; ``initializer`` gets the model's bytes or the path of a file."""
        make = initializer or _session
        if self._bytes() <= _LARGEST:
            self._session = make(self.model_proto.SerializeToString())
            return
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            self.save(path)
            self._session = make(path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it by onnxruntime on the arguments that the module takes; the results have its structure."""
        leaves: list[fb.Tensor] = []
        structure = take_apart([args, kwargs], leaves)
        if structure != self._inputs:
            raise OnnxExporterError(
                f"The exported program takes other arguments\nit was exported with {self._inputs}, and "
                f"called "
                f"with {structure}; values that are no tensors are constants"
            )
        if self._session is None:
            self.initialize_inference_session()
        feed = {i.name: t.detach().cpu().numpy() for i, t in zip(self._proto.graph.input, leaves)}
        wanted = {i.name for i in self._session.get_inputs()}
        results = self._session.run(None, {n: v for n, v in feed.items() if n in wanted})
        return put_together(self._outputs, [fb.from_numpy(r.copy()) for r in results])

    def call_reference(self, *args: Any, **kwargs: Any) -> Sequence[fb.Tensor]:
        """Run it by the reference evaluator of the package ``onnx``."""
        from onnx.reference import ReferenceEvaluator

        leaves: list[fb.Tensor] = []
        take_apart([args, kwargs], leaves)
        feed = {i.name: t.detach().numpy() for i, t in zip(self._proto.graph.input, leaves)}
        return [fb.tensor(r) for r in ReferenceEvaluator(self.model_proto).run(None, feed)]

    def compute_values(
        self, value_names: Sequence[str], args: Sequence = (), kwargs: Mapping[str, Any] | None = None
    ) -> Sequence[fb.Tensor]:
        """What values inside the graph are, by onnxruntime, for these arguments."""
        onnx = need_onnx()
        made = {n for node in self._proto.graph.node for n in node.output}
        for name in value_names:
            if name not in made:
                raise ValueError(f"Value '{name}' is not found in the model")
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        del proto.graph.output[:]
        proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in value_names)
        listed = {"tuple": ["tensor"] * len(value_names)}
        return ONNXProgram(proto, self._weights, self._inputs, listed)(*args, **(kwargs or {}))

    def release(self) -> None:
        """Let go of the session."""
        self._session = None

    # ------------------------------------------------------------------ changing
    def apply_weights(self, state_dict: Mapping[str, fb.Tensor]) -> None:
        """Replace weights by those of a state dict; names that the model lacks are an error."""
        for name, tensor in state_dict.items():
            old = self._weights.get(name)
            if old is None:
                raise ValueError(f"Weight '{name}' is not found in the model")
            if old.shape != tensor.shape:
                raise ValueError(
                    f"Weight '{name}' has the shape {tuple(tensor.shape)}, not {tuple(old.shape)}"
                )
            self._weights[name] = tensor.to(old.dtype)
        self._changed()

    def rename_axes(self, rename_mapping: Mapping[str, str]) -> None:
        """Give dynamic dimensions other names."""
        for info in [*self._proto.graph.input, *self._proto.graph.output, *self._proto.graph.value_info]:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param in rename_mapping:
                    dim.dim_param = rename_mapping[dim.dim_param]
        self._changed()

    def optimize(self) -> None:
        """Take out nodes that only give a value another name."""
        remove_identities(self._proto.graph)
        self._changed()

    def _changed(self) -> None:
        self._session = self._full = None

    def _bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self._weights.values())

    # ------------------------------------------------------------------ saving
    def save(
        self,
        destination: str | os.PathLike,
        *,
        include_initializers: bool = True,
        keep_initializers_as_inputs: bool = False,
        external_data: bool | None = None,
    ) -> None:
        """Write the model to a file, atomically.

        Weights go to a second file, named like the first with ``.data`` behind it, if ``external_data`` is
        true or
        one file would be too large for ONNX (2 GB).

        Raises
        ------
        TypeError
            If ``external_data`` is true and ``destination`` is no path.
        """
        onnx = need_onnx()
        if not isinstance(destination, (str, os.PathLike)):
            if external_data:
                raise TypeError("destination has to be a path for external_data=True")
            destination.write(self.model_proto.SerializeToString())
            return
        path = os.fspath(destination)
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        if keep_initializers_as_inputs:
            proto.graph.input.extend(
                onnx.helper.make_tensor_value_info(n, element_type(t.dtype), list(t.shape))
                for n, t in self._weights.items()
            )
        weights = self._weights if include_initializers else {}
        beside = external_data or self._bytes() > _LARGEST
        large = {n: t for n, t in weights.items() if beside and t.numel() * t.element_size() >= _SMALL}
        small = {n: t for n, t in weights.items() if n not in large}
        if large:
            _save_in_two(onnx, proto, large, small, path)
            return
        with replacing(path) as file:
            file.write(_with_weights(proto, small).SerializeToString())


def _entered(proto: Any, name: str, t: fb.Tensor) -> Any:
    """A new initializer of the model, without its content."""
    made = proto.graph.initializer.add()
    made.name, made.data_type = name, element_type(t.dtype)
    made.dims.extend(t.shape)
    return made


def _content(t: fb.Tensor) -> bytes:
    return raw_bytes(t.detach().cpu().contiguous())


def _with_weights(bare: Any, weights: Mapping[str, fb.Tensor]) -> Any:
    proto = type(bare)()
    proto.CopyFrom(bare)
    for name, t in weights.items():
        _entered(proto, name, t).raw_data = _content(t)
    return proto


def _save_in_two(
    onnx: Any, proto: Any, large: Mapping[str, fb.Tensor], small: Mapping[str, fb.Tensor], path: str
) -> None:
    """Put large weights into a file beside the model's own; neither moves before both are on the disk."""
    with replacing(path) as file:
        with replacing(path + ".data") as beside:
            for name, t in large.items():
                beside.write(b"\0" * (-beside.tell() % 64))
                start = beside.tell()
                beside.write(_content(t))
                made = _entered(proto, name, t)
                made.data_location = onnx.TensorProto.EXTERNAL
                places = {"location": os.path.basename(path) + ".data", "offset": start}
                for key, value in (places | {"length": beside.tell() - start}).items():
                    made.external_data.add(key=key, value=str(value))
            file.write(_with_weights(proto, small).SerializeToString())
            settle(beside, file)
            former = _step_aside(onnx, path)
    if former:
        os.unlink(former)


def _step_aside(onnx: Any, path: str) -> str | None:
    """Have the model that is at `path` read a copy of its data file, and give the name of the copy.

    Two files cannot take the places of two others at once; so the old model stays whole while they move. (A
    second name for the same file would do, but readers of ONNX take files of several names for an attack.)
    None: no model is there, or it has no data file.
    """
    name = os.path.basename(path) + ".data"
    try:
        old = onnx.load(path, load_external_data=False)
    except Exception:  # no model, or not one that reads
        return None
    places = [e for t in old.graph.initializer for e in t.external_data if e.key == "location"]
    if not any(e.value == name + ".old" for e in places):  # else: a writer was killed after this point
        if not any(e.value == name for e in places) or not os.path.exists(path + ".data"):
            return None
        with replacing(path + ".data.old") as copy, open(path + ".data", "rb") as data:
            shutil.copyfileobj(data, copy, 1 << 20)
        for entry in places:
            if entry.value == name:
                entry.value = name + ".old"
        with replacing(path) as file:
            file.write(old.SerializeToString())
    return path + ".data.old"


def _session(model: Any) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise OnnxExporterError(
            "Running an exported program needs the package onnxruntime\npip install 'flambeau[onnx]'"
        ) from None
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def remove_identities(graph: Any) -> None:
    """Nodes ``Identity`` go where their result is no result of the graph."""
    outputs = {o.name for o in graph.output}
    other: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [other.get(n, n) for n in node.input]
        if node.op_type == "Identity" and node.output[0] not in outputs:
            other[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
