"""What the networks for segmentation share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from .._api import WeightsEnum, load, require
from .._utils import IntermediateLayerGetter
from ..resnet import ResNet


def resize(x: fb.Tensor, size: tuple[int, int]) -> fb.Tensor:
    """Bilinear resizing of [N, C, H, W]."""
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


class _SimpleSegmentationModel(nn.Module):
    """A backbone whose results named "out" and "aux" go through a classifier each, at the input's size."""

    def __init__(
        self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: fb.Tensor) -> dict[str, fb.Tensor]:
        features = self.backbone(x)
        result = OrderedDict(out=resize(self.classifier(features["out"]), x.shape[-2:]))
        if self.aux_classifier is not None:
            result["aux"] = resize(self.aux_classifier(features["aux"]), x.shape[-2:])
        return result


def resnet_layers(backbone: ResNet, aux: bool | None) -> IntermediateLayerGetter:
    """The last layer of a ResNet as "out", the one before as "aux"."""
    return IntermediateLayerGetter(backbone, {"layer4": "out", "layer3": "aux"} if aux else {"layer4": "out"})


def make(
    build: Callable[[WeightsEnum | None, int, bool | None], nn.Module],
    weights: WeightsEnum | None,
    progress: bool,
    num_classes: int | None,
    aux_loss: bool | None,
    weights_backbone: WeightsEnum | None,
) -> Any:
    """A network with weights of all its parts, or of the backbone only."""
    if weights is not None:
        given = {} if num_classes is None else {"num_classes": num_classes}
        require(given, "num_classes", len(weights.meta["categories"]))
        weights_backbone, num_classes = None, given["num_classes"]
    return load(
        build(weights_backbone, 21 if num_classes is None else num_classes, aux_loss), weights, progress
    )


def with_auxiliary(weights: WeightsEnum | None, aux_loss: bool | None) -> bool | None:
    """The published weights have the auxiliary head."""
    if weights is None:
        return aux_loss
    given = {} if aux_loss is None else {"aux_loss": aux_loss}
    require(given, "aux_loss", True)
    return True
