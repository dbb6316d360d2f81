"""Linear layers with batch normalisation and fake quantization of weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn.intrinsic.qat.modules._norm import WithNorm
from flambeau.nn import functional as F
from flambeau.nn.utils.fusion import fuse_linear_bn_weights

__all__ = ["LinearBn1d"]


class LinearBn1d(WithNorm, nn.Linear, nni._FusedModule):
    """`Linear` and `BatchNorm1d` with fake quantization of weights.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    eps, momentum : float
        Of the normalisation.
    freeze_bn : bool
        Whether its statistics stay as they are.
    qconfig : QConfig
    """

    _FLOAT_MODULE = nni.LinearBn1d

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, eps: float = 1e-05,
        momentum: float = 0.1, freeze_bn: bool = False, qconfig: Any = None,
    ) -> None:  # fmt: skip
        nn.Linear.__init__(self, in_features, out_features, bias)
        self._add_norm(nn.BatchNorm1d, out_features, bias, eps, momentum, freeze_bn, qconfig)

    def forward(self, input: Tensor) -> Tensor:
        """Apply both with weights as quantization changes them."""
        _, factor = self._statistics()
        weight = self.weight_fake_quant(self.weight * self._rows(factor))
        zeros = (
            fb.zeros(self.out_features, device=weight.device)
            if self.bias is None
            else fb.zeros_like(self.bias)
        )
        result = F.linear(input, weight, zeros) / self._columns(factor)
        if self.bias is not None:
            result = result + self._columns(self.bias)
        return self.bn(result)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> LinearBn1d:
        """The layer that takes the place of `nni.LinearBn1d`, which has a ``qconfig``."""
        linear, bn, qconfig = cls._float_parts(mod)
        made = cls(
            linear.in_features,
            linear.out_features,
            linear.bias is not None,
            bn.eps,
            bn.momentum,
            False,
            qconfig,
        )
        made._take_norm(linear, bn)
        return made

    def to_float(self) -> nn.Linear:
        """Both as one plain layer."""
        made = nn.Linear(self.in_features, self.out_features)
        bn = self.bn
        if bn.running_var is None or bn.running_mean is None:
            raise AssertionError("self.bn.running_var and self.bn.running_mean must not be None")
        made.weight, made.bias = fuse_linear_bn_weights(
            self.weight, self.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        return made
