"""Layers from numbers to quantized tensors and back."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from .utils import observed_qparams

__all__ = ["DeQuantize", "MaxPool2d", "Quantize"]

MaxPool2d = nn.MaxPool2d


class Quantize(nn.Module):
    """Quantizes numbers.

    Parameters
    ----------
    scale, zero_point, dtype : those of the result.
    """

    scale: fb.Tensor
    zero_point: fb.Tensor

    def __init__(
        self, scale: float, zero_point: int, dtype: fb.dtype, factory_kwargs: dict | None = None
    ) -> None:
        options = nn.factory_kwargs(factory_kwargs)
        super().__init__()
        self.register_buffer("scale", fb.tensor([scale], **options))
        zero = {k: v for k, v in options.items() if k != "dtype"}
        self.register_buffer("zero_point", fb.tensor([zero_point], dtype=fb.long, **zero))
        self.dtype = dtype

    def forward(self, X: fb.Tensor) -> Any:
        """The quantized tensor."""
        return fb.quantize_per_tensor(X, float(self.scale), int(self.zero_point), self.dtype)

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Quantize:
        """The layer of a stub that was observed."""
        if not hasattr(mod, "activation_post_process"):
            raise AssertionError("Input module must have activation_post_process")
        observer = mod.activation_post_process
        return Quantize(*observed_qparams(observer), observer.dtype)

    def extra_repr(self) -> str:
        """How the result is quantized."""
        return f"scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype}"


class DeQuantize(nn.Module):
    """Numbers of quantized tensors."""

    def forward(self, Xq: Any) -> fb.Tensor:
        """The numbers."""
        return Xq.dequantize()

    @staticmethod
    def from_float(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> DeQuantize:
        """The layer of a stub."""
        return DeQuantize()
