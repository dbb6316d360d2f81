"""Mask R-CNN. arXiv:1703.06870"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from flambeau import nn

from ...ops import Conv2dNormActivation, MultiScaleRoIAlign
from .._api import load, model, published
from ..resnet import ResNet50_Weights
from ._utils import class_count, overwrite_eps
from .faster_rcnn import FasterRCNN, _backbone, _backbone_v2, _check_kind, _heads_v2

__all__ = [
    "MaskRCNN",
    "MaskRCNN_ResNet50_FPN_V2_Weights",
    "MaskRCNN_ResNet50_FPN_Weights",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
]

MaskRCNN_ResNet50_FPN_Weights = published("MaskRCNN_ResNet50_FPN_Weights", __name__)
MaskRCNN_ResNet50_FPN_V2_Weights = published("MaskRCNN_ResNet50_FPN_V2_Weights", __name__)
Norm = Callable[..., nn.Module]


class MaskRCNN(FasterRCNN):
    """Faster R-CNN that also gives a mask [1, H, W] of probabilities for each box.

    Targets have "masks" [N, H, W] too. The keywords are those of `FasterRCNN` and the three parts for masks.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int | None = None,
        *args: Any,
        mask_roi_pool: nn.Module | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        _check_kind(mask_roi_pool, "mask_roi_pool", MultiScaleRoIAlign)
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        pool = mask_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = mask_head or MaskRCNNHeads(backbone.out_channels, (256, 256, 256, 256), 1)
        predictor = mask_predictor or MaskRCNNPredictor(256, 256, num_classes)
        super().__init__(backbone, num_classes, *args, **kwargs)
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = predictor


class MaskRCNNHeads(nn.Sequential):
    """Convolutions that keep the size."""

    _version = 2

    def __init__(
        self, in_channels: int, layers: list[int], dilation: int, norm_layer: Norm | None = None
    ) -> None:
        blocks = []
        for outputs in layers:
            blocks.append(
                Conv2dNormActivation(
                    in_channels,
                    outputs,
                    kernel_size=3,
                    stride=1,
                    padding=dilation,
                    dilation=dilation,
                    norm_layer=norm_layer,
                )
            )
            in_channels = outputs
        super().__init__(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *lists_and_flags: Any
    ) -> None:
        """Files before version 2 have the names ``mask_fcn1`` and so on."""
        if (local_metadata.get("version") or 1) < 2:
            for i in range(len(self)):
                for kind in ("weight", "bias"):
                    if (old := f"{prefix}mask_fcn{i + 1}.{kind}") in state_dict:
                        state_dict[f"{prefix}{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists_and_flags)


class MaskRCNNPredictor(nn.Sequential):
    """Twice the size, then logits for each class."""

    def __init__(self, in_channels: int, dim_reduced: int, num_classes: int) -> None:
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(dim_reduced, num_classes, 1, 1, 0),
            )
        )
        for name, parameter in self.named_parameters():
            if "weight" in name:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


@model(MaskRCNN_ResNet50_FPN_Weights, ResNet50_Weights)
def maskrcnn_resnet50_fpn(
    *,
    weights: MaskRCNN_ResNet50_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50 with a feature pyramid."""
    num_classes = class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    backbone = _backbone(weights, weights_backbone, progress, trainable_backbone_layers)
    network = load(MaskRCNN(backbone, num_classes=num_classes, **kwargs), weights, progress)
    if weights == MaskRCNN_ResNet50_FPN_Weights.COCO_V1:
        overwrite_eps(network, 0.0)
    return network


@model(MaskRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights)
def maskrcnn_resnet50_fpn_v2(
    *,
    weights: MaskRCNN_ResNet50_FPN_V2_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> MaskRCNN:
    """Mask R-CNN, version 2, on ResNet-50 with a feature pyramid."""
    num_classes = class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    backbone = _backbone_v2(weights, weights_backbone, progress, trainable_backbone_layers)
    heads = _heads_v2(backbone)
    mask_head = MaskRCNNHeads(backbone.out_channels, [256, 256, 256, 256], 1, norm_layer=nn.BatchNorm2d)
    network = MaskRCNN(backbone, num_classes=num_classes, mask_head=mask_head, **heads, **kwargs)
    return load(network, weights, progress)
