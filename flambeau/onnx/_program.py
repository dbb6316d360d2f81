"""The exported program: saving it, running it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau.jit._program import put_together, take_apart
from flambeau.serialization.files import replacing

from .errors import OnnxExporterError, need_onnx

_LARGEST = 2**31 - 2**20  # bytes in one file of ONNX
_SMALL = 1024  # bytes: tensors below stay in the model's own file


class ONNXProgram:
    """A model in ONNX with what is needed to run it like the module it was made from.

    ``model_proto`` is the model as the package ``onnx`` has it. Calling the program runs it by
    ``onnxruntime``.
    """

    def __init__(self, model_proto: Any, inputs: Any, outputs: Any) -> None:
        self._proto, self._inputs, self._outputs = model_proto, inputs, outputs
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
        """The model as ``onnx.ModelProto``."""
        return self._proto

    # ------------------------------------------------------------------ running
    def initialize_inference_session(self, initializer: Callable[[Any], Any] | None = None) -> None:
        """Make the session that calls use; ``initializer`` gets the model's bytes or the path of a file."""
        self._session = (initializer or _session)(self._proto.SerializeToString())

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
        return [fb.tensor(r) for r in ReferenceEvaluator(self._proto).run(None, feed)]

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
        return ONNXProgram(proto, self._inputs, listed)(*args, **(kwargs or {}))

    def release(self) -> None:
        """Let go of the session."""
        self._session = None

    # ------------------------------------------------------------------ changing
    def apply_weights(self, state_dict: Mapping[str, fb.Tensor]) -> None:
        """Replace weights by those of a state dict; names that the model lacks are an error."""
        onnx = need_onnx()
        places = {t.name: k for k, t in enumerate(self._proto.graph.initializer)}
        for name, tensor in state_dict.items():
            if name not in places:
                raise ValueError(f"Weight '{name}' is not found in the model")
            old = self._proto.graph.initializer[places[name]]
            if list(old.dims) != list(tensor.shape):
                raise ValueError(
                    f"Weight '{name}' has the shape {tuple(tensor.shape)}, not {tuple(old.dims)}"
                )
            old.CopyFrom(onnx.numpy_helper.from_array(tensor.detach().cpu().numpy(), name))
        self._session = None

    def rename_axes(self, rename_mapping: Mapping[str, str]) -> None:
        """Give dynamic dimensions other names."""
        for info in [*self._proto.graph.input, *self._proto.graph.output, *self._proto.graph.value_info]:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param in rename_mapping:
                    dim.dim_param = rename_mapping[dim.dim_param]

    def optimize(self) -> None:
        """Take out nodes that only give a value another name."""
        remove_identities(self._proto.graph)
        self._session = None

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
            destination.write(self._proto.SerializeToString())
            return
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        graph = proto.graph
        if keep_initializers_as_inputs:
            graph.input.extend(
                onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                for t in graph.initializer
            )
        if not include_initializers:
            del graph.initializer[:]
        path = os.fspath(destination)
        size = sum(len(t.raw_data) for t in graph.initializer)
        if external_data or size > _LARGEST:
            _move_out(onnx, graph, path)
        with replacing(path) as file:
            file.write(proto.SerializeToString())


def _move_out(onnx: Any, graph: Any, path: str) -> None:
    """Put the contents of large tensors into a file beside the model."""
    large = [t for t in graph.initializer if len(t.raw_data) >= _SMALL]
    if not large:
        return
    beside = path + ".data"
    with replacing(beside) as file:
        for tensor in large:
            file.write(b"\0" * (-file.tell() % 64))
            start = file.tell()
            file.write(tensor.raw_data)
            onnx.external_data_helper.set_external_data(
                tensor, os.path.basename(beside), start, len(tensor.raw_data)
            )
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL


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
