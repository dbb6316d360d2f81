"""What layers before a batch normalisation share: its statistics may be frozen."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn.qat.modules._from_float import checked_qconfig, needs_qconfig
from flambeau.nn import init


class WithNorm(nn.Module):
    """A layer with a batch normalisation in ``bn``.

    The weights are scaled by running statistics before they are quantized, as they will be when the layers
    are one; the result is scaled back, and normalised with the statistics of the batch.
    """

    bn: Any

    def _add_norm(
        self, norm: type[nn.Module], features: int, bias: bool, eps: float, momentum: float, freeze_bn: bool,
        qconfig: Any,
    ) -> None:  # fmt: skip
        needs_qconfig(qconfig)
        self.qconfig = qconfig
        self.freeze_bn = freeze_bn if self.training else True
        self.bn = norm(features, eps, momentum, True, True)
        self.weight_fake_quant = qconfig.weight()
        if bias:
            self.bias = nn.Parameter(fb.empty(features))
        else:
            self.register_parameter("bias", None)
        self.reset_bn_parameters()
        if self.training and not freeze_bn:
            self.update_bn_stats()
        else:
            self.freeze_bn_stats()

    def reset_running_stats(self) -> None:
        """Forget the statistics."""
        self.bn.reset_running_stats()

    def reset_bn_parameters(self) -> None:
        """Forget the statistics; draw weights, set bias to zero."""
        self.bn.reset_running_stats()
        init.uniform_(self.bn.weight)
        init.zeros_(self.bn.bias)

    def update_bn_stats(self) -> WithNorm:
        """Normalise with the statistics of batches and keep running ones."""
        self.freeze_bn = False
        self.bn.training = True
        return self

    def freeze_bn_stats(self) -> WithNorm:
        """Normalise with the running statistics as they are."""
        self.freeze_bn = True
        self.bn.training = False
        return self

    def _take_norm(self, layer: Any, bn: Any) -> None:
        """Parameters and statistics of the layers that this one replaces."""
        self.weight, self.bias = layer.weight, layer.bias
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(self.bn, name, getattr(bn, name))

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Square root of the running variance, and by how much weights are scaled."""
        if self.bn.running_var is None:
            raise AssertionError("self.bn.running_var must not be None")
        deviation = fb.sqrt(self.bn.running_var + self.bn.eps)
        return deviation, self.bn.weight / deviation

    def _rows(self, t: Tensor) -> Tensor:
        return t.reshape([-1] + [1] * (self.weight.dim() - 1))

    def _columns(self, t: Tensor) -> Tensor:
        return t.reshape([1, -1] + [1] * (self.weight.dim() - 2))

    def train(self, mode: bool = True) -> WithNorm:
        """Set the mode; a frozen normalisation stays as it is."""
        self.training = mode
        if not self.freeze_bn:
            for module in self.children():
                module.train(mode)
        return self

    @classmethod
    def _float_parts(cls, mod: nn.Module) -> tuple[Any, Any, Any]:
        """Layer, normalisation and `QConfig` of layers that are to be replaced."""
        if type(mod) is not cls._FLOAT_MODULE:
            raise AssertionError(f"qat.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__}")
        return mod[0], mod[1], checked_qconfig(mod)
