"""Linear layers with ReLU and fake quantization of weights."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn import qat
from flambeau.ao.nn.qat.modules._from_float import parameter
from flambeau.nn import functional as F

__all__ = ["LinearReLU"]


class LinearReLU(qat.Linear, nni._FusedModule):
    """`Linear` and `ReLU` with fake quantization of weights.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    qconfig : QConfig
    """

    _FLOAT_MODULE = nni.LinearReLU

    def __init__(self, in_features: int, out_features: int, bias: bool = True, qconfig: Any = None) -> None:
        super().__init__(in_features, out_features, bias, qconfig)

    def forward(self, input: Tensor) -> Tensor:
        """Apply both with weights as quantization changes them."""
        return F.relu(F.linear(input, self.weight_fake_quant(self.weight), self.bias))

    def to_float(self) -> nni.LinearReLU:
        """Both without fake quantization."""
        linear = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        linear.weight, linear.bias = parameter(self.weight), parameter(self.bias)
        return nni.LinearReLU(linear, nn.ReLU())
