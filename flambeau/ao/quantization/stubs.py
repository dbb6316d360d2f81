"""Modules that mark where a network is quantized."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, nn

__all__ = ["QuantStub", "DeQuantStub", "QuantWrapper"]


class _Stub(nn.Module):
    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Tensor) -> Tensor:
        """The tensor."""
        return x


class QuantStub(_Stub):
    """Where tensors become quantized ones: an observer while calibrating, `nnq.Quantize` when converted.

    Parameters
    ----------
    qconfig : QConfig, optional
        If none is given, that of the module around.
    """


class DeQuantStub(_Stub):
    """Where quantized tensors become floating point ones again: `nnq.DeQuantize` when converted.

    Parameters
    ----------
    qconfig : QConfig, optional
    """


class QuantWrapper(nn.Module):
    """A module between a `QuantStub` and a `DeQuantStub`.

    Parameters
    ----------
    module : Module
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        qconfig = getattr(module, "qconfig", None)
        self.add_module("quant", QuantStub(qconfig))
        self.add_module("dequant", DeQuantStub(qconfig))
        self.add_module("module", module)
        self.train(module.training)

    def forward(self, X: Tensor) -> Tensor:
        """Call the module."""
        return self.dequant(self.module(self.quant(X)))
