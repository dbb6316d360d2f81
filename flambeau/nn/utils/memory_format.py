"""Convolution weights in another memory format."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import flambeau as fb

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

_M = TypeVar("_M", bound="Module")


def _convert(module: _M, memory_format: fb.memory_format, classes: tuple, dims: int) -> _M:
    for layer in module.modules():
        if isinstance(layer, classes):
            weight = layer.weight.detach()
            if weight.dim() == dims:
                layer.weight.data = weight.clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: _M, memory_format: fb.memory_format) -> _M:
    """Lay out the weights of 2-D convolutions in `module` in `memory_format`; returns the module."""
    from flambeau.nn.modules.conv import Conv2d, ConvTranspose2d

    return _convert(module, memory_format, (Conv2d, ConvTranspose2d), 4)


def convert_conv3d_weight_memory_format(module: _M, memory_format: fb.memory_format) -> _M:
    """Lay out the weights of 3-D convolutions in `module` in `memory_format`; returns the module."""
    from flambeau.nn.modules.conv import Conv3d, ConvTranspose3d

    return _convert(module, memory_format, (Conv3d, ConvTranspose3d), 5)
