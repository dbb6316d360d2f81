"""SSD. arXiv:1512.02325"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import boxes as box_ops
from .._api import load, model, published
from ..vgg import VGG, VGG16_Weights, vgg16
from . import _utils as det_utils
from ._one_stage import OneStageDetector, flatten_maps, match, suppress
from .anchor_utils import DefaultBoxGenerator
from .backbone_utils import _validate_trainable_layers
from .transform import GeneralizedRCNNTransform

__all__ = [
    "SSD300_VGG16_Weights",
    "ssd300_vgg16",
]

SSD300_VGG16_Weights = published("SSD300_VGG16_Weights", __name__)
F = nn.functional
Target = dict[str, fb.Tensor]


def _xavier_init(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SSDScoringHead(nn.Module):
    """A layer for each map; all results as [N, anchors, num_columns]."""

    def __init__(self, module_list: nn.ModuleList, num_columns: int) -> None:
        super().__init__()
        self.module_list, self.num_columns = module_list, num_columns

    def forward(self, x: list[fb.Tensor]) -> fb.Tensor:
        outputs = [layer(feature) for layer, feature in zip(self.module_list, x, strict=True)]
        return flatten_maps(outputs, self.num_columns)


def _scoring_layers(in_channels: list[int], num_anchors: list[int], columns: int) -> nn.ModuleList:
    layers = nn.ModuleList(
        nn.Conv2d(channels, columns * anchors, kernel_size=3, padding=1)
        for channels, anchors in zip(in_channels, num_anchors, strict=True)
    )
    _xavier_init(layers)
    return layers


class SSDClassificationHead(SSDScoringHead):
    """Logits of the classes."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int) -> None:
        super().__init__(_scoring_layers(in_channels, num_anchors, num_classes), num_classes)


class SSDRegressionHead(SSDScoringHead):
    """Shifts of the boxes."""

    def __init__(self, in_channels: list[int], num_anchors: list[int]) -> None:
        super().__init__(_scoring_layers(in_channels, num_anchors, 4), 4)


class SSDHead(nn.Module):
    """Classification and regression."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int) -> None:
        super().__init__()
        self.classification_head = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x: list[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSD(OneStageDetector):
    """SSD on any backbone.

    Parameters
    ----------
    backbone : gives several maps; with `out_channels`, else it is run once to learn these
    size : width and height that every picture gets
    num_classes : with the background, which is class 0
    positive_fraction : the share of objects among the anchors that count for the loss of the classes
    """

    def __init__(
        self,
        backbone: nn.Module,
        anchor_generator: DefaultBoxGenerator,
        size: tuple[int, int],
        num_classes: int,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        head: nn.Module | None = None,
        score_thresh: float = 0.01,
        nms_thresh: float = 0.45,
        detections_per_img: int = 200,
        iou_thresh: float = 0.5,
        topk_candidates: int = 400,
        positive_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.backbone, self.anchor_generator = backbone, anchor_generator
        self.box_coder = det_utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        if head is None:
            channels = getattr(backbone, "out_channels", None) or det_utils.retrieve_out_channels(
                backbone, size
            )
            counts = anchor_generator.num_anchors_per_location()
            if len(channels) != len(counts):
                raise ValueError(
                    f"The length of the output channels from the backbone ({len(channels)}) do not match the "
                    f"length of the anchor generator aspect ratios ({len(anchor_generator.aspect_ratios)})"
                )
            head = SSDHead(channels, counts, num_classes)
        self.head = head
        self.proposal_matcher = det_utils.SSDMatcher(iou_thresh)
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(
            min(size), max(size), mean, std, size_divisible=1, fixed_size=size, **kwargs
        )
        self.score_thresh, self.nms_thresh = score_thresh, nms_thresh
        self.detections_per_img, self.topk_candidates = detections_per_img, topk_candidates
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, fb.Tensor],
        anchors: list[fb.Tensor],
        matched_idxs: list[fb.Tensor],
    ) -> dict[str, fb.Tensor]:
        """The losses of matched anchors, and of the classes of the backgrounds that are hardest to tell."""
        shifts, logits = head_outputs["bbox_regression"], head_outputs["cls_logits"]
        count, of_boxes, labels = 0, [], []
        for target, of_image, anchor, matched in zip(targets, shifts, anchors, matched_idxs, strict=True):
            rows = fb.where(matched >= 0)[0]
            chosen = matched[rows]
            count += chosen.numel()
            true = self.box_coder.encode_single(target["boxes"][chosen], anchor[rows])
            of_boxes.append(F.smooth_l1_loss(of_image[rows], true, reduction="sum"))
            label = fb.zeros((logits.size(1),), dtype=target["labels"].dtype, device=target["labels"].device)
            label[rows] = target["labels"][chosen]
            labels.append(label)
        every_label = fb.stack(labels)
        of_classes = F.cross_entropy(
            logits.reshape(-1, logits.size(-1)), every_label.view(-1), reduction="none"
        ).view(every_label.size())
        objects = every_label > 0
        wanted = self.neg_to_pos_ratio * objects.sum(1, keepdim=True)
        hardness = of_classes.clone()
        hardness[objects] = -float("inf")
        rank = hardness.sort(1, descending=True)[1].sort(1)[1]
        backgrounds = rank < wanted
        count = max(1, count)
        return {
            "bbox_regression": fb.stack(of_boxes).sum() / count,
            "classification": (of_classes[objects].sum() + of_classes[backgrounds].sum()) / count,
        }

    def losses(
        self, targets: list[Target], head_outputs: dict, anchors: list[fb.Tensor], features: list[fb.Tensor]
    ) -> dict[str, fb.Tensor]:
        matched = match(self.proposal_matcher, targets, anchors)
        return self.compute_loss(targets, head_outputs, anchors, matched)

    def detections(
        self, head_outputs: dict, anchors: list[fb.Tensor], features: list[fb.Tensor], image_shapes: list
    ) -> list[Target]:
        return self.postprocess_detections(head_outputs, anchors, image_shapes)

    def postprocess_detections(
        self,
        head_outputs: dict[str, fb.Tensor],
        image_anchors: list[fb.Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> list[Target]:
        """The best boxes of each picture, class by class."""
        probabilities = F.softmax(head_outputs["cls_logits"], dim=-1)
        found = []
        for shifts, scores, anchors, shape in zip(
            head_outputs["bbox_regression"], probabilities, image_anchors, image_shapes, strict=True
        ):
            decoded = box_ops.clip_boxes_to_image(self.box_coder.decode_single(shifts, anchors), shape)
            boxes, bests, labels = [], [], []
            for label in range(1, scores.size(-1)):
                of_class = scores[:, label]
                rows = fb.where(of_class > self.score_thresh)[0]
                best, order = of_class[rows].topk(min(self.topk_candidates, len(rows)))
                boxes.append(decoded[rows[order]])
                bests.append(best)
                labels.append(fb.full_like(best, fill_value=label, dtype=fb.int64))
            found.append(suppress(boxes, bests, labels, self.nms_thresh, self.detections_per_img))
        return found


class SSDFeatureExtractorVGG(nn.Module):
    """VGG-16 cut after its fourth block, and further maps, each smaller than the one before."""

    def __init__(self, backbone: nn.Module, highres: bool) -> None:
        super().__init__()
        pools = [i for i, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[pools[2]].ceil_mode = True
        self.scale_weight = nn.Parameter(fb.ones(512) * 20)
        self.features = nn.Sequential(*backbone[: pools[3]])

        def further(inputs: int, inner: int, outputs: int, kernel: int = 3, **shape: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, inner, kernel_size=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(inner, outputs, kernel_size=kernel, **shape),
                nn.ReLU(inplace=True),
            )

        extra = nn.ModuleList(
            [
                further(1024, 256, 512, padding=1, stride=2),
                further(512, 128, 256, padding=1, stride=2),
                further(256, 128, 256),
                further(256, 128, 256),
            ]
        )
        if highres:  # for pictures of 512 pixels
            extra.append(further(256, 128, 256, kernel=4))
        _xavier_init(extra)
        wide = nn.Sequential(  # in place of VGG's linear layers
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=False),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        _xavier_init(wide)
        extra.insert(0, nn.Sequential(*backbone[pools[3] : -1], wide))
        self.extra = extra

    def forward(self, x: fb.Tensor) -> dict[str, fb.Tensor]:
        x = self.features(x)
        maps = [self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), found) for i, found in enumerate(maps))


def _vgg_extractor(backbone: VGG, highres: bool, trainable_layers: int) -> SSDFeatureExtractorVGG:
    features: Any = backbone.features
    stages = [0] + [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)][:-1]
    if not 0 <= trainable_layers <= len(stages):
        raise ValueError(
            f"trainable_layers should be in the range [0, {len(stages)}]. Instead got {trainable_layers}"
        )
    frozen = len(features) if trainable_layers == 0 else stages[len(stages) - trainable_layers]
    for layer in features[:frozen]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
    return SSDFeatureExtractorVGG(features, highres)


def size_is_fixed(kwargs: dict[str, Any], name: str, size: int) -> None:
    """Warn and drop a size: the network was made for one."""
    if kwargs.pop("size", None) is not None:
        warnings.warn(
            f"The size of the model is already fixed; ignoring the parameter. ({name}: {size})", stacklevel=4
        )


@model(SSD300_VGG16_Weights, VGG16_Weights, "IMAGENET1K_FEATURES")
def ssd300_vgg16(
    *,
    weights: SSD300_VGG16_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: VGG16_Weights | None = VGG16_Weights.IMAGENET1K_FEATURES,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> SSD:
    """SSD on VGG-16, for pictures of 300 pixels."""
    size_is_fixed(kwargs, "ssd300_vgg16", 300)
    num_classes = det_utils.class_count(weights, num_classes)
    weights_backbone = None if weights is not None else weights_backbone
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 4)
    backbone = _vgg_extractor(vgg16(weights=weights_backbone, progress=progress), False, layers)
    anchors = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    normalization = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255.0] * 3}
    network = SSD(backbone, anchors, (300, 300), num_classes, **(normalization | kwargs))
    return load(network, weights, progress)
