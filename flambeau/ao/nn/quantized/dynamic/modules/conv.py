"""Dynamic convolutions."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ...modules import conv as quantized

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Dynamic:
    """Numbers in and out."""

    def _get_name(self) -> str:
        return "Dynamic" + super()._get_name()

    def forward(self, input: fb.Tensor, reduce_range: bool = True) -> fb.Tensor:
        """The convolution of numbers."""
        op = getattr(fb.ops.quantized, f"{self._op}{self._dims}d_dynamic")
        return op(self._padded(input), self._packed_params, reduce_range)


def _layer(name: str) -> type:
    base: Any = getattr(quantized, name)
    body = {
        "__module__": __name__,
        "__qualname__": name,
        "__doc__": f"`{name}` with a weight of int8 that takes and gives numbers.",
    }
    return type(base)(name, (_Dynamic, base), body)


Conv1d, Conv2d, Conv3d = _layer("Conv1d"), _layer("Conv2d"), _layer("Conv3d")
ConvTranspose1d, ConvTranspose2d = _layer("ConvTranspose1d"), _layer("ConvTranspose2d")
ConvTranspose3d = _layer("ConvTranspose3d")
