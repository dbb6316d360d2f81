"""Backbones that give maps of several sizes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from ...ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool
from .. import mobilenetv2, mobilenetv3, resnet
from .._api import WeightsEnum, get_model_builder
from .._utils import IntermediateLayerGetter, size_changes

Norm = Callable[..., nn.Module]


class BackboneWithFPN(nn.Module):
    """Layers of a network and a feature pyramid on them. arXiv:1612.03144

    Parameters
    ----------
    return_layers : the names of the layers and the names of the maps
    in_channels_list : channels of the layers
    out_channels : channels of all the maps
    extra_blocks : makes further maps; by default one by pooling the smallest
    """

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: dict[str, str],
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers)
        self.fpn = FeaturePyramidNetwork(
            in_channels_list=in_channels_list,
            out_channels=out_channels,
            extra_blocks=extra_blocks or LastLevelMaxPool(),
            norm_layer=norm_layer,
        )
        self.out_channels = out_channels

    def forward(self, x: fb.Tensor) -> dict[str, fb.Tensor]:
        return self.fpn(self.body(x))


def resnet_fpn_backbone(
    *,
    backbone_name: str,
    weights: WeightsEnum | None,
    norm_layer: Norm = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> BackboneWithFPN:
    """A ResNet, by its name, with a feature pyramid; the last `trainable_layers` of five are trained."""
    backbone = getattr(resnet, backbone_name)(weights=weights, norm_layer=norm_layer)
    return _resnet_fpn_extractor(backbone, trainable_layers, returned_layers, extra_blocks)


def _resnet_fpn_extractor(
    backbone: resnet.ResNet,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Norm | None = None,
) -> BackboneWithFPN:
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    if trainable_layers == 5:
        trained.append("bn1")
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    returned_layers = returned_layers or [1, 2, 3, 4]
    if min(returned_layers) <= 0 or max(returned_layers) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {returned_layers}")
    names = {f"layer{k}": str(i) for i, k in enumerate(returned_layers)}
    channels = [backbone.inplanes // 8 * 2 ** (k - 1) for k in returned_layers]
    return BackboneWithFPN(backbone, names, channels, 256, extra_blocks=extra_blocks, norm_layer=norm_layer)


def _validate_trainable_layers(
    is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int
) -> int:
    """How many layers of a backbone are trained: all, unless it has weights."""
    if not is_trained:
        if trainable_backbone_layers is not None:
            warnings.warn(
                "Changing trainable_backbone_layers has no effect if neither pretrained nor "
                "pretrained_backbone have been set to True, falling back to "
                f"trainable_backbone_layers={max_value} so that all layers are trainable",
                stacklevel=4,
            )
        trainable_backbone_layers = max_value
    if trainable_backbone_layers is None:
        trainable_backbone_layers = default_value
    if not 0 <= trainable_backbone_layers <= max_value:
        raise ValueError(
            f"Trainable backbone layers should be in the range [0,{max_value}], "
            f"got {trainable_backbone_layers} "
        )
    return trainable_backbone_layers


def mobilenet_backbone(
    *,
    backbone_name: str,
    weights: WeightsEnum | None,
    fpn: bool,
    norm_layer: Norm = FrozenBatchNorm2d,
    trainable_layers: int = 2,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> nn.Module:
    """A MobileNet, by its name, with a feature pyramid or with one map of 256 channels."""
    backbone = get_model_builder(backbone_name)(weights=weights, norm_layer=norm_layer)
    return _mobilenet_extractor(backbone, fpn, trainable_layers, returned_layers, extra_blocks)


def mobilenet_stages(features: nn.Sequential, trainable_layers: int) -> list[int]:
    """Where the sizes change in a MobileNet's features, of which all but the last stages are frozen."""
    stages = size_changes(features)
    if not 0 <= trainable_layers <= len(stages):
        raise ValueError(
            f"Trainable layers should be in the range [0,{len(stages)}], got {trainable_layers} "
        )
    frozen = len(features) if trainable_layers == 0 else stages[len(stages) - trainable_layers]
    for layer in features[:frozen]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
    return stages


def _mobilenet_extractor(
    backbone: mobilenetv2.MobileNetV2 | mobilenetv3.MobileNetV3,
    fpn: bool,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Norm | None = None,
) -> nn.Module:
    features: Any = backbone.features
    stages = mobilenet_stages(features, trainable_layers)
    if not fpn:
        network = nn.Sequential(features, nn.Conv2d(features[-1].out_channels, 256, 1))
        network.out_channels = 256
        return network
    returned_layers = returned_layers or [len(stages) - 2, len(stages) - 1]
    if min(returned_layers) < 0 or max(returned_layers) >= len(stages):
        raise ValueError(
            f"Each returned layer should be in the range [0,{len(stages) - 1}], got {returned_layers} "
        )
    names = {str(stages[k]): str(i) for i, k in enumerate(returned_layers)}
    channels = [features[stages[k]].out_channels for k in returned_layers]
    return BackboneWithFPN(features, names, channels, 256, extra_blocks=extra_blocks, norm_layer=norm_layer)
