"""Multiscale vision transformers for films. Version 1: arXiv:2104.11227; version 2: arXiv:2112.01526"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import MLP, StochasticDepth
from .._api import WeightsEnum, construct, model, published

__all__ = ["MViT", "MViT_V1_B_Weights", "MViT_V2_S_Weights", "mvit_v1_b", "mvit_v2_s"]

MViT_V1_B_Weights = published("MViT_V1_B_Weights", __name__)
MViT_V2_S_Weights = published("MViT_V2_S_Weights", __name__)
Norm = Callable[..., nn.Module]
Size = tuple[int, int, int]


@dataclass
class MSBlockConfig:
    """A block: heads, channels, and how queries, keys and values are pooled (empty: not at all)."""

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list[int]
    kernel_kv: list[int]
    stride_q: list[int]
    stride_kv: list[int]


class Pool(nn.Module):
    """Pools [N, heads, 1 + T * H * W, C] in space and time; the first place, the class token, stays."""

    def __init__(self, pool: nn.Module, norm: nn.Module | None) -> None:
        super().__init__()
        self.pool = pool
        self.norm_act = None if norm is None else nn.Sequential(norm)

    def forward(self, x: fb.Tensor, thw: Size) -> tuple[fb.Tensor, Size]:
        without_heads = x.dim() == 3
        if without_heads:
            x = x.unsqueeze(1)
        token, rest = x[:, :, :1], x[:, :, 1:].transpose(2, 3)
        count, heads, channels = rest.shape[:3]
        rest = self.pool(rest.reshape(count * heads, channels, *thw))
        new = tuple(rest.shape[2:])
        x = fb.cat([token, rest.reshape(count, heads, channels, -1).transpose(2, 3)], dim=2)
        if self.norm_act is not None:
            x = self.norm_act(x)
        return (x.squeeze(1) if without_heads else x), new


def _between(queries: int, keys: int, table: fb.Tensor) -> fb.Tensor:
    """Learned vectors for the distances of queries and keys along one axis: [queries, keys, C]."""
    length = 2 * max(queries, keys) - 1
    if len(table) != length:
        table = nn.functional.interpolate(table.t()[None], size=length, mode="linear")[0].t()
    places_q = fb.arange(queries)[:, None] * max(keys / queries, 1.0)
    places_k = (fb.arange(keys)[None, :] + (1.0 - keys)) * max(queries / keys, 1.0)
    return table[(places_q - places_k).long().to(table.device)]


def _add_positions(
    scores: fb.Tensor, q: fb.Tensor, q_thw: Size, k_thw: Size, tables: Sequence[fb.Tensor]
) -> fb.Tensor:
    """Scores [N, heads, queries, keys] with products of queries and distance vectors added."""
    q = q[:, :, 1:].reshape(*q.shape[:2], *q_thw, q.shape[-1])
    time, rows, columns = (_between(*sides) for sides in zip(q_thw, k_thw, tables, strict=True))
    added = (
        fb.einsum("bythwc,tkc->bythwk", q, time)[..., :, None, None]
        + fb.einsum("bythwc,hkc->bythwk", q, rows)[..., None, :, None]
        + fb.einsum("bythwc,wkc->bythwk", q, columns)[..., None, None, :]
    ).reshape(*q.shape[:2], math.prod(q_thw), math.prod(k_thw))
    return scores + nn.functional.pad(added, (1, 0, 1, 0))


class MultiscaleAttention(nn.Module):
    """Attention whose queries, keys and values are pooled first."""

    def __init__(
        self,
        input_size: Sequence[int],
        embed_dim: int,
        output_dim: int,
        num_heads: int,
        kernel_q: list[int],
        kernel_kv: list[int],
        stride_q: list[int],
        stride_kv: list[int],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        dropout: float = 0.0,
        norm_layer: Norm = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.output_dim, self.num_heads = output_dim, num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool, self.residual_with_cls_embed = residual_pool, residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        layers: list[nn.Module] = [nn.Linear(output_dim, output_dim)]
        if dropout > 0.0:
            layers.append(nn.Dropout(dropout, inplace=True))
        self.project = nn.Sequential(*layers)

        def pool(kernel: list[int], stride: list[int]) -> nn.Module | None:
            if math.prod(kernel) <= 1 and math.prod(stride) <= 1:
                return None
            width = self.head_dim
            padding = [side // 2 for side in kernel]
            conv = nn.Conv3d(width, width, kernel, stride, padding, groups=width, bias=False)
            return Pool(conv, norm_layer(width))

        self.pool_q = pool(kernel_q, stride_q)
        self.pool_k = pool(kernel_kv, stride_kv)
        self.pool_v = pool(kernel_kv, stride_kv)
        self.rel_pos_h: nn.Parameter | None = None
        self.rel_pos_w: nn.Parameter | None = None
        self.rel_pos_t: nn.Parameter | None = None
        if rel_pos_embed:
            side = max(input_size[1:])
            space = 2 * max(side // stride[1] if stride else side for stride in (stride_q, stride_kv)) - 1
            for name, length in (("h", space), ("w", space), ("t", 2 * input_size[0] - 1)):
                table = nn.Parameter(fb.zeros(length, self.head_dim))
                nn.init.trunc_normal_(table, std=0.02)
                setattr(self, f"rel_pos_{name}", table)

    def forward(self, x: fb.Tensor, thw: Size) -> tuple[fb.Tensor, Size]:
        count, length, _ = x.shape
        qkv = self.qkv(x).reshape(count, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.transpose(1, 3).unbind(dim=2)
        k_thw = thw
        if self.pool_k is not None:
            k, k_thw = self.pool_k(k, thw)
        if self.pool_v is not None:
            v, _ = self.pool_v(v, thw)
        if self.pool_q is not None:
            q, thw = self.pool_q(q, thw)
        scores = (self.scaler * q) @ k.transpose(2, 3)
        if self.rel_pos_t is not None:
            scores = _add_positions(scores, q, thw, k_thw, (self.rel_pos_t, self.rel_pos_h, self.rel_pos_w))
        x = scores.softmax(dim=-1) @ v
        if self.residual_pool:
            if self.residual_with_cls_embed:
                x = x + q
            else:
                x = fb.cat([x[:, :, :1], x[:, :, 1:] + q[:, :, 1:]], dim=2)
        return self.project(x.transpose(1, 2).reshape(count, -1, self.output_dim)), thw


class MultiscaleBlock(nn.Module):
    """Attention and two linear layers, each after a normalization and beside a shortcut."""

    def __init__(
        self,
        input_size: Sequence[int],
        cnf: MSBlockConfig,
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Norm = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip: nn.Module | None = None
        if math.prod(cnf.stride_q) > 1:
            kernel = [step + 1 if step > 1 else step for step in cnf.stride_q]
            padding = [side // 2 for side in kernel]
            self.pool_skip = Pool(nn.MaxPool3d(kernel, stride=cnf.stride_q, padding=padding), None)
        width = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(width)
        self.attn = MultiscaleAttention(
            input_size,
            cnf.input_channels,
            width,
            cnf.num_heads,
            cnf.kernel_q,
            cnf.kernel_kv,
            cnf.stride_q,
            cnf.stride_kv,
            residual_pool,
            residual_with_cls_embed,
            rel_pos_embed,
            dropout,
            norm_layer,
        )
        self.mlp = MLP(
            width, [4 * width, cnf.output_channels], activation_layer=nn.GELU, dropout=dropout, inplace=None
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.project: nn.Module | None = None
        if cnf.input_channels != cnf.output_channels:
            self.project = nn.Linear(cnf.input_channels, cnf.output_channels)

    def forward(self, x: fb.Tensor, thw: Size) -> tuple[fb.Tensor, Size]:
        normed = self.norm1(x)
        attended, new = self.attn(normed, thw)
        if self.project is not None and self.proj_after_attn:
            x = self.project(normed)
        if self.pool_skip is not None:
            x, _ = self.pool_skip(x, thw)
        x = x + self.stochastic_depth(attended)
        normed = self.norm2(x)
        if self.project is not None and not self.proj_after_attn:
            x = self.project(normed)
        return x + self.stochastic_depth(self.mlp(normed)), new


class PositionalEncoding(nn.Module):
    """Puts the class token before the places and, without relative positions, adds vectors of the places."""

    def __init__(
        self, embed_size: int, spatial_size: tuple[int, int], temporal_size: int, rel_pos_embed: bool
    ) -> None:
        super().__init__()
        self.spatial_size, self.temporal_size = spatial_size, temporal_size
        self.class_token = nn.Parameter(fb.zeros(embed_size))
        self.spatial_pos: nn.Parameter | None = None
        self.temporal_pos: nn.Parameter | None = None
        self.class_pos: nn.Parameter | None = None
        if not rel_pos_embed:
            self.spatial_pos = nn.Parameter(fb.zeros(math.prod(spatial_size), embed_size))
            self.temporal_pos = nn.Parameter(fb.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(fb.zeros(embed_size))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = fb.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)
        if self.spatial_pos is None:
            return x
        places = (self.temporal_pos[:, None] + self.spatial_pos[None]).flatten(0, 1)
        return x + fb.cat([self.class_pos[None], places])


class MViT(nn.Module):
    """Films [N, 3, T, H, W] of one size to scores: resolution falls from block to block, channels rise.

    Parameters
    ----------
    spatial_size, temporal_size : of the films
    block_setting : one `MSBlockConfig` for each block
    residual_pool, residual_with_cls_embed : whether pooled queries are added to the result, the token's too
    rel_pos_embed : positions by distances instead of vectors of places
    proj_after_attn : channels change in the attention instead of in the linear layers
    """

    def __init__(
        self,
        spatial_size: tuple[int, int],
        temporal_size: int,
        block_setting: Sequence[MSBlockConfig],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.5,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        num_classes: int = 400,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Norm | None = None,
        patch_embed_kernel: Size = (3, 7, 7),
        patch_embed_stride: Size = (2, 4, 4),
        patch_embed_padding: Size = (1, 3, 3),
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The configuration parameter can't be empty.")
        block, norm_layer = block or MultiscaleBlock, norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.conv_proj = nn.Conv3d(
            3,
            block_setting[0].input_channels,
            kernel_size=patch_embed_kernel,
            stride=patch_embed_stride,
            padding=patch_embed_padding,
        )
        film = (temporal_size, *spatial_size)
        size = [side // step for side, step in zip(film, self.conv_proj.stride, strict=True)]
        self.pos_encoding = PositionalEncoding(
            block_setting[0].input_channels, (size[1], size[2]), size[0], rel_pos_embed
        )
        self.blocks = nn.ModuleList()
        for i, setting in enumerate(block_setting):
            self.blocks.append(
                block(
                    input_size=size,
                    cnf=setting,
                    residual_pool=residual_pool,
                    residual_with_cls_embed=residual_with_cls_embed,
                    rel_pos_embed=rel_pos_embed,
                    proj_after_attn=proj_after_attn,
                    dropout=attention_dropout,
                    stochastic_depth_prob=stochastic_depth_prob * i / (len(block_setting) - 1.0),
                    norm_layer=norm_layer,
                )
            )
            if setting.stride_q:
                size = [side // step for side, step in zip(size, setting.stride_q, strict=True)]
        width = block_setting[-1].output_channels
        self.norm = norm_layer(width)
        self.head = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(width, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, PositionalEncoding):
                for parameter in module.parameters():
                    nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        if x.dim() == 4:  # pictures are films of one picture
            x = x.unsqueeze(2)
        x = self.pos_encoding(self.conv_proj(x).flatten(2).transpose(1, 2))
        thw = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            x, thw = block(x, thw)
        return self.head(self.norm(x)[:, 0])


def _settings(version: int) -> list[MSBlockConfig]:
    """16 blocks; those of number 1, 3 and 14 halve the resolution."""
    heads = [1, 2, 2, *[4] * 11, 8, 8]
    if version == 1:  # channels grow at the end of the block before
        inputs = [96 * number for number in heads]
        outputs = [*inputs[1:], 768]
    else:
        outputs = [96 * number for number in heads]
        inputs = [96, *outputs[:-1]]
    shrink_keys = [8, 4, 4, *[2] * 11, 1, 1]
    settings = []
    for i in range(16):
        halves = i in (1, 3, 14)
        pooled = halves or version == 2
        settings.append(
            MSBlockConfig(
                num_heads=heads[i],
                input_channels=inputs[i],
                output_channels=outputs[i],
                kernel_q=[3, 3, 3] if pooled else [],
                kernel_kv=[3, 3, 3],
                stride_q=([1, 2, 2] if halves else [1, 1, 1]) if pooled else [],
                stride_kv=[1, shrink_keys[i], shrink_keys[i]],
            )
        )
    return settings


def _mvit(version: int, weights: WeightsEnum | None, progress: bool, kwargs: dict[str, Any]) -> MViT:
    second = version == 2
    return construct(
        MViT,
        weights=weights,
        progress=progress,
        spatial_size=(224, 224),
        temporal_size=16,
        block_setting=_settings(version),
        residual_pool=second,
        residual_with_cls_embed=not second,
        rel_pos_embed=second,
        proj_after_attn=second,
        stochastic_depth_prob=kwargs.pop("stochastic_depth_prob", 0.2),
        **kwargs,
    )


@model(MViT_V1_B_Weights)
def mvit_v1_b(*, weights: MViT_V1_B_Weights | None = None, progress: bool = True, **kwargs: Any) -> MViT:
    """The base network of version 1."""
    return _mvit(1, weights, progress, kwargs)


@model(MViT_V2_S_Weights)
def mvit_v2_s(*, weights: MViT_V2_S_Weights | None = None, progress: bool = True, **kwargs: Any) -> MViT:
    """The small network of version 2."""
    return _mvit(2, weights, progress, kwargs)
