"""`QConfigMapping`: which `QConfig` goes to which part of a network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.ao.quantization.fake_quantize import FixedQParamsFakeQuantize, default_weight_fake_quant
from flambeau.ao.quantization.observer import (
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
    default_placeholder_observer,
    default_weight_observer,
)
from flambeau.ao.quantization.qconfig import (
    _MAPPINGS,
    QConfig,
    QConfigAny,
    default_quint8_weight_qconfig,
    default_reuse_input_qconfig,
    default_symmetric_qnnpack_qat_qconfig,
    default_symmetric_qnnpack_qconfig,
    get_default_qat_qconfig,
    get_default_qconfig,
)
from flambeau.nn import functional as F

__all__ = ["get_default_qconfig_mapping", "get_default_qat_qconfig_mapping", "QConfigMapping"]

# attribute -> key in a dictionary, in rising priority
_STYLES = {
    "global_qconfig": "",
    "object_type_qconfigs": "object_type",
    "module_name_regex_qconfigs": "module_name_regex",
    "module_name_qconfigs": "module_name",
    "module_name_object_type_order_qconfigs": "module_name_object_type_order",
}
_QCONFIG_STYLE_ORDER = list(_STYLES)


class QConfigMapping:
    """Which `QConfig` goes where. The methods have rising priority and give the mapping back."""

    def __init__(self) -> None:
        self.global_qconfig: QConfigAny = None
        self.object_type_qconfigs: OrderedDict[Any, QConfigAny] = OrderedDict()
        self.module_name_regex_qconfigs: OrderedDict[str, QConfigAny] = OrderedDict()
        self.module_name_qconfigs: OrderedDict[str, QConfigAny] = OrderedDict()
        self.module_name_object_type_order_qconfigs: OrderedDict[tuple, QConfigAny] = OrderedDict()

    def set_global(self, global_qconfig: QConfigAny) -> QConfigMapping:
        """For everything."""
        self.global_qconfig = global_qconfig
        return self

    def set_object_type(self, object_type: Callable | str, qconfig: QConfigAny) -> QConfigMapping:
        """For a class of modules, a function, or a method by its name."""
        self.object_type_qconfigs[object_type] = qconfig
        return self

    def set_module_name_regex(self, module_name_regex: str, qconfig: QConfigAny) -> QConfigMapping:
        """For modules whose names fit; the first expression that fits counts."""
        self.module_name_regex_qconfigs[module_name_regex] = qconfig
        return self

    def set_module_name(self, module_name: str, qconfig: QConfigAny) -> QConfigMapping:
        """For a module by its name."""
        self.module_name_qconfigs[module_name] = qconfig
        return self

    def set_module_name_object_type_order(
        self, module_name: str, object_type: Callable, index: int, qconfig: QConfigAny
    ) -> QConfigMapping:
        """For the `index`-th use of a class or function in a module."""
        self.module_name_object_type_order_qconfigs[module_name, object_type, index] = qconfig
        return self

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for style in _STYLES:
            entries = getattr(self, style)
            lines.append(f" {style}")
            if isinstance(entries, OrderedDict) and entries:
                lines += [f"  {key}: {qconfig}" for key, qconfig in entries.items()]
            else:
                lines.append(f"  {entries}")
        return "\n".join([*lines, ")"])

    def to_dict(self) -> dict[str, Any]:
        """The mapping as a dictionary of lists."""
        made: dict[str, Any] = {"": self.global_qconfig}
        for style, key in list(_STYLES.items())[1:]:
            made[key] = [
                (*(k if isinstance(k, tuple) else (k,)), qconfig)
                for k, qconfig in getattr(self, style).items()
            ]
        return made

    @classmethod
    def from_dict(cls, qconfig_dict: dict[str, Any]) -> QConfigMapping:
        """The mapping of a dictionary of lists."""
        made = cls()
        if "" in qconfig_dict:
            made.set_global(qconfig_dict[""])
        for key in list(_STYLES.values())[1:]:
            for entry in qconfig_dict.get(key, []):
                getattr(made, f"set_{key}")(*entry)
        return made


# results in [0, 1] and in [-1, 1], whatever the input
_ZERO_TO_ONE = (
    nn.Hardsigmoid, F.hardsigmoid, "hardsigmoid", "hardsigmoid_", nn.Sigmoid, fb.sigmoid, "sigmoid",
    "sigmoid_", nn.Softmax,
)  # fmt: skip
_MINUS_ONE_TO_ONE = (nn.Tanh, fb.tanh, "tanh", "tanh_")
_FIXED_QPARAMS_OP_TO_OBSERVER: dict[Any, Any] = {
    **dict.fromkeys(_ZERO_TO_ONE, default_fixed_qparams_range_0to1_observer),
    **dict.fromkeys(_MINUS_ONE_TO_ONE, default_fixed_qparams_range_neg1to1_observer),
}


def _get_default_qconfig_mapping(is_qat: bool, backend: str, version: int) -> QConfigMapping:
    qconfig = (get_default_qat_qconfig if is_qat else get_default_qconfig)(backend, version)
    weight = default_weight_fake_quant if is_qat else default_weight_observer
    # no scale for each channel here
    transposed = QConfig(qconfig.activation, weight) if backend in ("fbgemm", "x86") else qconfig
    layer_norm = QConfig(qconfig.activation, default_placeholder_observer)
    made = QConfigMapping().set_global(qconfig).set_object_type("reshape", default_reuse_input_qconfig)
    for kind in (
        nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
        F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d,
    ):  # fmt: skip
        made.set_object_type(kind, transposed)
    made.set_object_type(F.layer_norm, layer_norm).set_object_type(nn.LayerNorm, layer_norm)
    made.set_object_type(nn.PReLU, default_quint8_weight_qconfig)
    fixed: dict[Any, QConfig] = {}
    for kind, observer in _FIXED_QPARAMS_OP_TO_OBSERVER.items():
        if observer not in fixed:
            activation = FixedQParamsFakeQuantize.with_args(observer=observer) if is_qat else observer
            fixed[observer] = QConfig(activation, weight)
        made.set_object_type(kind, fixed[observer])
    return made


def get_default_qconfig_mapping(backend: str = "x86", version: int = 0) -> QConfigMapping:
    """The mapping for calibration.

    Parameters
    ----------
    backend : {"x86", "fbgemm", "qnnpack", "onednn"}
    version : int
    """
    return _get_default_qconfig_mapping(False, backend, version)


def get_default_qat_qconfig_mapping(backend: str = "x86", version: int = 1) -> QConfigMapping:
    """The mapping for training.

    Parameters
    ----------
    backend : {"x86", "fbgemm", "qnnpack", "onednn"}
    version : int
    """
    return _get_default_qconfig_mapping(True, backend, version)


_MAPPINGS["get_default_qconfig"] = get_default_qconfig_mapping
_MAPPINGS["get_default_qat_qconfig"] = get_default_qat_qconfig_mapping


def _get_default_qconfig_mapping_with_default_qconfig(
    is_qat: bool, backend: str, default_qconfig: QConfig
) -> QConfigMapping:
    made = (get_default_qat_qconfig_mapping if is_qat else get_default_qconfig_mapping)(backend)
    made.set_global(default_qconfig)
    for kind in made.object_type_qconfigs:
        if kind not in _FIXED_QPARAMS_OP_TO_OBSERVER:
            made.set_object_type(kind, default_qconfig)
    return made


def _get_symmetric_qnnpack_qconfig_mapping() -> QConfigMapping:
    return _get_default_qconfig_mapping_with_default_qconfig(
        False, "qnnpack", default_symmetric_qnnpack_qconfig
    )


def _get_symmetric_qnnpack_qat_qconfig_mapping() -> QConfigMapping:
    return _get_default_qconfig_mapping_with_default_qconfig(
        True, "qnnpack", default_symmetric_qnnpack_qat_qconfig
    )
