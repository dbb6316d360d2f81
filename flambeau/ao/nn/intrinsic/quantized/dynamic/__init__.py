"""Dynamic layers that are computed together."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn.quantized.dynamic import Linear

__all__ = ["LinearReLU"]


class LinearReLU(Linear):
    """A linear layer with a weight of int8 or float16, and relu; numbers in and out."""

    _FLOAT_MODULE = nni.LinearReLU

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """The layer."""
        ops, packed = fb.ops.quantized, self._packed_params
        if packed.dtype == fb.float16:
            return ops.linear_relu_dynamic_fp16(x, packed._packed_params).to(x.dtype)
        return ops.linear_relu_dynamic(x, packed._packed_params, True).to(x.dtype)

    def _get_name(self) -> str:
        return "DynamicQuantizedLinearReLU"

    @classmethod
    def from_reference(cls, ref_qlinear_relu: nn.Module) -> Any:
        """The layer of a reference layer and relu."""
        return super().from_reference(ref_qlinear_relu[0])
