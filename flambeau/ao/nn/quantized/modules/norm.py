"""Quantized normalisation."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from .utils import observed_qparams

__all__ = [
    "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm",
]  # fmt: skip


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation with the statistics of training, in steps of `scale` from `zero_point`."""

    _op = "batch_norm2d"
    _name = ""
    _dims = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, True, True, device=device, dtype=dtype)
        _set_qparams(self, 1.0, 0, device, dtype)

    def _get_name(self) -> str:
        return self._name

    def _check_input_dim(self, input: Any) -> None:
        if len(input.shape) != self._dims:
            raise ValueError("Input shape must be `(N, C, H, W)`!")

    def forward(self, input: Any) -> Any:
        """The normalised tensor."""
        if self._dims and "relu" not in self._op:
            self._check_input_dim(input)
        op = getattr(fb.ops.quantized, self._op)
        return op(
            input, self.weight, self.bias, self.running_mean, self.running_var, self.eps, float(self.scale),
            int(self.zero_point),
        )  # fmt: skip

    @classmethod
    def _made(cls, bn: nn.Module, scale: float, zero: int) -> Any:
        made = cls(bn.num_features, bn.eps)
        made.weight, made.bias = bn.weight, bn.bias
        made.running_mean, made.running_var = bn.running_mean, bn.running_var
        made.scale, made.zero_point = fb.tensor(scale), fb.tensor(zero)
        return made

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed."""
        output = mod.activation_post_process
        bn = mod[0] if isinstance(mod, nn.Sequential) else mod
        scale, zero = output.calculate_qparams()
        made = cls._made(bn, 1.0, 0)
        made.scale, made.zero_point = scale, zero
        return made

    @classmethod
    def from_reference(cls, bn: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a float one."""
        return cls._made(bn, float(output_scale), int(output_zero_point))


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of pictures."""

    _op, _name, _dims = "batch_norm2d", "QuantizedBatchNorm2d", 4


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes."""

    _op, _name, _dims = "batch_norm3d", "QuantizedBatchNorm3d", 5


def _set_qparams(mod: nn.Module, scale: float, zero_point: int, device: Any, dtype: Any) -> None:
    mod.register_buffer("scale", fb.tensor(scale, device=device, dtype=dtype))
    mod.register_buffer("zero_point", fb.tensor(zero_point, device=device))


class LayerNorm(nn.LayerNorm):
    """Normalisation over the last dimensions, in steps of `scale` from `zero_point`."""

    def __init__(
        self, normalized_shape: Any, weight: Any, bias: Any, scale: float, zero_point: int, eps: float = 1e-5,
        elementwise_affine: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps, elementwise_affine, device=device, dtype=dtype)
        self.weight, self.bias = weight, bias
        _set_qparams(self, scale, zero_point, device, dtype)

    def forward(self, input: Any) -> Any:
        """The normalised tensor."""
        return fb.ops.quantized.layer_norm(
            input, self.normalized_shape, self.weight, self.bias, self.eps, float(self.scale),
            int(self.zero_point),
        )  # fmt: skip

    def _get_name(self) -> str:
        return "QuantizedLayerNorm"

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed."""
        return cls.from_reference(mod, *observed_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> Any:
        """The layer of a float one."""
        return cls(
            mod.normalized_shape, mod.weight, mod.bias, float(scale), int(zero_point), mod.eps,
            mod.elementwise_affine,
        )  # fmt: skip


class GroupNorm(nn.GroupNorm):
    """Normalisation over groups of channels, in steps of `scale` from `zero_point`."""

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self, num_groups: int, num_channels: int, weight: Any, bias: Any, scale: float, zero_point: int,
        eps: float = 1e-5, affine: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(num_groups, num_channels, eps, affine, device=device, dtype=dtype)
        self.weight, self.bias = weight, bias
        _set_qparams(self, scale, zero_point, device, dtype)

    def forward(self, input: Any) -> Any:
        """The normalised tensor."""
        return fb.ops.quantized.group_norm(
            input, self.num_groups, self.weight, self.bias, self.eps, float(self.scale), int(self.zero_point)
        )

    def _get_name(self) -> str:
        return "QuantizedGroupNorm"

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed."""
        scale, zero = observed_qparams(mod.activation_post_process)
        return cls(mod.num_groups, mod.num_channels, mod.weight, mod.bias, scale, zero, mod.eps, mod.affine)


class _InstanceNorm(nn.modules.instancenorm._InstanceNorm):
    """Normalisation of each channel of each sample, in steps of `scale` from `zero_point`."""

    def __init__(
        self, num_features: int, weight: Any, bias: Any, scale: float, zero_point: int, eps: float = 1e-5,
        momentum: float = 0.1, affine: bool = False, track_running_stats: bool = False, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)
        self.weight, self.bias = weight, bias
        _set_qparams(self, scale, zero_point, device, dtype)

    def forward(self, input: Any) -> Any:
        """The normalised tensor."""
        return fb.ops.quantized.instance_norm(
            input, self.weight, self.bias, self.eps, float(self.scale), int(self.zero_point)
        )

    def _get_name(self) -> str:
        return "Quantized" + type(self).__name__

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed."""
        return cls.from_reference(mod, *observed_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> Any:
        """The layer of a float one."""
        return cls(mod.num_features, mod.weight, mod.bias, float(scale), int(zero_point), mod.eps, mod.affine)


class InstanceNorm1d(_InstanceNorm):
    """Of lines."""


class InstanceNorm2d(_InstanceNorm):
    """Of pictures."""


class InstanceNorm3d(_InstanceNorm):
    """Of volumes."""
