"""Quantized activations."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from .utils import observed_qparams

__all__ = [
    "Dropout", "ELU", "Hardswish", "LeakyReLU", "PReLU", "ReLU6", "Sigmoid", "Softmax",
]  # fmt: skip


class ReLU6(nn.ReLU):
    """Numbers between 0 and 6."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """The tensor between 0 and 6."""
        return fb.ops.quantized.relu6(input, self.inplace)

    def _get_name(self) -> str:
        return "QuantizedReLU6"

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> ReLU6:
        """The layer of a float one."""
        return ReLU6(mod.inplace)


class Hardswish(nn.Hardswish):
    """``x * relu6(x + 3) / 6``, in steps of `scale` from `zero_point`."""

    def __init__(self, scale: float, zero_point: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.register_buffer("scale", fb.tensor(scale, device=device, dtype=dtype))
        self.register_buffer("zero_point", fb.tensor(zero_point, device=device, dtype=dtype))

    def forward(self, input: Any) -> Any:
        """The activation."""
        return fb.ops.quantized.hardswish(input, float(self.scale), int(self.zero_point))

    def _get_name(self) -> str:
        return "QuantizedHardswish"

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Hardswish:
        """The layer of a float one that was observed."""
        return Hardswish(*observed_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> Hardswish:
        """The layer of a float one."""
        return cls(float(scale), int(zero_point))


class ELU(nn.ELU):
    """The exponential where it is negative, in steps of `scale` from `zero_point`."""

    def __init__(self, scale: float, zero_point: int, alpha: float = 1.0) -> None:
        super().__init__(alpha)
        self.scale, self.zero_point = scale, zero_point

    def forward(self, input: Any) -> Any:
        """The activation."""
        return fb.ops.quantized.elu(input, self.scale, self.zero_point, self.alpha)

    def _get_name(self) -> str:
        return "QuantizedELU"

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> ELU:
        """The layer of a float one that was observed."""
        return ELU(*observed_qparams(mod.activation_post_process), mod.alpha)

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> ELU:
        """The layer of a float one."""
        return cls(float(scale), int(zero_point), mod.alpha)


class LeakyReLU(nn.LeakyReLU):
    """``x``, and where it is negative some of it, in steps of `scale` from `zero_point`."""

    def __init__(
        self, scale: float, zero_point: int, negative_slope: float = 0.01, inplace: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(negative_slope, inplace)
        self.register_buffer("scale", fb.tensor(scale, device=device, dtype=dtype))
        self.register_buffer("zero_point", fb.tensor(zero_point, device=device, dtype=dtype))

    def forward(self, input: Any) -> Any:
        """The activation."""
        return fb.ops.quantized.leaky_relu(
            input, self.negative_slope, self.inplace, float(self.scale), int(self.zero_point)
        )

    def _get_name(self) -> str:
        return "QuantizedLeakyReLU"

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> LeakyReLU:
        """The layer of a float one that was observed."""
        return cls(*observed_qparams(mod.activation_post_process), mod.negative_slope, mod.inplace)

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> LeakyReLU:
        """The layer of a float one."""
        return cls(float(scale), int(zero_point), mod.negative_slope, mod.inplace)


class Sigmoid(nn.Sigmoid):
    """The logistic function, in steps of `output_scale` from `output_zero_point`."""

    def __init__(self, output_scale: float, output_zero_point: int) -> None:
        super().__init__()
        self.output_scale, self.output_zero_point = output_scale, output_zero_point

    def forward(self, input: Any) -> Any:
        """The activation."""
        return fb.ops.quantized.sigmoid(input, self.output_scale, self.output_zero_point)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Sigmoid:
        """The layer of a float one that was observed."""
        return cls(*observed_qparams(mod.activation_post_process))


class Softmax(nn.Softmax):
    """Shares of one, in steps of `scale` from `zero_point`."""

    def __init__(self, dim: int | None = None, scale: float = 1.0, zero_point: int = 0) -> None:
        super().__init__()
        self.dim, self.scale, self.zero_point = dim, scale, zero_point

    def forward(self, input: Any) -> Any:
        """The shares along the dimension."""
        dim = self.dim
        if dim is None:  # that of `functional.softmax`
            dim = 0 if input.dim() in (0, 1, 3) else 1
        return fb.ops.quantized.softmax(input, dim, self.scale, self.zero_point)

    def _get_name(self) -> str:
        return "QuantizedSoftmax"

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Softmax:
        """The layer of a float one that was observed."""
        return Softmax(mod.dim, *observed_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> Softmax:
        """The layer of a float one."""
        return cls(mod.dim, float(scale), int(zero_point))


class Dropout(nn.Dropout):
    """Lets quantized tensors pass."""

    def forward(self, input: Any) -> Any:
        """The tensor."""
        return input

    def _get_name(self) -> str:
        return "QuantizedDropout"

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Dropout:
        """The layer of a float one."""
        return cls(mod.p, mod.inplace)

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> Dropout:
        """The layer of a float one."""
        return cls(mod.p, mod.inplace)


class PReLU(nn.Module):
    """A learned slope where it is negative, in steps of `output_scale` from `output_zero_point`."""

    def __init__(self, output_scale: float, output_zero_point: int, num_parameters: int = 1) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.scale, self.zero_point = output_scale, output_zero_point
        self.set_weight(fb.quantize_per_tensor(fb.randn(num_parameters), 1.0, 0, fb.quint8))

    def set_weight(self, w: Any) -> None:
        """Another slope."""
        self.weight = w

    def forward(self, input: Any) -> Any:
        """The activation."""
        return fb.ops.quantized.prelu(input, self.weight, self.scale, self.zero_point)

    def _get_name(self) -> str:
        return "QuantizedPReLU"

    @classmethod
    def _made(cls, mod: nn.Module, scale: float, zero_point: int, observer: Any) -> PReLU:
        made = cls(scale, zero_point, mod.num_parameters)
        weight = mod.weight.detach().float()
        observer(weight)
        made.set_weight(fb.quantize_per_tensor(weight, *observed_qparams(observer), observer.dtype))
        return made

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> PReLU:
        """The layer of a float one that was observed."""
        return cls._made(mod, *observed_qparams(mod.activation_post_process), mod.qconfig.weight())

    @classmethod
    def from_reference(cls, mod: nn.Module, scale: float, zero_point: int) -> PReLU:
        """The layer of a float one."""
        return cls._made(mod, float(scale), int(zero_point), mod.qconfig.weight())


def __getattr__(name: str) -> Any:
    if name == "MultiheadAttention":
        from .attention import MultiheadAttention

        return MultiheadAttention
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
