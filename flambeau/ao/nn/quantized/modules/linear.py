"""The quantized linear layer."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules.linear import NonDynamicallyQuantizableLinear

from .utils import (
    WeightedQuantizedModule,
    folded,
    load_qparams,
    observed_qparams,
    quantized_weight,
    save_qparams,
    swapped_qparams,
)

__all__ = ["Linear", "LinearPackedParams"]


class LinearPackedParams(nn.Module):
    """The weight and bias of a linear layer, prepared for products; in state dicts they are as they were."""

    _version = 3

    def __init__(self, dtype: fb.dtype = fb.qint8) -> None:
        super().__init__()
        self.dtype = dtype
        if dtype == fb.qint8:
            wq = fb._empty_affine_quantized([1, 1], scale=1.0, zero_point=0, dtype=fb.qint8)
        elif dtype == fb.float16:
            wq = fb.zeros([1, 1], dtype=fb.float)
        else:
            raise RuntimeError("Unsupported dtype on dynamic quantized linear!")
        self.set_weight_bias(wq, None)

    def set_weight_bias(self, weight: Any, bias: fb.Tensor | None) -> None:
        """Prepare a weight (quantized, or float32 where dtype is float16) and a bias."""
        pack = "linear_prepack" if self.dtype == fb.qint8 else "linear_prepack_fp16"
        self._packed_params = getattr(fb.ops.quantized, pack)(weight, bias)

    def _weight_bias(self) -> tuple:
        return self._packed_params.unpack()

    def forward(self, x: Any) -> Any:
        """The argument."""
        return x

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "dtype"] = self.dtype
        destination[prefix + "_packed_params"] = self._weight_bias()

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        version = local_metadata.get("version", None)
        self.dtype = fb.qint8 if version is None or version < 2 else state_dict.pop(prefix + "dtype")
        if version is None or version < 3:
            weight, bias = state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias")
        else:
            weight, bias = state_dict.pop(prefix + "_packed_params")
        self.set_weight_bias(weight, bias)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def __repr__(self) -> str:
        return repr(self._weight_bias())


class Linear(WeightedQuantizedModule):
    """``x @ weight.T + bias`` of a quantized tensor, in steps of `scale` from `zero_point`.

    Parameters
    ----------
    in_features, out_features : sizes.
    bias_ : whether there is a bias.
    dtype : that of the weight, qint8.
    """

    _version = 3
    _FLOAT_MODULE: Any = (nn.Linear, NonDynamicallyQuantizableLinear)

    def __init__(
        self, in_features: int, out_features: int, bias_: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        bias = fb.zeros(out_features, dtype=fb.float) if bias_ else None
        if dtype == fb.qint8:
            weight = fb._empty_affine_quantized(
                [out_features, in_features], scale=1, zero_point=0, dtype=dtype
            )
        elif dtype == fb.float16:
            weight = fb.zeros([out_features, in_features], dtype=fb.float)
        else:
            raise RuntimeError("Unsupported dtype specified for quantized Linear!")
        self._packed_params = LinearPackedParams(dtype)
        self._packed_params.set_weight_bias(weight, bias)
        self.scale, self.zero_point = 1.0, 0

    def _get_name(self) -> str:
        return "QuantizedLinear"

    def extra_repr(self) -> str:
        """Sizes and how the result is quantized."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, scale={self.scale}, "
            f"zero_point={self.zero_point}, qscheme={self.weight().qscheme()}"
        )

    def __repr__(self) -> str:
        return f"{self._get_name()}({self.extra_repr()})"

    def forward(self, x: Any) -> Any:
        """The layer of a quantized tensor."""
        return fb.ops.quantized.linear(x, self._packed_params._packed_params, self.scale, self.zero_point)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        save_qparams(self, destination, prefix)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        load_qparams(self, state_dict, prefix)
        version = local_metadata.get("version", None)
        if version is None or version == 1:
            weight, bias = state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias")
            state_dict.update({
                prefix + "_packed_params.weight": weight, prefix + "_packed_params.bias": bias,
            })  # fmt: skip
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def _weight_bias(self) -> tuple:
        return self._packed_params._weight_bias()

    def weight(self) -> Any:
        """The quantized weight."""
        return self._weight_bias()[0]

    def bias(self) -> Any:
        """The bias."""
        return self._weight_bias()[1]

    def set_weight_bias(self, w: Any, b: fb.Tensor | None) -> None:
        """Another weight and bias."""
        self._packed_params.set_weight_bias(w, b)

    @classmethod
    def _checked(cls, mod: nn.Module) -> nn.Module:
        """A float layer whose observers are to be asked; that of a fused one is the linear layer itself."""
        kinds = cls._FLOAT_MODULE if isinstance(cls._FLOAT_MODULE, (tuple, list)) else (cls._FLOAT_MODULE,)
        if type(mod) not in kinds and not hasattr(mod, "weight_fake_quant"):
            names = ", ".join(k.__name__ for k in kinds)
            raise AssertionError(
                f"nnq.{cls.__name__}.from_float only works for {names}, but got: {type(mod)}"
            )
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        return mod

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed, or trained with rounding acted out.

        Parameters
        ----------
        mod : has a ``qconfig`` and an ``activation_post_process``.
        use_precomputed_fake_quant : take the weight's scales as they are.
        """
        if hasattr(mod, "weight_fake_quant"):
            mod = folded(mod)
        cls._checked(mod)
        output = mod.activation_post_process
        if _is_fused(mod) and not hasattr(mod, "weight_fake_quant"):
            mod = mod[0]
        observer = swapped_qparams(mod, use_precomputed_fake_quant)
        if observer.dtype != fb.qint8:
            raise AssertionError(f"Weight observer must have dtype torch.qint8, got {observer.dtype}")
        made = cls(mod.in_features, mod.out_features, dtype=observer.dtype)
        made.set_weight_bias(quantized_weight(mod.weight, observer), mod.bias)
        made.scale, made.zero_point = observed_qparams(output)
        return made

    @classmethod
    def from_reference(cls, ref_qlinear: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer."""
        made = cls(ref_qlinear.in_features, ref_qlinear.out_features)
        made.set_weight_bias(ref_qlinear.get_quantized_weight(), ref_qlinear.bias)
        made.scale, made.zero_point = float(output_scale), int(output_zero_point)
        return made


def _is_fused(mod: nn.Module) -> bool:
    """Whether a layer is a sequence of layers that count as one, the first with the weight."""
    return isinstance(mod, nn.Sequential)
