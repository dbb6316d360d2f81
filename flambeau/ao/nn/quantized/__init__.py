"""Operators as modules, for networks that may be quantized later. Quantization itself is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

__all__ = ["FXFloatFunctional", "FloatFunctional"]


class FXFloatFunctional(nn.Module):
    """Arithmetic by methods."""

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Not what it is for."""
        raise RuntimeError(
            f"{type(self).__name__} is not intended to use the 'forward'. Please use the underlying operation"
        )

    def _seen(self, r: fb.Tensor) -> fb.Tensor:
        return r

    def add(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x + y``."""
        return self._seen(fb.add(x, y))

    def add_scalar(self, x: fb.Tensor, y: float) -> fb.Tensor:
        """``x + y`` of a tensor and a number."""
        return fb.add(x, y)

    def mul(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x * y``."""
        return self._seen(fb.mul(x, y))

    def mul_scalar(self, x: fb.Tensor, y: float) -> fb.Tensor:
        """``x * y`` of a tensor and a number."""
        return fb.mul(x, y)

    def cat(self, x: Sequence[fb.Tensor], dim: int = 0) -> fb.Tensor:
        """The tensors one after the other."""
        return self._seen(fb.cat(list(x), dim=dim))

    def add_relu(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``relu(x + y)``."""
        return self._seen(fb.relu(fb.add(x, y)))

    def matmul(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x @ y``."""
        return self._seen(fb.matmul(x, y))


class FloatFunctional(FXFloatFunctional):
    """Arithmetic by methods; `activation_post_process` sees the results of those of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = nn.Identity()

    def _seen(self, r: fb.Tensor) -> fb.Tensor:
        return self.activation_post_process(r)


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'torch.ao.nn.quantized' has no attribute '{name}'\nflambeau has no quantization yet"
    )
