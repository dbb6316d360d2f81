"""The dynamic linear layer."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ...modules.linear import Linear as QuantizedLinear
from ...modules.utils import quantized_weight

__all__ = ["Linear", "observer_of"]


def observer_of(mod: nn.Module) -> Any:
    """An observer for the weight of a layer, by its ``qconfig`` or the default."""
    if getattr(mod, "qconfig", None) is not None and mod.qconfig.weight is not None:
        return mod.qconfig.weight()
    from flambeau.ao.quantization.qconfig import default_dynamic_qconfig

    return default_dynamic_qconfig.weight()


class Linear(QuantizedLinear):
    """``x @ weight.T + bias`` with a weight of int8, or of float16; numbers in and out."""

    _version = 4

    def __init__(
        self, in_features: int, out_features: int, bias_: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__(in_features, out_features, bias_, dtype=dtype)
        self.version = 4

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """The layer."""
        ops, packed = fb.ops.quantized, self._packed_params
        if packed.dtype == fb.float16:
            return ops.linear_dynamic_fp16(x, packed._packed_params).to(x.dtype)
        return ops.linear_dynamic(x, packed._packed_params, True).to(x.dtype)

    def _get_name(self) -> str:
        return "DynamicQuantizedLinear"

    def extra_repr(self) -> str:
        """Sizes and how the weight is quantized."""
        dtype = self._packed_params.dtype
        s = f"in_features={self.in_features}, out_features={self.out_features}, dtype={dtype}"
        return s + (f", qscheme={self.weight().qscheme()}" if dtype == fb.qint8 else "")

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        self.version = local_metadata.get("version", None)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one with a ``qconfig``, or of one trained with rounding acted out."""
        if not isinstance(mod, (nn.Linear, nn.Sequential)):
            raise AssertionError(
                "nn.quantized.dynamic.Linear.from_float only works for one of [Linear], got "
                + type(mod).__name__
            )
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        observer = observer_of(mod)
        if isinstance(mod, nn.Sequential):
            mod = mod[0]
        dtype = observer.dtype
        if dtype not in (fb.qint8, fb.float16):
            raise AssertionError(
                f"The only supported dtypes for dynamic quantized linear are qint8 and float16 got: {dtype}"
            )
        observer(mod.weight)
        weight = mod.weight.detach().float()
        if dtype == fb.qint8:
            weight = quantized_weight(weight, observer)
        made = cls(mod.in_features, mod.out_features, dtype=dtype)
        made.set_weight_bias(weight, mod.bias)
        return made

    @classmethod
    def from_reference(cls, ref_qlinear: nn.Module) -> Any:
        """The layer of a reference layer."""
        made = cls(ref_qlinear.in_features, ref_qlinear.out_features, dtype=ref_qlinear.weight_dtype)
        half = ref_qlinear.weight_dtype == fb.float16
        made.set_weight_bias(
            ref_qlinear.weight if half else ref_qlinear.get_quantized_weight(), ref_qlinear.bias
        )
        return made
