"""A quantized layer and its activation as one."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn.quantized.modules import conv as convolutions
from flambeau.ao.nn.quantized.modules import norm
from flambeau.ao.nn.quantized.modules.linear import Linear

__all__ = [
    "BNReLU2d", "BNReLU3d", "ConvAdd2d", "ConvAddReLU2d", "ConvReLU1d", "ConvReLU2d", "ConvReLU3d",
    "LinearLeakyReLU", "LinearReLU", "LinearTanh",
]  # fmt: skip


class LinearReLU(Linear):
    """A linear layer and relu."""

    _FLOAT_MODULE = nni.LinearReLU

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: Any) -> Any:
        """The layer of a quantized tensor."""
        return fb.ops.quantized.linear_relu(
            x, self._packed_params._packed_params, self.scale, self.zero_point
        )

    def _get_name(self) -> str:
        return "QuantizedLinearReLU"

    @classmethod
    def from_reference(cls, ref_linear_relu: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer and relu."""
        return super().from_reference(ref_linear_relu[0], output_scale, output_zero_point)


class LinearLeakyReLU(Linear):
    """A linear layer and leaky relu."""

    _FLOAT_MODULE = nni.LinearLeakyReLU

    def __init__(
        self, in_features: int, out_features: int, negative_slope: float, bias: bool = True,
        dtype: fb.dtype = fb.qint8,
    ) -> None:  # fmt: skip
        super().__init__(in_features, out_features, bias, dtype)
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        """The layer of a quantized tensor."""
        packed = self._packed_params._packed_params
        return fb.ops.quantized.linear_leaky_relu(x, packed, self.scale, self.zero_point, self.negative_slope)

    def _get_name(self) -> str:
        return "QuantizedLinearLeakyReLU"

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of an observed pair."""
        from flambeau.ao.nn.quantized.modules.utils import observed_qparams, quantized_weight, swapped_qparams

        if type(mod) is not nni.LinearLeakyReLU:
            raise AssertionError("Input float module should be LinearLeakyReLU")
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        linear, slope = mod[0], mod[1].negative_slope
        observer = swapped_qparams(linear)
        made = cls(linear.in_features, linear.out_features, slope, dtype=observer.dtype)
        made.set_weight_bias(quantized_weight(linear.weight, observer), linear.bias)
        made.scale, made.zero_point = observed_qparams(mod.activation_post_process)
        return made

    @classmethod
    def from_reference(cls, ref_mod: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer and leaky relu."""
        linear = ref_mod[0]
        made = cls(linear.in_features, linear.out_features, ref_mod[1].negative_slope)
        made.set_weight_bias(linear.get_quantized_weight(), linear.bias)
        made.scale, made.zero_point = float(output_scale), int(output_zero_point)
        return made


class LinearTanh(Linear):
    """A linear layer and tanh."""

    _FLOAT_MODULE = nni.LinearTanh

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: Any) -> Any:
        """The layer of a quantized tensor."""
        return fb.ops.quantized.linear_tanh(
            x, self._packed_params._packed_params, self.scale, self.zero_point
        )

    def _get_name(self) -> str:
        return "QuantizedLinearTanh"

    @classmethod
    def from_reference(cls, ref_mod: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer and tanh."""
        return super().from_reference(ref_mod[0], output_scale, output_zero_point)


class _ConvReLU:
    """A convolution and relu."""

    def forward(self, input: Any) -> Any:
        """The convolution of a quantized tensor."""
        op = getattr(fb.ops.quantized, f"conv{self._dims}d_relu")
        return op(self._padded(input), self._packed_params, self.scale, self.zero_point)

    def _get_name(self) -> str:
        return f"QuantizedConvReLU{self._dims}d"

    @classmethod
    def from_reference(cls, ref_qconv: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer and relu."""
        return super().from_reference(ref_qconv[0], output_scale, output_zero_point)


class ConvReLU1d(_ConvReLU, convolutions.Conv1d):
    """A convolution of lines and relu."""

    _FLOAT_MODULE = nni.ConvReLU1d


class ConvReLU2d(_ConvReLU, convolutions.Conv2d):
    """A convolution of pictures and relu."""

    _FLOAT_MODULE = nni.ConvReLU2d


class ConvReLU3d(_ConvReLU, convolutions.Conv3d):
    """A convolution of volumes and relu."""

    _FLOAT_MODULE = nni.ConvReLU3d


class ConvAdd2d(convolutions.Conv2d):
    """A convolution of pictures, and a tensor added."""

    _add = "conv2d_add"

    def forward(self, input: Any, extra_input: Any) -> Any:
        """The sum."""
        op = getattr(fb.ops.quantized, self._add)
        return op(self._padded(input), extra_input, self._packed_params, self.scale, self.zero_point)

    def _get_name(self) -> str:
        return "QuantizedConvAdd2d"

    @classmethod
    def from_reference(cls, ref_qconv: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer and a sum."""
        return super().from_reference(ref_qconv[0], output_scale, output_zero_point)


class ConvAddReLU2d(ConvAdd2d):
    """A convolution of pictures, a tensor added, and relu."""

    _add = "conv2d_add_relu"

    def _get_name(self) -> str:
        return "QuantizedConvAddReLU2d"


class BNReLU2d(norm.BatchNorm2d):
    """Batch normalisation of pictures and relu."""

    _FLOAT_MODULE = nni.BNReLU2d
    _op, _name = "batch_norm2d_relu", "QuantizedBNReLU2d"

    @classmethod
    def from_reference(cls, bn_relu: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a pair."""
        return super().from_reference(bn_relu[0], output_scale, output_zero_point)


class BNReLU3d(norm.BatchNorm3d):
    """Batch normalisation of volumes and relu."""

    _FLOAT_MODULE = nni.BNReLU3d
    _op, _name = "batch_norm3d_relu", "QuantizedBNReLU3d"

    @classmethod
    def from_reference(cls, bn_relu: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a pair."""
        return super().from_reference(bn_relu[0], output_scale, output_zero_point)
