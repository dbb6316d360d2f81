"""Swin transformers: arXiv:2103.14030; version 2: arXiv:2111.09883."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops import MLP, Permute, StochasticDepth
from ._api import WeightsEnum, construct, model, published
from ._windows import by_windows, offsets_between, position_index, regions

__all__ = [
    "SwinTransformer",
    "Swin_B_Weights",
    "Swin_S_Weights",
    "Swin_T_Weights",
    "Swin_V2_B_Weights",
    "Swin_V2_S_Weights",
    "Swin_V2_T_Weights",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
]

Swin_T_Weights = published("Swin_T_Weights", __name__)
Swin_S_Weights = published("Swin_S_Weights", __name__)
Swin_B_Weights = published("Swin_B_Weights", __name__)
Swin_V2_T_Weights = published("Swin_V2_T_Weights", __name__)
Swin_V2_S_Weights = published("Swin_V2_S_Weights", __name__)
Swin_V2_B_Weights = published("Swin_V2_B_Weights", __name__)
F = nn.functional


def _merge_patches(x: fb.Tensor) -> fb.Tensor:
    """Each 2 × 2 patch of [..., H, W, C] as one of four times the channels; odd sizes are padded."""
    height, width = x.shape[-3:-1]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return fb.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)


class PatchMerging(nn.Module):
    """Half the size, twice the channels: normalize, then project."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.reduction(self.norm(_merge_patches(x)))


class PatchMergingV2(nn.Module):
    """Half the size, twice the channels: project, then normalize."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.norm(self.reduction(_merge_patches(x)))


def shifted_window_attention(
    input: fb.Tensor,
    qkv_weight: fb.Tensor,
    proj_weight: fb.Tensor,
    relative_position_bias: fb.Tensor,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: fb.Tensor | None = None,
    proj_bias: fb.Tensor | None = None,
    logit_scale: fb.Tensor | None = None,
    training: bool = True,
) -> fb.Tensor:
    """Attention within windows of [N, H, W, C] (or, with three sizes, [N, T, H, W, C]), which may be shifted.

    Parameters
    ----------
    relative_position_bias : added to the scores, [1, heads, positions, positions]
    window_size, shift_size : one number for each direction; a direction that one window covers is not shifted
    logit_scale : for version 2: scores are cosines times the exponential of this
    """
    sizes = input.shape[1:-1]
    window = [int(side) for side in window_size]
    padded = [-(-size // side) * side for size, side in zip(sizes, window, strict=True)]
    shift = [
        0 if side >= size else int(step) for step, side, size in zip(shift_size, window, padded, strict=True)
    ]

    def attend(x: fb.Tensor) -> fb.Tensor:
        """Of [windows, positions, C]."""
        count, positions, channels = x.shape
        bias = qkv_bias
        if logit_scale is not None and bias is not None:  # keys have no bias in version 2
            third = bias.numel() // 3
            bias = bias.clone()
            bias[third : 2 * third].zero_()
        qkv = F.linear(x, qkv_weight, bias).reshape(count, positions, 3, num_heads, channels // num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if logit_scale is None:
            scores = (q * (channels // num_heads) ** -0.5).matmul(k.transpose(-2, -1))
        else:
            scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
            scores = scores * fb.clamp(logit_scale, max=math.log(100.0)).exp()
        scores = scores + relative_position_bias
        if any(shift):  # what the shift brought together from far ends does not see each other
            mask = regions(padded, window, shift, x.device, x.dtype)
            scores = scores.view(-1, len(mask), num_heads, positions, positions)
            scores = (scores + mask[:, None]).view(count, num_heads, positions, positions)
        scores = F.dropout(F.softmax(scores, dim=-1), p=attention_dropout, training=training)
        x = scores.matmul(v).transpose(1, 2).reshape(count, positions, channels)
        return F.dropout(F.linear(x, proj_weight, proj_bias), p=dropout, training=training)

    return by_windows(attend, input, window, padded, shift)


class ShiftedWindowAttention(nn.Module):
    """Attention within shifted windows, with learned biases for relative positions."""

    dimensions = 2

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != self.dimensions or len(shift_size) != self.dimensions:
            raise ValueError(f"window_size and shift_size must be of length {self.dimensions}")
        self.window_size, self.shift_size, self.num_heads = window_size, shift_size, num_heads
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        """One bias for each offset within a window and each head."""
        offsets = math.prod(2 * side - 1 for side in self.window_size)
        self.relative_position_bias_table = nn.Parameter(fb.zeros(offsets, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """The row of the table for each pair of positions."""
        self.register_buffer("relative_position_index", position_index(self.window_size).flatten())

    def get_relative_position_bias(self) -> fb.Tensor:
        """Biases [1, heads, positions, positions]."""
        return _bias(self.relative_position_bias_table, self.relative_position_index, self.window_size)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self._attend(x)

    def _attend(self, x: fb.Tensor, logit_scale: fb.Tensor | None = None) -> fb.Tensor:
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            self.get_relative_position_bias(),
            self.window_size,
            self.num_heads,
            shift_size=self.shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            logit_scale=logit_scale,
            training=self.training,
        )


def _bias(table: fb.Tensor, index: fb.Tensor, window_size: Sequence[int]) -> fb.Tensor:
    positions = math.prod(window_size)
    return table[index].view(positions, positions, -1).permute(2, 0, 1).contiguous().unsqueeze(0)


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Attention by cosines; a small network makes the biases from the logarithms of the offsets."""

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout
        )
        self.logit_scale = nn.Parameter(fb.log(10 * fb.ones(num_heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False)
        )
        if qkv_bias:
            with fb.no_grad():
                self.qkv.bias[dim : 2 * dim].zero_()

    def define_relative_position_bias_table(self) -> None:
        """The offsets from -8 to 8, on a logarithmic scale, that the small network sees."""
        scaled = offsets_between(self.window_size) * 8
        table = fb.sign(scaled) * fb.log2(fb.abs(scaled) + 1.0) / 3.0
        self.register_buffer("relative_coords_table", table.unsqueeze(0))

    def get_relative_position_bias(self) -> fb.Tensor:
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * fb.sigmoid(_bias(table, self.relative_position_index, self.window_size))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self._attend(x, self.logit_scale)


class SwinTransformerBlock(nn.Module):
    """Attention and two linear layers, each after a normalization and beside a shortcut."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        hidden = [int(dim * mlp_ratio), dim]
        self.mlp = MLP(dim, hidden, activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """The same with the normalizations behind attention and linear layers."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttentionV2,
    ) -> None:
        super().__init__(
            dim,
            num_heads,
            window_size,
            shift_size,
            mlp_ratio,
            dropout,
            attention_dropout,
            stochastic_depth_prob,
            norm_layer,
            attn_layer,
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(nn.Module):
    """Stages of blocks whose windows are shifted in every second one; patches are merged between stages.

    Parameters
    ----------
    patch_size, window_size : two numbers each
    embed_dim : channels of the first stage; each later one has twice as many
    depths, num_heads : for each stage
    stochastic_depth_prob : how often the last block is dropped; the first never is
    """

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
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        size = tuple(patch_size)
        patches = nn.Conv2d(3, embed_dim, kernel_size=size, stride=size)
        layers: list[nn.Module] = [nn.Sequential(patches, Permute([0, 2, 3, 1]), norm_layer(embed_dim))]
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
        self.norm = norm_layer(width)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


def _swin(
    embed_dim: int,
    depths: tuple[int, ...],
    num_heads: tuple[int, ...],
    stochastic_depth_prob: float,
    weights: WeightsEnum | None,
    progress: bool,
    kwargs: dict[str, Any],
    **version: Any,
) -> SwinTransformer:
    shape = {
        "patch_size": [4, 4],
        "embed_dim": embed_dim,
        "depths": list(depths),
        "num_heads": list(num_heads),
        "window_size": [7, 7],
        "stochastic_depth_prob": kwargs.pop("stochastic_depth_prob", stochastic_depth_prob),
    }
    return construct(SwinTransformer, weights=weights, progress=progress, **(shape | version), **kwargs)


_V2 = {"window_size": [8, 8], "block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}


@model(Swin_T_Weights)
def swin_t(*, weights: Swin_T_Weights | None = None, progress: bool = True, **kwargs: Any) -> SwinTransformer:
    """The tiny Swin transformer."""
    return _swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2, weights, progress, kwargs)


@model(Swin_S_Weights)
def swin_s(*, weights: Swin_S_Weights | None = None, progress: bool = True, **kwargs: Any) -> SwinTransformer:
    """The small Swin transformer."""
    return _swin(96, (2, 2, 18, 2), (3, 6, 12, 24), 0.3, weights, progress, kwargs)


@model(Swin_B_Weights)
def swin_b(*, weights: Swin_B_Weights | None = None, progress: bool = True, **kwargs: Any) -> SwinTransformer:
    """The base Swin transformer."""
    return _swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 0.5, weights, progress, kwargs)


@model(Swin_V2_T_Weights)
def swin_v2_t(
    *, weights: Swin_V2_T_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer:
    """The tiny Swin transformer, version 2."""
    return _swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2, weights, progress, kwargs, **_V2)


@model(Swin_V2_S_Weights)
def swin_v2_s(
    *, weights: Swin_V2_S_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer:
    """The small Swin transformer, version 2."""
    return _swin(96, (2, 2, 18, 2), (3, 6, 12, 24), 0.3, weights, progress, kwargs, **_V2)


@model(Swin_V2_B_Weights)
def swin_v2_b(
    *, weights: Swin_V2_B_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SwinTransformer:
    """The base Swin transformer, version 2."""
    return _swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 0.5, weights, progress, kwargs, **_V2)
