"""Which class takes the place of which when a network is prepared or converted.

The tables are made at their first use: they name the quantized layers, which few programs need.
"""

from __future__ import annotations

import copy
import functools
import importlib
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.quantization.fake_quantize import (
    default_fixed_qparams_range_0to1_fake_quant,
    default_fixed_qparams_range_neg1to1_fake_quant,
)
from flambeau.ao.quantization.stubs import DeQuantStub, QuantStub
from flambeau.ao.quantization.utils import get_combined_dict
from flambeau.nn import functional as F
from flambeau.nn.utils.parametrize import type_before_parametrizations

__all__ = [  # noqa: F822 (the tables)
    "DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS", "DEFAULT_STATIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_QAT_MODULE_MAPPINGS", "DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS", "DEFAULT_MODULE_TO_ACT_POST_PROCESS",
    "DEFAULT_STATIC_SPARSE_QUANT_MODULE_MAPPINGS", "DEFAULT_DYNAMIC_SPARSE_QUANT_MODULE_MAPPINGS",
    "no_observer_set", "get_default_static_quant_module_mappings",
    "get_default_static_quant_reference_module_mappings", "get_embedding_static_quant_module_mappings",
    "get_default_static_sparse_quant_module_mappings", "get_static_quant_module_class",
    "get_dynamic_quant_module_class", "get_default_qat_module_mappings", "get_embedding_qat_module_mappings",
    "get_default_dynamic_quant_module_mappings", "get_default_dynamic_sparse_quant_module_mappings",
    "get_default_qconfig_propagation_list", "get_default_compare_output_module_list",
    "get_default_float_to_quantized_operator_mappings", "get_quantized_operator",
]  # fmt: skip

_NonDynamic = nn.modules.linear.NonDynamicallyQuantizableLinear


class _Layers:
    """A package of layers; None for those that are not there."""

    def __init__(self, path: str) -> None:
        try:
            self._package: Any = importlib.import_module("flambeau.ao.nn." + path)
        except ModuleNotFoundError:
            self._package = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._package, name, None)


_ao = _Layers


def _named(home: Any, names: str, source: Any = nn) -> dict[type, Any]:
    """Classes of `source` to those of the same name in `home`."""
    return {getattr(source, name): getattr(home, name) for name in names.split()}


def _reference() -> dict:
    nnq, nnr = _ao("quantized"), _ao("quantized.reference")
    return {
        QuantStub: nnq.Quantize,
        DeQuantStub: nnq.DeQuantize,
        **_named(nnr, "Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
        **_named(nnr, "Embedding EmbeddingBag GRUCell LSTMCell RNNCell LSTM"),
    }


def _static() -> dict:
    nnq, nniq, nniqat, nnqat = (_ao(p) for p in ("quantized", "intrinsic.quantized", "intrinsic.qat", "qat"))
    return {
        QuantStub: nnq.Quantize,
        DeQuantStub: nnq.DeQuantize,
        **_named(nnq, "BatchNorm2d BatchNorm3d Dropout Conv1d Conv2d Conv3d"),
        **_named(nnq, "ConvTranspose1d ConvTranspose2d ConvTranspose3d ELU Embedding EmbeddingBag GroupNorm"),
        **_named(nnq, "Hardswish InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm LeakyReLU"),
        _NonDynamic: nnq.Linear,
        **_named(nnq, "Linear ReLU6 PReLU"),
        nnq.FloatFunctional: nnq.QFunctional,
        **_named(nniq, "BNReLU2d BNReLU3d ConvReLU1d ConvReLU2d ConvReLU3d ConvAdd2d ConvAddReLU2d", nni),
        **_named(nniq, "LinearReLU LinearLeakyReLU LinearTanh", nni),
        nniqat.ConvBn1d: nnq.Conv1d,
        nniqat.ConvBn2d: nnq.Conv2d,
        nniqat.ConvBn3d: nnq.Conv3d,
        nniqat.ConvBnReLU1d: nniq.ConvReLU1d,
        nniqat.ConvBnReLU2d: nniq.ConvReLU2d,
        nniqat.ConvBnReLU3d: nniq.ConvReLU3d,
        **_named(nniq, "ConvReLU2d ConvReLU3d LinearReLU", nniqat),
        nniqat.LinearBn1d: nnq.Linear,
        **_named(nnq, "Linear Conv2d Conv3d", nnqat),
    }


def _qat() -> dict:
    nniqat, nnqat = _ao("intrinsic.qat"), _ao("qat")
    return {
        **_named(nnqat, "Conv2d Conv3d Linear"),
        _NonDynamic: nnqat.Linear,
        **_named(nniqat, "ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d", nni),
        **_named(nniqat, "ConvReLU2d ConvReLU3d LinearReLU LinearBn1d", nni),
    }


def _dynamic() -> dict:
    nnqd, nnq = _ao("quantized.dynamic"), _ao("quantized")
    return {
        nn.GRUCell: nnqd.GRUCell,
        nn.Linear: nnqd.Linear,
        _ao("qat.dynamic").Linear: nnqd.Linear,
        _NonDynamic: nnqd.Linear,
        **_named(nnqd, "LSTM GRU LSTMCell RNNCell"),
        nni.LinearReLU: _ao("intrinsic.quantized.dynamic").LinearReLU,
        **_named(nnq, "EmbeddingBag Embedding"),
    }


def _operators() -> dict:
    names = "elu hardswish instance_norm layer_norm leaky_relu dropout".split()
    return {getattr(F, name): getattr(fb.ops.quantized, name) for name in names}


def _sparse_missing() -> dict:
    raise NotImplementedError("torch.ao.nn.sparse.quantized: flambeau has no sparse quantized layers")


DEFAULT_MODULE_TO_ACT_POST_PROCESS: dict[Any, Any] = {
    **dict.fromkeys((nn.Hardsigmoid, nn.Sigmoid, nn.Softmax), default_fixed_qparams_range_0to1_fake_quant),
    nn.Tanh: default_fixed_qparams_range_neg1to1_fake_quant,
}
_INCLUDE_QCONFIG_PROPAGATE_LIST: set[Any] = {nn.Sequential}

_TABLES: dict[str, Callable[[], dict]] = {
    "DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS": _reference,
    "DEFAULT_STATIC_QUANT_MODULE_MAPPINGS": _static,
    "DEFAULT_QAT_MODULE_MAPPINGS": _qat,
    "DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS": _dynamic,
    "DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS": _operators,
    "DEFAULT_STATIC_SPARSE_QUANT_MODULE_MAPPINGS": _sparse_missing,
    "DEFAULT_DYNAMIC_SPARSE_QUANT_MODULE_MAPPINGS": _sparse_missing,
}


@functools.cache
def _table(name: str) -> dict:
    return {old: new for old, new in _TABLES[name]().items() if old is not None}


def __getattr__(name: str) -> Any:
    if name in _TABLES:
        return _table(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _copied(name: str) -> dict:
    return copy.copy(_table(name))  # classes are not copied


def no_observer_set() -> set[Any]:
    """Classes that observe inside."""
    from flambeau.ao.nn import quantizable

    return {quantizable.LSTM, quantizable.MultiheadAttention}


def get_default_static_quant_module_mappings() -> dict[Any, Any]:
    """Layers to quantized layers."""
    return _copied("DEFAULT_STATIC_QUANT_MODULE_MAPPINGS")


def get_default_static_quant_reference_module_mappings() -> dict[Any, Any]:
    """Layers to layers that dequantize, compute and quantize."""
    return _copied("DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS")


def get_embedding_static_quant_module_mappings() -> dict[Any, Any]:
    """Layers to quantized layers, those of tables trained for it too."""
    return {
        **get_default_static_quant_module_mappings(),
        **_named(_ao("quantized"), "EmbeddingBag Embedding", _ao("qat")),
    }


def get_default_static_sparse_quant_module_mappings() -> dict[Any, Any]:
    """Layers to sparse quantized layers."""
    return _copied("DEFAULT_STATIC_SPARSE_QUANT_MODULE_MAPPINGS")


def _class_of(float_module_class: Any, table: str, further: dict | None) -> Any:
    found = get_combined_dict(_table(table), further or {}).get(float_module_class)
    if found is None:
        raise AssertionError(
            f"Floating point module class {float_module_class} does not have a corresponding "
            "quantized module class"
        )
    return found


def get_static_quant_module_class(
    float_module_class: Any, additional_static_quant_mapping: dict | None = None, is_reference: bool = False
) -> Any:
    """The quantized class of a class of layers.

    Parameters
    ----------
    float_module_class : class
    additional_static_quant_mapping : dict, optional
    is_reference : bool
    """
    table = f"DEFAULT_{'REFERENCE_' if is_reference else ''}STATIC_QUANT_MODULE_MAPPINGS"
    return _class_of(float_module_class, table, additional_static_quant_mapping)


def get_dynamic_quant_module_class(
    float_module_class: Any, additional_dynamic_quant_mapping: dict | None = None
) -> Any:
    """The class, of layers quantized at the call, of a class of layers.

    Parameters
    ----------
    float_module_class : class
    additional_dynamic_quant_mapping : dict, optional
    """
    return _class_of(
        float_module_class, "DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS", additional_dynamic_quant_mapping
    )


def get_default_qat_module_mappings() -> dict[Any, Any]:
    """Layers to layers with fake quantization."""
    return _copied("DEFAULT_QAT_MODULE_MAPPINGS")


def get_embedding_qat_module_mappings() -> dict[Any, Any]:
    """Layers to layers with fake quantization, tables too."""
    return {**get_default_qat_module_mappings(), **_named(_ao("qat"), "EmbeddingBag Embedding")}


def get_default_dynamic_quant_module_mappings() -> dict[Any, Any]:
    """Layers to layers quantized at the call."""
    return _table("DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS")


def get_default_dynamic_sparse_quant_module_mappings() -> dict[Any, Any]:
    """Layers to sparse layers quantized at the call."""
    return _table("DEFAULT_DYNAMIC_SPARSE_QUANT_MODULE_MAPPINGS")


def _swapped() -> list[dict]:
    return [_table(f"DEFAULT_{kind}_MODULE_MAPPINGS") for kind in ("STATIC_QUANT", "QAT", "DYNAMIC_QUANT")]


def get_default_qconfig_propagation_list() -> set[Any]:
    """Classes that `prepare` puts observers after."""
    return set().union(*_swapped(), _INCLUDE_QCONFIG_PROPAGATE_LIST)


def get_default_compare_output_module_list() -> set[Any]:
    """Classes whose results a comparison of two networks looks at."""
    return get_default_qconfig_propagation_list().union(*(table.values() for table in _swapped()))


def get_default_float_to_quantized_operator_mappings() -> dict[Any, Any]:
    """Functions to operators of quantized tensors."""
    return _copied("DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS")


def get_quantized_operator(float_op: Any) -> Any:
    """The operator of quantized tensors for a function."""
    found = _table("DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS").get(float_op)
    if found is None:
        raise AssertionError(f"Operator {float_op} does not have corresponding quantized op")
    return found


def _get_special_act_post_process(module: nn.Module) -> Any:
    return DEFAULT_MODULE_TO_ACT_POST_PROCESS.get(type_before_parametrizations(module))


def _has_special_act_post_process(module: nn.Module) -> bool:
    return module.training and type(module) in DEFAULT_MODULE_TO_ACT_POST_PROCESS
