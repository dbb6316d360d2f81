"""Vision transformers. arXiv:2010.11929"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ..ops import MLP, Conv2dNormActivation
from ._api import WeightsEnum, construct, model, published, require

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

ViT_B_16_Weights = published("ViT_B_16_Weights", __name__)
ViT_B_32_Weights = published("ViT_B_32_Weights", __name__)
ViT_H_14_Weights = published("ViT_H_14_Weights", __name__)
ViT_L_16_Weights = published("ViT_L_16_Weights", __name__)
ViT_L_32_Weights = published("ViT_L_32_Weights", __name__)
_NORM = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """One convolution of a stem in place of the patches. arXiv:2106.14881"""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


class MLPBlock(MLP):
    """Two linear layers with GELU between them."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *lists_and_flags: Any
    ) -> None:
        """Files before version 2 have ``linear_1`` and ``linear_2`` for 0 and 3."""
        if (local_metadata.get("version") or 1) < 2:
            for old, new in (("linear_1", "0"), ("linear_2", "3")):
                for kind in ("weight", "bias"):
                    if (key := f"{prefix}{old}.{kind}") in state_dict:
                        state_dict[f"{prefix}{new}.{kind}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists_and_flags)


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each after a normalization and beside a shortcut."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = _NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        fb._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Blocks on a sequence with learned positions."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = _NORM,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(fb.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(num_layers):
            layers[f"encoder_layer_{i}"] = EncoderBlock(
                num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
            )
        self.layers = nn.Sequential(layers)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        fb._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


def _init_lecun(layer: nn.Module, fan_in: int) -> None:
    nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class VisionTransformer(nn.Module):
    """A picture cut into patches, encoded as a sequence behind a class token.

    Parameters
    ----------
    image_size, patch_size : in pixels; the picture must have just this size
    representation_size : units of a layer before the last one; none by default
    conv_stem_configs : convolutions to take in place of the patches
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Callable[..., nn.Module] = _NORM,
        conv_stem_configs: list[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size != 0:
            raise AssertionError("Input shape indivisible by patch size!")
        self.image_size, self.patch_size = image_size, patch_size
        self.hidden_dim, self.mlp_dim = hidden_dim, mlp_dim
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.num_classes, self.representation_size = num_classes, representation_size
        self.norm_layer = norm_layer
        if conv_stem_configs is not None:
            self.conv_proj = self._convolutional_stem(conv_stem_configs)
        else:
            self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        self.class_token = nn.Parameter(fb.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length,
            num_layers,
            num_heads,
            hidden_dim,
            mlp_dim,
            dropout,
            attention_dropout,
            norm_layer,
        )
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is None:
            heads["head"] = nn.Linear(hidden_dim, num_classes)
        else:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
            heads["head"] = nn.Linear(representation_size, num_classes)
        self.heads = nn.Sequential(heads)
        if isinstance(self.conv_proj, nn.Conv2d):
            patch = self.conv_proj
            _init_lecun(patch, patch.in_channels * patch.kernel_size[0] * patch.kernel_size[1])
        else:
            last = self.conv_proj.conv_last
            nn.init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / last.out_channels))
            if last.bias is not None:
                nn.init.zeros_(last.bias)
        if representation_size is not None:
            _init_lecun(self.heads.pre_logits, hidden_dim)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def _convolutional_stem(self, configs: list[ConvStemConfig]) -> nn.Sequential:
        stem, channels = nn.Sequential(), 3
        for i, config in enumerate(configs):
            layer = Conv2dNormActivation(
                channels,
                config.out_channels,
                kernel_size=config.kernel_size,
                stride=config.stride,
                norm_layer=config.norm_layer,
                activation_layer=config.activation_layer,
            )
            stem.add_module(f"conv_bn_relu_{i}", layer)
            channels = config.out_channels
        stem.add_module("conv_last", nn.Conv2d(channels, self.hidden_dim, kernel_size=1))
        return stem

    def _process_input(self, x: fb.Tensor) -> fb.Tensor:
        """A picture [N, 3, S, S] as patches [N, (S / P)², D]."""
        _, _, height, width = x.shape
        for name, found in (("height", height), ("width", width)):
            fb._assert(
                found == self.image_size, f"Wrong image {name}! Expected {self.image_size} but got {found}!"
            )
        return self.conv_proj(x).flatten(2).permute(0, 2, 1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self._process_input(x)
        tokens = self.class_token.expand(x.shape[0], -1, -1)
        return self.heads(self.encoder(fb.cat([tokens, x], dim=1))[:, 0])


def interpolate_embeddings(
    image_size: int,
    patch_size: int,
    model_state: OrderedDict[str, fb.Tensor],
    interpolation_mode: str = "bicubic",
    reset_heads: bool = False,
) -> OrderedDict[str, fb.Tensor]:
    """A state dict whose positions fit pictures of another size.

    Parameters
    ----------
    image_size : the new size
    model_state : weights of a network with the same patches
    reset_heads : leave the last layers out
    """
    positions = model_state["encoder.pos_embedding"]
    count, length, width = positions.shape
    if count != 1:
        raise ValueError(f"Unexpected position embedding shape: {positions.shape}")
    new_side = image_size // patch_size
    if new_side**2 + 1 == length:
        return model_state
    side = math.isqrt(length - 1)
    if side * side != length - 1:
        raise ValueError(
            "seq_length is not a perfect square! Instead got seq_length_1d * seq_length_1d = "
            f"{side * side} and seq_length = {length - 1}"
        )
    grid = positions[:, 1:].permute(0, 2, 1).reshape(1, width, side, side)
    grid = nn.functional.interpolate(grid, size=new_side, mode=interpolation_mode, align_corners=True)
    new = fb.cat([positions[:, :1], grid.flatten(2).permute(0, 2, 1)], dim=1)
    state = OrderedDict(
        (name, value) for name, value in model_state.items() if not (reset_heads and name.startswith("heads"))
    )
    state["encoder.pos_embedding"] = new
    return state


def _vision_transformer(
    patch_size: int,
    num_layers: int,
    num_heads: int,
    hidden_dim: int,
    mlp_dim: int,
    weights: WeightsEnum | None,
    progress: bool,
    **kwargs: Any,
) -> VisionTransformer:
    if weights is not None:
        require(kwargs, "image_size", weights.meta["min_size"][0])
    shape = {"patch_size": patch_size, "num_layers": num_layers, "num_heads": num_heads}
    shape |= {"hidden_dim": hidden_dim, "mlp_dim": mlp_dim, "image_size": kwargs.pop("image_size", 224)}
    return construct(VisionTransformer, weights=weights, progress=progress, **shape, **kwargs)


@model(ViT_B_16_Weights)
def vit_b_16(
    *, weights: ViT_B_16_Weights | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """The base vision transformer on patches of 16 × 16."""
    return _vision_transformer(16, 12, 12, 768, 3072, weights, progress, **kwargs)


@model(ViT_B_32_Weights)
def vit_b_32(
    *, weights: ViT_B_32_Weights | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """The base vision transformer on patches of 32 × 32."""
    return _vision_transformer(32, 12, 12, 768, 3072, weights, progress, **kwargs)


@model(ViT_H_14_Weights)
def vit_h_14(
    *, weights: ViT_H_14_Weights | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """The huge vision transformer on patches of 14 × 14."""
    return _vision_transformer(14, 32, 16, 1280, 5120, weights, progress, **kwargs)


@model(ViT_L_16_Weights)
def vit_l_16(
    *, weights: ViT_L_16_Weights | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """The large vision transformer on patches of 16 × 16."""
    return _vision_transformer(16, 24, 16, 1024, 4096, weights, progress, **kwargs)


@model(ViT_L_32_Weights)
def vit_l_32(
    *, weights: ViT_L_32_Weights | None = None, progress: bool = True, **kwargs: Any
) -> VisionTransformer:
    """The large vision transformer on patches of 32 × 32."""
    return _vision_transformer(32, 24, 16, 1024, 4096, weights, progress, **kwargs)
