"""Attention of quantized tensors."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau as fb
from flambeau import nn
from flambeau.ao.nn import quantizable

__all__ = ["MultiheadAttention"]


class MultiheadAttention(quantizable.MultiheadAttention):
    """Attention whose layers are quantized: made of an observed one."""

    _FLOAT_MODULE = quantizable.MultiheadAttention

    def _get_name(self) -> str:
        return "QuantizedMultiheadAttention"

    @classmethod
    def from_float(cls, other: nn.Module) -> NoReturn:
        """Raises: attention is observed first."""
        raise NotImplementedError(
            "It looks like you are trying to convert a non-observed MHA module. Please, see the examples on"
            " quantizable MHAs."
        )

    @classmethod
    def from_observed(cls, other: nn.Module) -> Any:
        """The layer of an observed one."""
        from flambeau.ao.quantization import convert

        made = convert(other, inplace=False, remove_qconfig=True, convert_custom_config_dict=None)
        made.__class__ = cls
        for name in ("bias_k", "bias_v"):
            bias = made._parameters.pop(name, None)
            if bias is not None:
                scale, zero = fb._choose_qparams_per_tensor(bias.detach(), False)
                bias = fb.quantize_per_tensor(bias.detach(), scale, zero, fb.quint8)
            setattr(made, name, bias)
        if hasattr(made, "in_proj_weight"):
            del made.in_proj_weight
        if hasattr(made, "in_proj_bias"):
            del made.in_proj_bias
        return made
