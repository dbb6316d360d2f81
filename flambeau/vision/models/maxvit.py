"""MaxViT. arXiv:2204.01697"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ._api import WeightsEnum, construct, model, published, require
from ._windows import cut, join, position_index

__all__ = [
    "MaxVit",
    "MaxVit_T_Weights",
    "maxvit_t",
]

MaxVit_T_Weights = published("MaxVit_T_Weights", __name__)
Layer = Callable[..., nn.Module]


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """The size after a 3 × 3 convolution of stride 2."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


class MBConv(nn.Module):
    """Normalize, expand, filter each channel, weigh the channels, project back; beside a shortcut."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Layer,
        norm_layer: Layer,
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            steps: list[nn.Module] = [
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=1, bias=True)
            ]
            if stride == 2:
                steps.insert(0, nn.AvgPool2d(kernel_size=3, stride=stride, padding=1))
            self.proj = nn.Sequential(*steps)
        inner = int(out_channels * expansion_ratio)
        squeezed = int(out_channels * squeeze_ratio)
        self.stochastic_depth: nn.Module = nn.Identity()
        if p_stochastic_dropout:
            self.stochastic_depth = StochasticDepth(p_stochastic_dropout, mode="row")
        conv = partial(
            Conv2dNormActivation, activation_layer=activation_layer, norm_layer=norm_layer, inplace=None
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = conv(in_channels, inner, kernel_size=1, stride=1, padding=0)
        layers["conv_b"] = conv(inner, inner, kernel_size=3, stride=stride, padding=1, groups=inner)
        layers["squeeze_excitation"] = SqueezeExcitation(inner, squeezed, activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(inner, out_channels, kernel_size=1, bias=True)
        self.layers = nn.Sequential(layers)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention among the positions of each part [N, parts, positions, C], with relative positions."""

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads, self.head_dim = feat_dim // head_dim, head_dim
        self.size, self.max_seq_len = math.isqrt(max_seq_len), max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * self.head_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(self.head_dim * self.n_heads, feat_dim)
        side = 2 * self.size - 1
        self.relative_position_bias_table = nn.Parameter(fb.empty(side * side, self.n_heads))
        self.register_buffer("relative_position_index", position_index((self.size, self.size)))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def get_relative_positional_bias(self) -> fb.Tensor:
        """Biases [1, heads, positions, positions]."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1).unsqueeze(0)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        batch, parts, positions, width = x.shape
        qkv = self.to_qkv(x).reshape(batch, parts, positions, 3, self.n_heads, self.head_dim)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)
        scores = q @ (k * self.scale_factor).transpose(-2, -1) + self.get_relative_positional_bias()
        out = nn.functional.softmax(scores, dim=-1) @ v
        return self.merge(out.permute(0, 1, 3, 2, 4).reshape(batch, parts, positions, width))


class SwapAxes(nn.Module):
    """Exchange two axes."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """[N, C, H, W] as [N, windows, p², C]."""

    def forward(self, x: fb.Tensor, p: int) -> fb.Tensor:
        return cut(x.permute(0, 2, 3, 1), (p, p)).view(x.shape[0], -1, p * p, x.shape[1])


class WindowDepartition(nn.Module):
    """[N, windows, p², C] as [N, C, H, W]."""

    def forward(self, x: fb.Tensor, p: int, h_partitions: int, w_partitions: int) -> fb.Tensor:
        return join(x, (p, p), (h_partitions * p, w_partitions * p)).permute(0, 3, 1, 2)


class PartitionAttentionLayer(nn.Module):
    """Attention within windows ("window") or among like places of all windows ("grid"); linear layers."""

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: Layer,
        norm_layer: Layer,
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        self.n_heads, self.head_dim = in_channels // head_dim, head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type, self.grid_size = partition_type, grid_size
        by_window = partition_type == "window"
        self.p, self.g = (
            (partition_size, self.n_partitions) if by_window else (self.n_partitions, partition_size)
        )
        self.partition_op, self.departition_op = WindowPartition(), WindowDepartition()
        self.partition_swap = nn.Identity() if by_window else SwapAxes(-2, -3)
        self.departition_swap = nn.Identity() if by_window else SwapAxes(-2, -3)
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        rows, columns = self.grid_size[0] // self.p, self.grid_size[1] // self.p
        if self.grid_size[0] % self.p or self.grid_size[1] % self.p:
            raise AssertionError(
                "Grid size must be divisible by partition size. "
                f"Got grid size of {self.grid_size} and partition size of {self.p}"
            )
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(self.departition_swap(x), self.p, rows, columns)


class MaxVitLayer(nn.Module):
    """A convolution, attention within windows, attention over the grid."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: tuple[int, int],
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["MBconv"] = MBConv(
            in_channels,
            out_channels,
            expansion_ratio,
            squeeze_ratio,
            stride,
            activation_layer,
            norm_layer,
            p_stochastic_dropout,
        )
        for kind in ("window", "grid"):
            layers[f"{kind}_attention"] = PartitionAttentionLayer(
                out_channels,
                head_dim,
                partition_size,
                kind,
                grid_size,
                mlp_ratio,
                activation_layer,
                nn.LayerNorm,
                attention_dropout,
                mlp_dropout,
                p_stochastic_dropout,
            )
        self.layers = nn.Sequential(layers)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """Layers of one size; the first halves it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        norm_layer: Layer,
        activation_layer: Layer,
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        partition_size: int,
        input_grid_size: tuple[int, int],
        n_layers: int,
        p_stochastic: list[float],
    ) -> None:
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(
                f"p_stochastic must have length n_layers={n_layers}, got p_stochastic={p_stochastic}."
            )
        self.layers = nn.ModuleList()
        self.grid_size = _halved(input_grid_size)
        for i, dropped in enumerate(p_stochastic):
            self.layers.append(
                MaxVitLayer(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    squeeze_ratio,
                    expansion_ratio,
                    2 if i == 0 else 1,
                    norm_layer,
                    activation_layer,
                    head_dim,
                    mlp_ratio,
                    mlp_dropout,
                    attention_dropout,
                    dropped,
                    partition_size,
                    self.grid_size,
                )
            )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """A network of convolutions and attention within windows and over grids.

    Parameters
    ----------
    input_size : of the pictures; each block's size must be a multiple of `partition_size`
    block_channels, block_layers : for each block
    stochastic_depth_prob : how often the last layer is dropped; the first never is
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: list[int],
        block_layers: list[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Layer | None = None,
        activation_layer: Layer = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        sizes = [_halved(input_size)]
        for _ in block_channels:
            sizes.append(_halved(sizes[-1]))
        for i, size in enumerate(sizes[1:]):
            if size[0] % partition_size or size[1] % partition_size:
                raise ValueError(
                    f"Input size {size} of block {i} is not divisible by partition size {partition_size}. "
                    "Consider changing the partition size or the input size.\n"
                    f"Current configuration yields the following block input sizes: {sizes[1:]}."
                )
        self.stem = nn.Sequential(
            Conv2dNormActivation(
                3,
                stem_channels,
                3,
                stride=2,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                bias=False,
                inplace=None,
            ),
            Conv2dNormActivation(
                stem_channels, stem_channels, 3, stride=1, norm_layer=None, activation_layer=None, bias=True
            ),
        )
        self.partition_size = partition_size
        self.blocks = nn.ModuleList()
        total, done = sum(block_layers), 0
        step = stochastic_depth_prob / (total - 1) if total > 1 else 0.0
        inputs = [stem_channels, *block_channels]
        for i, depth in enumerate(block_layers):
            self.blocks.append(
                MaxVitBlock(
                    inputs[i],
                    inputs[i + 1],
                    squeeze_ratio,
                    expansion_ratio,
                    norm_layer,
                    activation_layer,
                    head_dim,
                    mlp_ratio,
                    mlp_dropout,
                    attention_dropout,
                    partition_size,
                    sizes[i],
                    depth,
                    [step * (done + j) for j in range(depth)],
                )
            )
            done += depth
        width = block_channels[-1]
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, num_classes, bias=False),
        )
        self._init_weights()

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)


def _maxvit_t(weights: WeightsEnum | None, progress: bool, **kwargs: Any) -> MaxVit:
    if weights is not None:
        require(kwargs, "input_size", weights.meta["min_size"])
    kwargs.setdefault("input_size", (224, 224))
    return construct(
        MaxVit,
        stem_channels=64,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        head_dim=32,
        stochastic_depth_prob=0.2,
        partition_size=7,
        weights=weights,
        progress=progress,
        **kwargs,
    )


@model(MaxVit_T_Weights)
def maxvit_t(*, weights: MaxVit_T_Weights | None = None, progress: bool = True, **kwargs: Any) -> MaxVit:
    """The tiny MaxViT."""
    return _maxvit_t(weights, progress, **kwargs)
