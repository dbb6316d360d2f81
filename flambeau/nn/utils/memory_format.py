"""Convolution weights in another memory format."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import flambeau as fb

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

_M = TypeVar("_M", bound="Module")


def _convert(module: _M, memory_format: fb.memory_format, classes: tuple, dims: int) -> _M:
    if isinstance(module, classes):
        weight = module.weight.detach()
        if weight.dim() == dims:
            module.weight.data = weight.clone(memory_format=memory_format)
    for child in module.children():
        _convert(child, memory_format, classes, dims)
    return module


def convert_conv2d_weight_memory_format(module: _M, memory_format: fb.memory_format) -> _M:
    """Lay out the weights of 2-D convolutions in `module` in `memory_format`; returns the module."""
    from flambeau.nn.modules.conv import Conv2d, ConvTranspose2d

    return _convert(module, memory_format, (Conv2d, ConvTranspose2d), 4)


def convert_conv3d_weight_memory_format(module: _M, memory_format: fb.memory_format) -> _M:
    """Lay out the weights of 3-D convolutions in `module` in `memory_format`; returns the module."""
    from flambeau.nn.modules.conv import Conv3d, ConvTranspose3d

    return _convert(module, memory_format, (Conv3d, ConvTranspose3d), 5)
