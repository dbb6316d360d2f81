"""DropBlock: squares of feature maps left out at random. arXiv:1810.12890"""

from __future__ import annotations

import math

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F


def _drop_block(
    input: fb.Tensor, dims: int, p: float, block_size: int, inplace: bool, eps: float, training: bool
) -> fb.Tensor:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != dims + 2:
        raise ValueError(f"input should be {dims + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sides = list(input.shape[2:])
    block = min(block_size, *sides)
    corners = [side - block + 1 for side in sides]
    rate = (p * math.prod(sides)) / (block**dims * math.prod(corners))
    noise = fb.empty([*input.shape[:2], *corners], dtype=input.dtype, device=input.device).bernoulli_(rate)
    pool = F.max_pool2d if dims == 2 else F.max_pool3d
    noise = 1 - pool(F.pad(noise, [block - 1] * (2 * dims)), kernel_size=block, stride=1)
    scale = noise.numel() / (eps + noise.sum())
    return input.mul_(noise).mul_(scale) if inplace else input * noise * scale


def drop_block2d(
    input: fb.Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> fb.Tensor:
    """Zero squares of side `block_size` in [N, C, H, W] so that a share p is lost; scale up what remains."""
    return _drop_block(input, 2, p, block_size, inplace, eps, training)


def drop_block3d(
    input: fb.Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> fb.Tensor:
    """Zero cubes of side `block_size` in [N, C, D, H, W] so that a share p is lost; scale up what remains."""
    return _drop_block(input, 3, p, block_size, inplace, eps, training)


class DropBlock2d(nn.Module):
    """`drop_block2d` as a module."""

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06) -> None:
        super().__init__()
        self.p, self.block_size, self.inplace, self.eps = p, block_size, inplace, eps

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a module."""

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
