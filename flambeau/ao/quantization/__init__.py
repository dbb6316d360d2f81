"""``torch.ao.quantization``: networks prepared, calibrated or trained, and converted to quantized ones."""

# ruff: noqa: F405

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau._refused import refusing
from flambeau.ao.quantization import quantization_mappings as _mappings
from flambeau.ao.quantization.fake_quantize import *  # noqa: F403
from flambeau.ao.quantization.fake_quantize import FakeQuantizeBase
from flambeau.ao.quantization.fuse_modules import fuse_modules, fuse_modules_qat
from flambeau.ao.quantization.fuser_method_mappings import *  # noqa: F403
from flambeau.ao.quantization.observer import *  # noqa: F403
from flambeau.ao.quantization.observer import ObserverBase
from flambeau.ao.quantization.qconfig import *  # noqa: F403
from flambeau.ao.quantization.qconfig_mapping import *  # noqa: F403
from flambeau.ao.quantization.quant_type import *  # noqa: F403
from flambeau.ao.quantization.quantize import *  # noqa: F403
from flambeau.ao.quantization.stubs import *  # noqa: F403
from flambeau.ao.quantization.utils import MatchAllNode, Pattern, get_combined_dict

for _name in _mappings.__all__:
    if not _name.startswith("DEFAULT"):
        globals()[_name] = getattr(_mappings, _name)

ObserverOrFakeQuantize = ObserverBase | FakeQuantizeBase

__all__ = [
    "DeQuantStub", "FakeQuantize", "FakeQuantizeBase", "FixedQParamsFakeQuantize", "FixedQParamsObserver",
    "FusedMovingAvgObsFakeQuantize", "HistogramObserver", "MatchAllNode", "MinMaxObserver",
    "MovingAverageMinMaxObserver", "MovingAveragePerChannelMinMaxObserver", "NoopObserver", "ObserverBase",
    "ObserverOrFakeQuantize", "Pattern", "PerChannelMinMaxObserver", "PlaceholderObserver", "QConfig",
    "QConfigAny", "QConfigDynamic", "QConfigMapping", "QuantStub", "QuantType", "QuantWrapper",
    "RecordingObserver", "ReuseInputObserver", "UniformQuantizationObserverBase", "add_quant_dequant",
    "convert", "convert_dynamic_jit", "convert_jit", "default_affine_fixed_qparams_fake_quant",
    "default_affine_fixed_qparams_observer", "default_debug_observer", "default_dynamic_fake_quant",
    "default_dynamic_quant_observer", "default_embedding_fake_quant", "default_embedding_fake_quant_4bit",
    "default_eval_fn", "default_fake_quant", "default_fixed_qparams_range_0to1_fake_quant",
    "default_fixed_qparams_range_0to1_observer", "default_fixed_qparams_range_neg1to1_fake_quant",
    "default_fixed_qparams_range_neg1to1_observer", "default_float_qparams_observer",
    "default_float_qparams_observer_4bit", "default_fused_act_fake_quant",
    "default_fused_per_channel_wt_fake_quant", "default_fused_wt_fake_quant",
    "default_histogram_fake_quant", "default_histogram_observer", "default_observer",
    "default_per_channel_weight_fake_quant", "default_per_channel_weight_observer",
    "default_placeholder_observer", "default_reuse_input_observer",
    "default_symmetric_fixed_qparams_fake_quant", "default_symmetric_fixed_qparams_observer",
    "default_weight_fake_quant", "default_weight_observer", "disable_fake_quant", "disable_observer",
    "enable_fake_quant", "enable_observer", "fuse_conv_bn", "fuse_conv_bn_jit", "fuse_conv_bn_relu",
    "fuse_convtranspose_bn", "fuse_linear_bn", "fuse_modules", "fuse_modules_qat",
    "fused_per_channel_wt_fake_quant_range_neg_127_to_127", "fused_wt_fake_quant_range_neg_127_to_127",
    "get_combined_dict", "get_default_compare_output_module_list", "get_default_custom_config_dict",
    "get_default_dynamic_quant_module_mappings", "get_default_dynamic_sparse_quant_module_mappings",
    "get_default_float_to_quantized_operator_mappings", "get_default_qat_module_mappings",
    "get_default_qat_qconfig", "get_default_qat_qconfig_dict", "get_default_qat_qconfig_mapping",
    "get_default_qconfig", "get_default_qconfig_dict", "get_default_qconfig_mapping",
    "get_default_qconfig_propagation_list", "get_default_static_quant_module_mappings",
    "get_default_static_quant_reference_module_mappings", "get_default_static_sparse_quant_module_mappings",
    "get_dynamic_quant_module_class", "get_embedding_qat_module_mappings",
    "get_embedding_static_quant_module_mappings", "get_fuser_method", "get_fuser_method_new",
    "get_observer_state_dict", "get_quantized_operator", "get_static_quant_module_class",
    "load_observer_state_dict", "no_observer_set", "per_channel_weight_observer_range_neg_127_to_127",
    "prepare", "prepare_dynamic_jit", "prepare_jit", "prepare_qat", "propagate_qconfig_", "qconfig_equals",
    "quantize", "quantize_dynamic", "quantize_dynamic_jit", "quantize_jit", "quantize_qat",
    "script_qconfig", "script_qconfig_dict", "swap_module", "weight_observer_range_neg_127_to_127",
    "AffineQuantizedObserverBase", "Granularity", "MappingType", "PerAxis", "PerBlock", "PerGroup",
    "PerRow", "PerTensor", "PerToken", "TorchAODType", "ZeroPointDomain", "get_block_size",
]  # fmt: skip


def default_eval_fn(model: nn.Module, calib_data: Iterable) -> None:
    """Call a network with the inputs of pairs of input and target."""
    for data, _ in calib_data:
        model(data)


class _DerivedObserverOrFakeQuantize(ObserverBase):
    """An observer whose scale and zero point a function makes of other observers.

    Parameters
    ----------
    dtype : dtype
    obs_or_fqs : list
        The others.
    derive_qparams_fn : callable
    quant_min, quant_max : int, optional
    qscheme : qscheme, optional
    ch_axis : int, optional
    """

    def __init__(
        self, dtype: fb.dtype, obs_or_fqs: list, derive_qparams_fn: Callable, quant_min: int | None = None,
        quant_max: int | None = None, qscheme: Any = None, ch_axis: int | None = None,
    ) -> None:  # fmt: skip
        from flambeau.ao.quantization.utils import is_per_channel

        super().__init__(dtype)
        self.obs_or_fqs = obs_or_fqs
        self.derive_qparams_fn = derive_qparams_fn
        self.quant_min, self.quant_max = quant_min, quant_max
        self.qscheme, self.ch_axis = qscheme, ch_axis
        if is_per_channel(qscheme) and ch_axis is None:
            raise AssertionError("Must provide a valid ch_axis if qscheme is per channel")

    def forward(self, x: Tensor) -> Tensor:
        """The tensor."""
        return x

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        return self.derive_qparams_fn(self.obs_or_fqs)


# TorchScript has a flow of its own
_JIT = {
    "convert_dynamic_jit": "model inplace= debug= preserved_attrs=",
    "convert_jit": "model inplace= debug= preserved_attrs=",
    "fuse_conv_bn_jit": "model inplace=",
    "prepare_dynamic_jit": "model qconfig_dict inplace=",
    "prepare_jit": "model qconfig_dict inplace=",
    "quantize_dynamic_jit": "model qconfig_dict inplace= debug=",
    "quantize_jit": "model qconfig_dict run_fn run_args inplace= debug=",
    "script_qconfig": "qconfig",
    "script_qconfig_dict": "qconfig_dict",
    "_prepare_ondevice_dynamic_jit": "model qconfig_dict method_name= inplace=",
    "_convert_ondevice_dynamic_jit": "model method_name inplace= debug= preserved_attrs=",
    "_quantize_ondevice_dynamic_jit": "model qconfig_dict method_name inplace= debug=",
}


def _absent(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"torch.ao.quantization.{name}: flambeau does not quantize TorchScript; use prepare and convert, "
        "or prepare_fx and convert_fx"
    )


for _name, _parameters in _JIT.items():
    globals()[_name] = refusing(_name, _parameters, partial(_absent, _name))
del _name, _parameters


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("backend_config", "fx", "quantize_fx", "_learnable_fake_quantize", "pt2e", "quantizer"):
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
