"""Faster R-CNN. arXiv:1506.01497; version 2: arXiv:2111.11429"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation, FrozenBatchNorm2d, MultiScaleRoIAlign
from ...ops.feature_pyramid_network import ExtraFPNBlock
from .._api import WeightsEnum, load, model, published
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ..resnet import ResNet50_Weights, resnet50
from ._utils import class_count, overwrite_eps
from .anchor_utils import AnchorGenerator
from .backbone_utils import (
    BackboneWithFPN,
    _mobilenet_extractor,
    _resnet_fpn_extractor,
    _validate_trainable_layers,
)
from .generalized_rcnn import GeneralizedRCNN
from .roi_heads import RoIHeads
from .rpn import RegionProposalNetwork, RPNHead
from .transform import GeneralizedRCNNTransform

__all__ = [
    "FasterRCNN",
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights",
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights",
    "FasterRCNN_ResNet50_FPN_V2_Weights",
    "FasterRCNN_ResNet50_FPN_Weights",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
]

FasterRCNN_ResNet50_FPN_Weights = published("FasterRCNN_ResNet50_FPN_Weights", __name__)
FasterRCNN_ResNet50_FPN_V2_Weights = published("FasterRCNN_ResNet50_FPN_V2_Weights", __name__)
FasterRCNN_MobileNet_V3_Large_FPN_Weights = published("FasterRCNN_MobileNet_V3_Large_FPN_Weights", __name__)
FasterRCNN_MobileNet_V3_Large_320_FPN_Weights = published(
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights", __name__
)
Norm = Callable[..., nn.Module]


class TwoMLPHead(nn.Module):
    """Two linear layers on flattened regions."""

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = nn.functional.relu(self.fc6(x.flatten(start_dim=1)))
        return nn.functional.relu(self.fc7(x))


class FastRCNNConvFCHead(nn.Sequential):
    """Convolutions, then linear layers, on regions of the size (C, H, W)."""

    def __init__(
        self,
        input_size: tuple[int, int, int],
        conv_layers: list[int],
        fc_layers: list[int],
        norm_layer: Norm | None = None,
    ) -> None:
        channels, height, width = input_size
        layers: list[nn.Module] = []
        for outputs in conv_layers:
            layers.append(Conv2dNormActivation(channels, outputs, norm_layer=norm_layer))
            channels = outputs
        layers.append(nn.Flatten())
        units = channels * height * width
        for outputs in fc_layers:
            layers += [nn.Linear(units, outputs), nn.ReLU(inplace=True)]
            units = outputs
        super().__init__(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class FastRCNNPredictor(nn.Module):
    """Class scores and, for each class, shifts of the box."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        if x.dim() == 4 and list(x.shape[2:]) != [1, 1]:
            raise AssertionError(
                "x has the wrong shape, expecting the last two dimensions to be [1,1] "
                f"instead of {list(x.shape[2:])}"
            )
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


def _default_anchorgen() -> AnchorGenerator:
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN on any backbone that has the attribute `out_channels`.

    Parameters
    ----------
    backbone : gives a map or a dictionary of maps
    num_classes : with the background, which is class 0
    min_size, max_size : of the pictures' shorter and longer side
    image_mean, image_std : of the normalization; ImageNet's by default
    rpn_... : see `rpn.RegionProposalNetwork`
    box_... : see `roi_heads.RoIHeads`; `box_roi_pool` reads the maps "0" to "3" by default
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int | None = None,
        min_size: int = 800,
        max_size: int = 1333,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        rpn_anchor_generator: nn.Module | None = None,
        rpn_head: nn.Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: nn.Module | None = None,
        box_head: nn.Module | None = None,
        box_predictor: nn.Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: tuple[float, float, float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not hasattr(backbone, "out_channels"):
            raise ValueError(
                "backbone should contain an attribute out_channels specifying the number of output channels "
                "(assumed to be the same for all the levels)"
            )
        _check_kind(rpn_anchor_generator, "rpn_anchor_generator", AnchorGenerator)
        _check_kind(box_roi_pool, "box_roi_pool", MultiScaleRoIAlign)
        if num_classes is not None and box_predictor is not None:
            raise ValueError("num_classes should be None when box_predictor is specified")
        if num_classes is None and box_predictor is None:
            raise ValueError("num_classes should not be None when box_predictor is not specified")
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or _default_anchorgen()
        rpn = RegionProposalNetwork(
            anchors,
            rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0]),
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            score_thresh=rpn_score_thresh,
        )
        pool = box_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
        roi_heads = RoIHeads(
            pool,
            box_head or TwoMLPHead(channels * pool.output_size[0] ** 2, 1024),
            box_predictor or FastRCNNPredictor(1024, num_classes),
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        super().__init__(backbone, rpn, roi_heads, transform)


def _check_kind(value: Any, name: str, kind: type) -> None:
    if not isinstance(value, (kind, type(None))):
        raise TypeError(f"{name} should be of type {kind.__name__} or None instead of {type(value)}")


def _backbone(
    weights: WeightsEnum | None,
    weights_backbone: ResNet50_Weights | None,
    progress: bool,
    trainable_backbone_layers: int | None,
    returned_layers: list[int] | None = None,
    last_levels: Callable[[], ExtraFPNBlock] | None = None,
) -> BackboneWithFPN:
    """ResNet-50 with a pyramid; its normalizations are frozen where it has weights."""
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 3)
    norm_layer = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    backbone = resnet50(weights=weights_backbone, progress=progress, norm_layer=norm_layer)
    extra_blocks = last_levels() if last_levels is not None else None
    return _resnet_fpn_extractor(backbone, layers, returned_layers, extra_blocks)


def _backbone_v2(
    weights: WeightsEnum | None,
    weights_backbone: ResNet50_Weights | None,
    progress: bool,
    trainable_backbone_layers: int | None,
) -> BackboneWithFPN:
    """ResNet-50 with a pyramid, normalized throughout."""
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 3)
    backbone = resnet50(weights=weights_backbone, progress=progress)
    return _resnet_fpn_extractor(backbone, layers, norm_layer=nn.BatchNorm2d)


def _heads_v2(backbone: BackboneWithFPN) -> dict[str, Any]:
    """The deeper heads of version 2."""
    anchors = _default_anchorgen()
    channels = backbone.out_channels
    return {
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead(
            (channels, 7, 7), [256, 256, 256, 256], [1024], norm_layer=nn.BatchNorm2d
        ),
    }


def _on_mobilenet(
    weights: WeightsEnum | None,
    progress: bool,
    num_classes: int | None,
    weights_backbone: MobileNet_V3_Large_Weights | None,
    trainable_backbone_layers: int | None,
    **kwargs: Any,
) -> FasterRCNN:
    num_classes = class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 6, 3)
    norm_layer = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    backbone = mobilenet_v3_large(weights=weights_backbone, progress=progress, norm_layer=norm_layer)
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    network = FasterRCNN(
        _mobilenet_extractor(backbone, True, layers), num_classes, rpn_anchor_generator=anchors, **kwargs
    )
    return load(network, weights, progress)


@model(FasterRCNN_ResNet50_FPN_Weights, ResNet50_Weights)
def fasterrcnn_resnet50_fpn(
    *,
    weights: FasterRCNN_ResNet50_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on ResNet-50 with a feature pyramid."""
    num_classes = class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    backbone = _backbone(weights, weights_backbone, progress, trainable_backbone_layers)
    network = load(FasterRCNN(backbone, num_classes=num_classes, **kwargs), weights, progress)
    if weights == FasterRCNN_ResNet50_FPN_Weights.COCO_V1:
        overwrite_eps(network, 0.0)
    return network


@model(FasterRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights)
def fasterrcnn_resnet50_fpn_v2(
    *,
    weights: FasterRCNN_ResNet50_FPN_V2_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | None = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN, version 2, on ResNet-50 with a feature pyramid."""
    num_classes = class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    backbone = _backbone_v2(weights, weights_backbone, progress, trainable_backbone_layers)
    network = FasterRCNN(backbone, num_classes=num_classes, **_heads_v2(backbone), **kwargs)
    return load(network, weights, progress)


@model(FasterRCNN_MobileNet_V3_Large_FPN_Weights, MobileNet_V3_Large_Weights)
def fasterrcnn_mobilenet_v3_large_fpn(
    *,
    weights: FasterRCNN_MobileNet_V3_Large_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on the large MobileNetV3 with a feature pyramid."""
    return _on_mobilenet(
        weights,
        progress,
        num_classes,
        weights_backbone,
        trainable_backbone_layers,
        **{"rpn_score_thresh": 0.05, **kwargs},
    )


@model(FasterRCNN_MobileNet_V3_Large_320_FPN_Weights, MobileNet_V3_Large_Weights)
def fasterrcnn_mobilenet_v3_large_320_fpn(
    *,
    weights: FasterRCNN_MobileNet_V3_Large_320_FPN_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on the large MobileNetV3 with a feature pyramid, for pictures of 320 pixels."""
    small = {"min_size": 320, "max_size": 640, "rpn_pre_nms_top_n_test": 150}
    small |= {"rpn_post_nms_top_n_test": 150, "rpn_score_thresh": 0.05}
    return _on_mobilenet(
        weights, progress, num_classes, weights_backbone, trainable_backbone_layers, **(small | kwargs)
    )
