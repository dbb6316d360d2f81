"""Linear layers with fake quantization of weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn.intrinsic import LinearReLU
from flambeau.ao.nn.qat.modules._from_float import checked_qconfig, needs_qconfig, parameter
from flambeau.nn import functional as F
from flambeau.nn.utils.parametrize import (
    is_parametrized,
    transfer_parametrizations_and_params,
    type_before_parametrizations,
)
from flambeau.types import Device

__all__ = ["Linear"]


class Linear(nn.Linear):
    """`nn.Linear` with fake quantization of weights.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    qconfig : QConfig
    """

    _FLOAT_MODULE: type[nn.Module] = nn.Linear

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, qconfig: Any = None,
        device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
        super().__init__(in_features, out_features, bias, **options)
        needs_qconfig(qconfig)
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(factory_kwargs=options)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer with weights as quantization changes them."""
        return F.linear(input, self.weight_fake_quant(self.weight), self.bias)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer that takes the place of `mod`, which has a ``qconfig``."""
        kind = type_before_parametrizations(mod)
        if kind != cls._FLOAT_MODULE:
            raise AssertionError(
                f"qat.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__}, "
                f"got {kind.__name__}"
            )
        checked_qconfig(mod)
        if kind == LinearReLU:
            mod = mod[0]
        made = cls(mod.in_features, mod.out_features, bias=mod.bias is not None, qconfig=mod.qconfig)
        for name in ("weight", "bias"):
            if is_parametrized(mod, name):
                transfer_parametrizations_and_params(mod, made, name)
            else:
                setattr(made, name, getattr(mod, name))
        return made

    def to_float(self) -> nn.Module:
        """The layer without fake quantization."""
        made = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        made.weight, made.bias = parameter(self.weight), parameter(self.bias)
        made.train(self.training)
        return made
