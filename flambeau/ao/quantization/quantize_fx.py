"""Networks traced, prepared and converted as graphs."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from flambeau import fx, nn
from flambeau.ao.nn.quantized import FloatFunctional, FXFloatFunctional
from flambeau.ao.quantization.backend_config import BackendConfig
from flambeau.ao.quantization.fx.convert import convert
from flambeau.ao.quantization.fx.custom_config import (
    ConvertCustomConfig,
    FuseCustomConfig,
    PrepareCustomConfig,
)
from flambeau.ao.quantization.fx.fuse import fuse
from flambeau.ao.quantization.fx.prepare import prepare
from flambeau.ao.quantization.fx.tracer import QuantizationTracer
from flambeau.ao.quantization.qconfig_mapping import QConfigMapping
from flambeau.ao.quantization.quantize import _deprecated, _remove_qconfig

__all__ = ["convert_fx", "convert_to_reference_fx", "fuse_fx", "prepare_fx", "prepare_qat_fx"]

_KEPT = ("_quantization_scopes", "_quantized_names")


def _settings(given: Any, kind: type, name: str) -> Any:
    if given is None:
        return kind()
    if isinstance(given, dict):
        warnings.warn(
            f"Passing a {name}_dict to prepare is deprecated and will not be supported in a future version. "
            f"Please pass in a {kind.__name__} instead.",
            FutureWarning,
            stacklevel=3,
        )
        return kind.from_dict(given)
    return given


def _known_backend(backend_config: Any) -> None:
    known = ("native", "x86", "fbgemm", "qnnpack", "onednn")
    if backend_config is not None and getattr(backend_config, "name", None) not in known:
        raise NotImplementedError("quantize_fx: flambeau does not take a backend_config of a program")


def _trace(model: nn.Module, custom: Any) -> tuple[fx.GraphModule, dict]:
    if not isinstance(model, nn.Module):
        raise ValueError(f"Input model must be a torch.nn.Module, Got type {type(model)}")
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is FloatFunctional:
                module._modules[name] = FXFloatFunctional()
    names = getattr(custom, "non_traceable_module_names", [])
    classes = getattr(custom, "non_traceable_module_classes", [])
    tracer = QuantizationTracer(names, classes)
    graph = tracer.trace(model)
    made = fx.GraphModule(model, graph)
    made.train(model.training)
    _preserve(model, made, custom.preserved_attributes)
    return made, tracer.node_name_to_scope


def _preserve(source: nn.Module, target: nn.Module, names: list[str]) -> None:
    kept = {name: getattr(source, name) for name in names}
    for name, value in kept.items():
        setattr(target, name, value)


def fuse_fx(
    model: nn.Module, fuse_custom_config: Any = None, backend_config: BackendConfig | None = None
) -> fx.GraphModule:
    """A traced network with layers made one, for evaluation.

    Parameters
    ----------
    model : Module
    fuse_custom_config : FuseCustomConfig, optional
    backend_config : BackendConfig, optional
    """
    _known_backend(backend_config)
    custom = _settings(fuse_custom_config, FuseCustomConfig, "fuse_custom_config")
    made, _ = _trace(model, custom)
    fused = fuse(made, False)
    _preserve(made, fused, custom.preserved_attributes)
    return fused


def _prepare_fx(
    model: nn.Module, qconfig_mapping: Any, is_qat: bool, prepare_custom_config: Any, backend_config: Any
) -> fx.GraphModule:
    _known_backend(backend_config)
    custom = _settings(prepare_custom_config, PrepareCustomConfig, "prepare_custom_config")
    mapping = _settings(qconfig_mapping, QConfigMapping, "qconfig")
    made, scopes = _trace(model, custom)
    made = prepare(fuse(made, is_qat), mapping, is_qat, scopes, custom)
    _preserve(model, made, custom.preserved_attributes)
    return made


@_deprecated
def prepare_fx(
    model: nn.Module, qconfig_mapping: QConfigMapping | dict, example_inputs: tuple,
    prepare_custom_config: PrepareCustomConfig | dict | None = None, _equalization_config: Any = None,
    backend_config: BackendConfig | dict | None = None,
) -> fx.GraphModule:  # fmt: skip
    """A traced network with observers.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    qconfig_mapping : QConfigMapping
    example_inputs : tuple
        Arguments of a call.
    prepare_custom_config : PrepareCustomConfig, optional
    backend_config : BackendConfig, optional
    """
    if _equalization_config is not None:
        raise NotImplementedError("prepare_fx: flambeau does not take _equalization_config")
    return _prepare_fx(model, qconfig_mapping, False, prepare_custom_config, backend_config)


@_deprecated
def prepare_qat_fx(
    model: nn.Module, qconfig_mapping: QConfigMapping | dict, example_inputs: tuple,
    prepare_custom_config: PrepareCustomConfig | dict | None = None,
    backend_config: BackendConfig | dict | None = None,
) -> fx.GraphModule:  # fmt: skip
    """A traced network with fake quantization.

    Parameters
    ----------
    model : Module
        In training mode.
    qconfig_mapping : QConfigMapping
    example_inputs : tuple
        Arguments of a call.
    prepare_custom_config : PrepareCustomConfig, optional
    backend_config : BackendConfig, optional
    """
    return _prepare_fx(model, qconfig_mapping, True, prepare_custom_config, backend_config)


def _convert_fx(graph_module: Any, reference: bool, custom_config: Any, remove: bool) -> fx.GraphModule:
    if not hasattr(graph_module, "_quantization_scopes"):
        raise AssertionError("incoming model must be produced by prepare_fx")
    custom = _settings(custom_config, ConvertCustomConfig, "convert_custom_config")
    if custom.observed_to_quantized_mapping:
        raise NotImplementedError(
            "convert_fx: flambeau does not take ConvertCustomConfig.observed_to_quantized_mapping"
        )
    made = copy.deepcopy(graph_module)
    for name in _KEPT:
        if hasattr(graph_module, name):
            setattr(made, name, getattr(graph_module, name))
    made = convert(made, reference)
    if remove:
        _remove_qconfig(made)
    for name in _KEPT:
        made.__dict__.pop(name, None)
    _preserve(graph_module, made, custom.preserved_attributes)
    return made


@_deprecated
def convert_fx(
    graph_module: fx.GraphModule, convert_custom_config: ConvertCustomConfig | dict | None = None,
    _remove_qconfig: bool = True, qconfig_mapping: Any = None, backend_config: Any = None,
    keep_original_weights: bool = False,
) -> fx.GraphModule:  # fmt: skip
    """The quantized network of a prepared one that was calibrated or trained.

    Parameters
    ----------
    graph_module : GraphModule
        Of `prepare_fx` or `prepare_qat_fx`.
    convert_custom_config : ConvertCustomConfig, optional
    backend_config : BackendConfig, optional
    """
    _known_backend(backend_config)
    return _convert_fx(graph_module, False, convert_custom_config, _remove_qconfig)


def convert_to_reference_fx(
    graph_module: fx.GraphModule, convert_custom_config: ConvertCustomConfig | dict | None = None,
    _remove_qconfig: bool = True, qconfig_mapping: Any = None, backend_config: Any = None,
) -> fx.GraphModule:  # fmt: skip
    """The network of a prepared one in which layers dequantize, compute and quantize.

    Parameters
    ----------
    graph_module : GraphModule
        Of `prepare_fx` or `prepare_qat_fx`.
    convert_custom_config : ConvertCustomConfig, optional
    backend_config : BackendConfig, optional
    """
    _known_backend(backend_config)
    return _convert_fx(graph_module, True, convert_custom_config, _remove_qconfig)
