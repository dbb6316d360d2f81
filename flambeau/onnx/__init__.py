"""ONNX: exporting programs to it, and running models that are written in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from . import errors
from ._enums import OperatorExportTypes, TensorProtoDataType, TrainingMode
from ._program import ONNXProgram
from .errors import OnnxExporterError

producer_name = "flambeau"

__all__ = [
    "ExportableModule",
    "InputObserver",
    "ONNXProgram",
    "OnnxExporterError",
    "OperatorExportTypes",
    "TensorProtoDataType",
    "TrainingMode",
    "errors",
    "export",
    "is_in_onnx_export",
    "load",
]

_LAZY = {
    "InputObserver": "_observer",
    "ExportableModule": "_exportable",
    "load": "_load",
    "OnnxModule": "_load",
    "symbol": "_table",
    "reader": "_readers",
    "register_custom_op_symbolic": "_symbolic",
    "unregister_custom_op_symbolic": "_symbolic",
}
_MODULES = ("operators", "symbolic_helper", "utils", *(f"symbolic_opset{n}" for n in range(9, 15)))
_exporting = False


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module("." + _LAZY[name], __name__), name)
    if name in _MODULES:
        import importlib

        return importlib.import_module("." + name, __name__)
    if name == "producer_version":
        import flambeau

        return flambeau.__version__
    raise AttributeError(f"module 'torch.onnx' has no attribute '{name}'")


def is_in_onnx_export() -> bool:
    """Whether a program is being exported now."""
    return _exporting


def export(
    model: Any,
    args: tuple[Any, ...] = (),
    f: str | os.PathLike | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | list[Any] | None = None,
    custom_translation_table: dict[Any, Callable] | None = None,
    report: bool = False,
    optimize: bool = True,
    verify: bool = False,
    profile: bool = False,
    dump_exported_program: bool = False,
    artifacts_dir: str | os.PathLike = ".",
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping[str, Mapping[int, str]] | Mapping[str, Sequence[int]] | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    operator_export_type: OperatorExportTypes = OperatorExportTypes.ONNX,
    do_constant_folding: bool = True,
    custom_opsets: Mapping[str, int] | None = None,
    export_modules_as_functions: bool | Collection[type] = False,
    autograd_inlining: bool = True,
) -> ONNXProgram | None:
    """Write a module or function as an ONNX model.

    It runs on the examples, and each operator it runs is written by its entry in the table (see
    docs/design/onnx.md). Dimensions named in ``dynamic_shapes`` or ``dynamic_axes`` may change later: it
    runs for
    several sizes, and numbers that follow those sizes are computed by the graph.

    Parameters
    ----------
    model
        A module, or any function of tensors. An `ExportableModule` has its examples with it.
    args, kwargs
        The examples. Values that are no tensors become constants.
    f
        The path to write to; with ``external_data`` the weights go to ``f + ".data"``.
    opset_version
        16 to 23; 18 if None.
    dynamo
        False: the module is put into the mode ``training`` for the export, and nothing is returned.
    custom_opsets
        Versions of the domains of one's own nodes; 1 where nothing is said.
    custom_translation_table
        ``{name of an operator: function}``; see ``flambeau.onnx.symbol``.
    verify
        Compare the result of onnxruntime with that of the module on the examples.

    Returns
    -------
    ONNXProgram
        None if ``dynamo`` is false.

    Raises
    ------
    UnsupportedOperatorError
        It names the operator and the module that called it.
    OnnxExporterError
        For everything else that ONNX cannot express.
    """
    global _exporting
    for given, name in (
        (report, "report"),
        (profile, "profile"),
        (dump_exported_program, "dump_exported_program"),
    ):
        if given:
            raise NotImplementedError(f"torch.onnx.export: {name}=True")
    if export_modules_as_functions:
        raise NotImplementedError("torch.onnx.export: export_modules_as_functions")
    if operator_export_type != OperatorExportTypes.ONNX:
        raise NotImplementedError("torch.onnx.export: only OperatorExportTypes.ONNX")
    if not dynamo and f is None:
        raise ValueError("torch.onnx.export: f is needed when dynamo is False")
    from ._export import build

    if hasattr(type(model), "_export_options") and not args and not kwargs:  # an `ExportableModule`
        said = model._export_options()
        args, kwargs = said["args"], said["kwargs"]
        dynamic_shapes = said["dynamic_shapes"] if dynamic_shapes is None else dynamic_shapes
        input_names = said["input_names"] if input_names is None else input_names
        output_names = said["output_names"] if output_names is None else output_names
    with _mode_of(model, None if dynamo else training):
        _exporting = True
        try:
            parts = build(
                model, args, kwargs, input_names, output_names, opset_version, dynamic_shapes, dynamic_axes,
                {_plain(k): v for k, v in (custom_translation_table or {}).items()}, custom_opsets,
            )  # fmt: skip
        finally:
            _exporting = False
        program = ONNXProgram(*parts)
        if optimize:
            program.optimize()
        if verify:
            _verify(program, model, args, kwargs or {})
    if verbose:
        print(errors.need_onnx().helper.printable_graph(program.model_proto.graph))
    if f is not None:
        program.save(
            f,
            include_initializers=export_params,
            keep_initializers_as_inputs=keep_initializers_as_inputs,
            external_data=external_data if dynamo else None,
        )
    return program if dynamo else None


def _plain(operator: Any) -> str:
    """The name that the table has for an operator, given as a name or as a function such as torch.relu."""
    name = operator if isinstance(operator, str) else getattr(operator, "__name__", str(operator))
    return name.removeprefix("aten.").removeprefix("aten::").removesuffix(".default")


class _mode_of:
    """The mode of a module for the time of its export."""

    def __init__(self, model: Any, training: TrainingMode | None) -> None:
        self.modules = list(model.modules()) if hasattr(model, "modules") else []
        self.modes = [m.training for m in self.modules]
        self.training = training

    def __enter__(self) -> None:
        if self.training is None:
            if any(self.modes[:1]):
                warnings.warn(
                    "Exporting a model while it is in training mode. Please ensure that this is "
                    "intended, as it may "
                    "lead to different behavior during inference. Calling model.eval() before export is "
                    "recommended.",
                    UserWarning,
                    4,
                )
        elif self.training != TrainingMode.PRESERVE:
            for m in self.modules:
                m.training = self.training == TrainingMode.TRAINING

    def __exit__(self, *_: Any) -> None:
        for m, mode in zip(self.modules, self.modes):
            m.training = mode


def _verify(program: ONNXProgram, model: Any, args: Any, kwargs: dict[str, Any]) -> None:
    import flambeau as fb
    from flambeau.jit._program import take_apart

    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    with fb.no_grad():
        wanted: list = []
        given: list = []
        take_apart(model(*args, **kwargs), wanted)
        take_apart(program(*args, **kwargs), given)
    for k, (a, b) in enumerate(zip(given, wanted)):
        try:
            fb.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, equal_nan=True)
        except AssertionError as error:
            raise OnnxExporterError(
                f"Output {k} of onnxruntime differs from that of the model\n{error}"
            ) from None
