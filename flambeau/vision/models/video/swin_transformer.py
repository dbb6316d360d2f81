"""Swin transformers for films: windows in space and time. arXiv:2106.13230"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from .._api import WeightsEnum, construct, model, published
from .._windows import position_index
from ..swin_transformer import (
    PatchMerging,
    ShiftedWindowAttention,
    SwinTransformerBlock,
    shifted_window_attention,
)

__all__ = [
    "Swin3D_B_Weights",
    "Swin3D_S_Weights",
    "Swin3D_T_Weights",
    "SwinTransformer3d",
    "swin3d_b",
    "swin3d_s",
    "swin3d_t",
]

Swin3D_T_Weights = published("Swin3D_T_Weights", __name__)
Swin3D_S_Weights = published("Swin3D_S_Weights", __name__)
Swin3D_B_Weights = published("Swin3D_B_Weights", __name__)


class ShiftedWindowAttention3d(ShiftedWindowAttention):
    """Attention within shifted windows of [N, T, H, W, C]; a window is never larger than the film."""

    dimensions = 3

    def define_relative_position_index(self) -> None:
        """The row of the table for each pair of positions."""
        self.register_buffer("relative_position_index", position_index(self.window_size))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        sizes = x.shape[1:-1]
        window = [min(side, size) for side, size in zip(self.window_size, sizes, strict=True)]
        shift = [
            0 if size <= side else step
            for size, side, step in zip(sizes, self.window_size, self.shift_size, strict=True)
        ]
        count = math.prod(window)
        rows = self.relative_position_index[:count, :count].flatten()
        bias = self.relative_position_bias_table[rows].view(count, count, -1).permute(2, 0, 1).unsqueeze(0)
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            window,
            self.num_heads,
            shift_size=shift,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            training=self.training,
        )


class PatchEmbed3d(nn.Module):
    """Blocks of [N, C, T, H, W], filled up at the ends, as [N, T, H, W, channels]."""

    def __init__(
        self,
        patch_size: Sequence[int],
        in_channels: int = 3,
        embed_dim: int = 96,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.tuple_patch_size = tuple(patch_size)
        self.proj = nn.Conv3d(in_channels, embed_dim, self.tuple_patch_size, self.tuple_patch_size)
        self.norm = norm_layer(embed_dim) if norm_layer is not None else nn.Identity()

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        missing = [-size % side for size, side in zip(x.shape[2:], self.tuple_patch_size, strict=True)]
        x = nn.functional.pad(x, [part for more in reversed(missing) for part in (0, more)])
        return self.norm(self.proj(x).permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """Films [N, 3, T, H, W] to scores; arguments as those of `SwinTransformer`, with three numbers each."""

    def __init__(
        self,
        patch_size: Sequence[int],
        embed_dim: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        window_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 400,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
        patch_embed: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        block = block or partial(SwinTransformerBlock, attn_layer=ShiftedWindowAttention3d)
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.patch_embed = (patch_embed or PatchEmbed3d)(
            patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm_layer
        )
        self.pos_drop = nn.Dropout(p=dropout)
        layers: list[nn.Module] = []
        total, done, width = sum(depths), 0, embed_dim
        for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            stage = []
            for j in range(depth):
                stage.append(
                    block(
                        width,
                        heads,
                        window_size=window_size,
                        shift_size=[0 if j % 2 == 0 else side // 2 for side in window_size],
                        mlp_ratio=mlp_ratio,
                        dropout=dropout,
                        attention_dropout=attention_dropout,
                        stochastic_depth_prob=stochastic_depth_prob * float(done) / (total - 1),
                        norm_layer=norm_layer,
                    )
                )
                done += 1
            layers.append(nn.Sequential(*stage))
            if i < len(depths) - 1:
                layers.append(downsample_layer(width, norm_layer))
                width *= 2
        self.features = nn.Sequential(*layers)
        self.num_features = width
        self.norm = norm_layer(width)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        return self.head(self.avgpool(x.permute(0, 4, 1, 2, 3)).flatten(1))


def _swin3d(
    embed_dim: int,
    depths: tuple[int, ...],
    num_heads: tuple[int, ...],
    weights: WeightsEnum | None,
    progress: bool,
    kwargs: dict[str, Any],
) -> SwinTransformer3d:
    shape = {
        "patch_size": [2, 4, 4],
        "embed_dim": embed_dim,
        "depths": list(depths),
        "num_heads": list(num_heads),
        "window_size": [8, 7, 7],
        "stochastic_depth_prob": kwargs.pop("stochastic_depth_prob", 0.1),
    }
    return construct(SwinTransformer3d, weights=weights, progress=progress, **shape, **kwargs)


@model(Swin3D_T_Weights)
def swin3d_t(
    *, weights: Swin3D_T_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer3d:
    """The tiny Swin transformer for films."""
    return _swin3d(96, (2, 2, 6, 2), (3, 6, 12, 24), weights, progress, kwargs)


@model(Swin3D_S_Weights)
def swin3d_s(
    *, weights: Swin3D_S_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer3d:
    """The small Swin transformer for films."""
    return _swin3d(96, (2, 2, 18, 2), (3, 6, 12, 24), weights, progress, kwargs)


@model(Swin3D_B_Weights)
def swin3d_b(
    *, weights: Swin3D_B_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer3d:
    """The base Swin transformer for films."""
    return _swin3d(128, (2, 2, 18, 2), (4, 8, 16, 32), weights, progress, kwargs)
