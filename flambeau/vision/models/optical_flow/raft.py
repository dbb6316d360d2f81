"""RAFT: optical flow, improved step by step from correlations of all pairs of pixels. arXiv:2003.12039"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation
from .._api import WeightsEnum, load, model, published

__all__ = ["RAFT", "Raft_Large_Weights", "Raft_Small_Weights", "raft_large", "raft_small"]

Raft_Large_Weights = published("Raft_Large_Weights", __name__)
Raft_Small_Weights = published("Raft_Small_Weights", __name__)
F = nn.functional
Norm = Callable[..., nn.Module] | None


def _shortcut(in_channels: int, out_channels: int, norm_layer: Norm, stride: int) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    return Conv2dNormActivation(
        in_channels,
        out_channels,
        norm_layer=norm_layer,
        kernel_size=1,
        stride=stride,
        bias=True,
        activation_layer=None,
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, with an activation before and after the sum."""

    def __init__(self, in_channels: int, out_channels: int, *, norm_layer: Norm, stride: int = 1) -> None:
        super().__init__()
        more: dict[str, Any] = {"norm_layer": norm_layer, "kernel_size": 3, "bias": True}
        self.convnormrelu1 = Conv2dNormActivation(in_channels, out_channels, stride=stride, **more)
        self.convnormrelu2 = Conv2dNormActivation(out_channels, out_channels, **more)
        self.downsample = _shortcut(in_channels, out_channels, norm_layer, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.relu(self.downsample(x) + self.convnormrelu2(self.convnormrelu1(x)))


class BottleneckBlock(nn.Module):
    """The same with three convolutions on a quarter of the channels."""

    def __init__(self, in_channels: int, out_channels: int, *, norm_layer: Norm, stride: int = 1) -> None:
        super().__init__()
        more: dict[str, Any] = {"norm_layer": norm_layer, "bias": True}
        inner = out_channels // 4
        self.convnormrelu1 = Conv2dNormActivation(in_channels, inner, kernel_size=1, **more)
        self.convnormrelu2 = Conv2dNormActivation(inner, inner, kernel_size=3, stride=stride, **more)
        self.convnormrelu3 = Conv2dNormActivation(inner, out_channels, kernel_size=1, **more)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out_channels, norm_layer, stride)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return self.relu(self.downsample(x) + y)


class FeatureEncoder(nn.Module):
    """A picture as a map of features of an eighth of its size."""

    def __init__(
        self,
        *,
        block: type[nn.Module] = ResidualBlock,
        layers: Sequence[int] = (64, 64, 96, 128, 256),
        strides: Sequence[int] = (2, 1, 2, 2),
        norm_layer: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"The expected number of layers is 5, instead got {len(layers)}")
        self.convnormrelu = Conv2dNormActivation(
            3, layers[0], norm_layer=norm_layer, kernel_size=7, stride=strides[0], bias=True
        )

        def stage(i: int) -> nn.Sequential:
            return nn.Sequential(
                block(layers[i - 1], layers[i], norm_layer=norm_layer, stride=strides[i]),
                block(layers[i], layers[i], norm_layer=norm_layer, stride=1),
            )

        self.layer1, self.layer2, self.layer3 = stage(1), stage(2), stage(3)
        self.conv = nn.Conv2d(layers[3], layers[4], kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.weight is not None:
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class MotionEncoder(nn.Module):
    """Correlations and the flow so far as features; the last two channels are the flow itself."""

    def __init__(
        self,
        *,
        in_channels_corr: int,
        corr_layers: Sequence[int] = (256, 192),
        flow_layers: Sequence[int] = (128, 64),
        out_channels: int = 128,
    ) -> None:
        super().__init__()
        if len(flow_layers) != 2:
            raise ValueError(f"The expected number of flow_layers is 2, instead got {len(flow_layers)}")
        if len(corr_layers) not in (1, 2):
            raise ValueError(f"The number of corr_layers should be 1 or 2, instead got {len(corr_layers)}")

        def conv(inputs: int, outputs: int, size: int) -> nn.Module:
            return Conv2dNormActivation(inputs, outputs, norm_layer=None, kernel_size=size)

        self.convcorr1 = conv(in_channels_corr, corr_layers[0], 1)
        self.convcorr2 = conv(corr_layers[0], corr_layers[1], 3) if len(corr_layers) == 2 else nn.Identity()
        self.convflow1 = conv(2, flow_layers[0], 7)
        self.convflow2 = conv(flow_layers[0], flow_layers[1], 3)
        self.conv = conv(corr_layers[-1] + flow_layers[-1], out_channels - 2, 3)
        self.out_channels = out_channels

    def forward(self, flow: fb.Tensor, corr_features: fb.Tensor) -> fb.Tensor:
        corr = self.convcorr2(self.convcorr1(corr_features))
        moved = self.convflow2(self.convflow1(flow))
        return fb.cat([self.conv(fb.cat([corr, moved], dim=1)), flow], dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are convolutions."""

    def __init__(self, *, input_size: int, hidden_size: int, kernel_size: Any, padding: Any) -> None:
        super().__init__()
        size = hidden_size + input_size
        self.convz = nn.Conv2d(size, hidden_size, kernel_size=kernel_size, padding=padding)
        self.convr = nn.Conv2d(size, hidden_size, kernel_size=kernel_size, padding=padding)
        self.convq = nn.Conv2d(size, hidden_size, kernel_size=kernel_size, padding=padding)

    def forward(self, h: fb.Tensor, x: fb.Tensor) -> fb.Tensor:
        both = fb.cat([h, x], dim=1)
        update, reset = fb.sigmoid(self.convz(both)), fb.sigmoid(self.convr(both))
        new = fb.tanh(self.convq(fb.cat([reset * h, x], dim=1)))
        return (1 - update) * h + update * new


class RecurrentBlock(nn.Module):
    """One or two recurrent units in turn."""

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        kernel_size: Sequence[tuple[int, int]] = ((1, 5), (5, 1)),
        padding: Sequence[tuple[int, int]] = ((0, 2), (2, 0)),
    ) -> None:
        super().__init__()
        if len(kernel_size) != len(padding):
            raise ValueError(
                f"kernel_size should have the same length as padding, instead got len(kernel_size) = "
                f"{len(kernel_size)} and len(padding) = {len(padding)}"
            )
        if len(kernel_size) not in (1, 2):
            raise ValueError(f"kernel_size should either 1 or 2, instead got {len(kernel_size)}")
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self.convgru1 = ConvGRU(**sizes, kernel_size=kernel_size[0], padding=padding[0])
        if len(kernel_size) == 2:
            self.convgru2: nn.Module | None = ConvGRU(**sizes, kernel_size=kernel_size[1], padding=padding[1])
        else:
            self.convgru2 = None
        self.hidden_size = hidden_size

    def forward(self, h: fb.Tensor, x: fb.Tensor) -> fb.Tensor:
        h = self.convgru1(h, x)
        return h if self.convgru2 is None else self.convgru2(h, x)


class FlowHead(nn.Module):
    """How much the flow changes."""

    def __init__(self, *, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """One step: the new state, and how much the flow changes."""

    def __init__(
        self, *, motion_encoder: nn.Module, recurrent_block: nn.Module, flow_head: nn.Module
    ) -> None:
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(
        self, hidden_state: fb.Tensor, context: fb.Tensor, corr_features: fb.Tensor, flow: fb.Tensor
    ) -> tuple[fb.Tensor, fb.Tensor]:
        x = fb.cat([context, self.motion_encoder(flow, corr_features)], dim=1)
        hidden_state = self.recurrent_block(hidden_state, x)
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """The weights with which 9 neighbours make each of 8 × 8 finer pixels."""

    def __init__(self, *, in_channels: int, hidden_size: int, multiplier: float = 0.25) -> None:
        super().__init__()
        self.convrelu = Conv2dNormActivation(in_channels, hidden_size, norm_layer=None, kernel_size=3)
        self.conv = nn.Conv2d(hidden_size, 8 * 8 * 9, 1, padding=0)
        self.multiplier = multiplier

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.multiplier * self.conv(self.convrelu(x))


class CorrBlock(nn.Module):
    """Products of the features of all pairs of pixels, at several scales, looked up around a place."""

    def __init__(self, *, num_levels: int = 4, radius: int = 4) -> None:
        super().__init__()
        self.num_levels, self.radius = num_levels, radius
        self.corr_pyramid: list[fb.Tensor] = []
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1: fb.Tensor, fmap2: fb.Tensor) -> None:
        """Keep the products [N * H * W, 1, H, W] and their means over larger and larger squares."""
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                f"Input feature maps should have the same shape, instead got {fmap1.shape} (fmap1.shape) != "
                f"{fmap2.shape} (fmap2.shape)"
            )
        least = 2 * 2 ** (self.num_levels - 1)
        if min(fmap1.shape[-2:]) < least:
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid. H and W of "
                f"feature maps should be at least {least}; got: {fmap1.shape[-2:]}. Remember that input "
                "images to the model are downsampled by 8, so that means their dimensions should be at "
                f"least 8 * {least} = {8 * least}."
            )
        count, channels, height, width = fmap1.shape
        products = fmap1.flatten(2).transpose(1, 2) @ fmap2.flatten(2)
        level = (products / channels**0.5).reshape(count * height * width, 1, height, width)
        self.corr_pyramid = [level]
        for _ in range(self.num_levels - 1):
            level = F.avg_pool2d(level, kernel_size=2, stride=2)
            self.corr_pyramid.append(level)

    def index_pyramid(self, centroids_coords: fb.Tensor) -> fb.Tensor:
        """The products around the places [N, 2, H, W] (x, y): [N, channels, H, W]."""
        count, _, height, width = centroids_coords.shape
        side = 2 * self.radius + 1
        steps = fb.linspace(-self.radius, self.radius, side, device=centroids_coords.device)
        around = fb.stack(fb.meshgrid(steps, steps, indexing="ij"), dim=-1).view(1, side, side, 2)
        centre = centroids_coords.permute(0, 2, 3, 1).reshape(count * height * width, 1, 1, 2)
        found = []
        for level in self.corr_pyramid:
            rows, columns = level.shape[-2:]
            last = fb.tensor([columns - 1, rows - 1], dtype=level.dtype, device=level.device)
            places = 2 * (centre + around) / last - 1
            sampled = F.grid_sample(level, places, mode="bilinear", align_corners=True)
            found.append(sampled.view(count, height, width, -1))
            centre = centre / 2
        return fb.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()


def make_coords_grid(batch_size: int, h: int, w: int, device: Any = None) -> fb.Tensor:
    """The place (x, y) of each pixel: [N, 2, H, W]."""
    rows, columns = fb.meshgrid(fb.arange(h, device=device), fb.arange(w, device=device), indexing="ij")
    return fb.stack([columns, rows], dim=0).float()[None].repeat(batch_size, 1, 1, 1)


def upsample_flow(flow: fb.Tensor, up_mask: fb.Tensor | None = None, factor: int = 8) -> fb.Tensor:
    """A flow of `factor` times the size, by weights for 9 neighbours or bilinear."""
    count, channels, height, width = flow.shape
    if up_mask is None:
        size = (factor * height, factor * width)
        return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    weights = up_mask.view(count, 1, 9, factor, factor, height, width).softmax(dim=2)
    near = F.unfold(factor * flow, kernel_size=3, padding=1).view(count, channels, 9, 1, 1, height, width)
    finer = (weights * near).sum(dim=2)
    return finer.permute(0, 1, 4, 2, 5, 3).reshape(count, channels, factor * height, factor * width)


class RAFT(nn.Module):
    """Two pictures [N, 3, H, W] with values from -1 to 1 to flows [N, 2, H, W], one for each improvement."""

    def __init__(
        self,
        *,
        feature_encoder: nn.Module,
        context_encoder: nn.Module,
        corr_block: nn.Module,
        update_block: nn.Module,
        mask_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor
        if not hasattr(update_block, "hidden_state_size"):
            raise ValueError("The update_block parameter should expose a 'hidden_state_size' attribute.")

    def forward(self, image1: fb.Tensor, image2: fb.Tensor, num_flow_updates: int = 12) -> list[fb.Tensor]:
        count, _, height, width = image1.shape
        if image2.shape[-2:] != (height, width):
            raise ValueError(
                f"input images should have the same shape, instead got ({height}, {width}) != "
                f"{tuple(image2.shape[-2:])}"
            )
        if height % 8 or width % 8:
            raise ValueError(
                f"input image H and W should be divisible by 8, instead got {height} (h) and {width} (w)"
            )
        first, second = fb.chunk(self.feature_encoder(fb.cat([image1, image2], dim=0)), 2, dim=0)
        if first.shape[-2:] != (height // 8, width // 8):
            raise ValueError("The feature encoder should downsample H and W by 8")
        self.corr_block.build_pyramid(first, second)
        context = self.context_encoder(image1)
        if context.shape[-2:] != (height // 8, width // 8):
            raise ValueError("The context encoder should downsample H and W by 8")
        state = self.update_block.hidden_state_size
        if context.shape[1] <= state:
            raise ValueError(
                f"The context encoder outputs {context.shape[1]} channels, but it should have at strictly "
                f"more than hidden_state={state} channels"
            )
        hidden, context = fb.tanh(context[:, :state]), F.relu(context[:, state:])
        here = make_coords_grid(count, height // 8, width // 8, first.device)
        there = here.clone()
        flows = []
        for _ in range(num_flow_updates):
            there = there.detach()  # each improvement learns by itself
            products = self.corr_block.index_pyramid(centroids_coords=there)
            hidden, change = self.update_block(hidden, context, products, there - here)
            there = there + change
            mask = None if self.mask_predictor is None else self.mask_predictor(hidden)
            flows.append(upsample_flow(there - here, mask))
        return flows


def _raft(
    weights: WeightsEnum | None,
    progress: bool,
    *,
    block: type[nn.Module],
    features: Sequence[int],
    context: Sequence[int],
    context_norm: Norm,
    radius: int,
    motion: dict[str, Any],
    recurrent: dict[str, Any],
    flow_hidden: int,
    masked: bool,
    **parts: Any,
) -> RAFT:
    def make(**given: Any) -> RAFT:
        feature_encoder = given.pop("feature_encoder", None) or FeatureEncoder(
            block=block, layers=features, norm_layer=nn.InstanceNorm2d
        )
        context_encoder = given.pop("context_encoder", None) or FeatureEncoder(
            block=block, layers=context, norm_layer=context_norm
        )
        corr_block = given.pop("corr_block", None) or CorrBlock(num_levels=4, radius=radius)
        update_block = given.pop("update_block", None)
        hidden = recurrent["hidden_size"]
        if update_block is None:
            motion_encoder = MotionEncoder(in_channels_corr=corr_block.out_channels, **motion)
            size = motion_encoder.out_channels + context[-1] - hidden
            update_block = UpdateBlock(
                motion_encoder=motion_encoder,
                recurrent_block=RecurrentBlock(input_size=size, **recurrent),
                flow_head=FlowHead(in_channels=hidden, hidden_size=flow_hidden),
            )
        mask_predictor = given.pop("mask_predictor", None)
        if mask_predictor is None and masked:
            mask_predictor = MaskPredictor(in_channels=hidden, hidden_size=256, multiplier=0.25)
        return RAFT(
            feature_encoder=feature_encoder,
            context_encoder=context_encoder,
            corr_block=corr_block,
            update_block=update_block,
            mask_predictor=mask_predictor,
            **given,
        )

    return load(make(**parts), weights, progress)


@model(Raft_Large_Weights)
def raft_large(*, weights: Raft_Large_Weights | None = None, progress: bool = True, **kwargs: Any) -> RAFT:
    """The network of the paper."""
    return _raft(
        weights,
        progress,
        block=ResidualBlock,
        features=(64, 64, 96, 128, 256),
        context=(64, 64, 96, 128, 256),
        context_norm=nn.BatchNorm2d,
        radius=4,
        motion={"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128},
        recurrent={"hidden_size": 128, "kernel_size": ((1, 5), (5, 1)), "padding": ((0, 2), (2, 0))},
        flow_hidden=256,
        masked=True,
        **kwargs,
    )


@model(Raft_Small_Weights)
def raft_small(*, weights: Raft_Small_Weights | None = None, progress: bool = True, **kwargs: Any) -> RAFT:
    """The small network of the paper."""
    return _raft(
        weights,
        progress,
        block=BottleneckBlock,
        features=(32, 32, 64, 96, 128),
        context=(32, 32, 64, 96, 160),
        context_norm=None,
        radius=3,
        motion={"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82},
        recurrent={"hidden_size": 96, "kernel_size": ((3, 3),), "padding": ((1, 1),)},
        flow_hidden=128,
        masked=False,
        **kwargs,
    )
