"""The modules that mark where a network is quantized. Quantization itself is not there."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

__all__ = ["DeQuantStub", "QuantStub", "QuantWrapper"]


class QuantStub(nn.Module):
    """Where tensors become quantized ones; until a network is converted, they pass."""

    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig is not None:
            raise NotImplementedError("QuantStub with a qconfig: flambeau has no quantization yet")

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """The tensor."""
        return x


class DeQuantStub(QuantStub):
    """Where quantized tensors become floating point ones again."""


class QuantWrapper(nn.Module):
    """A module between a `QuantStub` and a `DeQuantStub`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.add_module("quant", QuantStub())
        self.add_module("dequant", DeQuantStub())
        self.add_module("module", module)
        self.train(module.training)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Call the module."""
        return self.dequant(self.module(self.quant(x)))


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'torch.ao.quantization' has no attribute '{name}'\nflambeau has no quantization yet"
    )
