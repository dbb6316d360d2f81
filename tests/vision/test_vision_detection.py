"""Detectors have torchvision's losses and detections, and their parts do what they say.

``golden/vision_detection.json`` was written by torchvision 0.28 with the same seeds: losses, the sum of the
norms of all gradients, and for each picture the shapes and sums of what is detected.
"""

import json
import warnings
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models.detection import _utils, backbone_utils, roi_heads, transform
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from flambeau.vision.models.detection.image_list import ImageList

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vision_detection.json").read_text())
SMALL = {"min_size": 64, "max_size": 96}
TWO_STAGES = SMALL | {
    "rpn_pre_nms_top_n_train": 60, "rpn_post_nms_top_n_train": 40, "rpn_pre_nms_top_n_test": 60,
    "rpn_post_nms_top_n_test": 30, "box_score_thresh": 0.1, "box_detections_per_img": 12,
    "box_batch_size_per_image": 32,
}  # fmt: skip
ONE_STAGE = {"detections_per_img": 12, "topk_candidates": 30}
OPTIONS = {
    "fasterrcnn_mobilenet_v3_large_fpn": TWO_STAGES,
    "maskrcnn_resnet50_fpn": TWO_STAGES,
    "keypointrcnn_resnet50_fpn": TWO_STAGES | {"num_classes": 2, "num_keypoints": 3},
    "retinanet_resnet50_fpn": SMALL | ONE_STAGE | {"score_thresh": 0.005},
    "retinanet_resnet50_fpn_v2": SMALL | ONE_STAGE | {"score_thresh": 0.005},
    "fcos_resnet50_fpn": SMALL | ONE_STAGE | {"score_thresh": 0.01},
    "ssdlite320_mobilenet_v3_large": ONE_STAGE | {"score_thresh": 0.1},
}


def example(name, classes):
    """Two pictures; the second has no object, where a network allows it."""
    fb.manual_seed(1)
    images = [fb.rand(3, 64, 80), fb.rand(3, 72, 60)]
    first = {
        "boxes": fb.tensor([[5.0, 6.0, 40.0, 50.0], [20.0, 10.0, 70.0, 60.0]]),
        "labels": fb.tensor([1, classes - 1]),
        "masks": (fb.rand(2, 64, 80) > 0.5).to(fb.uint8),
        "keypoints": fb.tensor(
            [
                [[10.0, 10.0, 1.0], [20.0, 30.0, 1.0], [38.0, 45.0, 0.0]],
                [[30.0, 20.0, 1.0], [60.0, 50.0, 1.0], [68.0, 55.0, 1.0]],
            ]
        ),
    }
    second = {
        "boxes": fb.zeros(0, 4),
        "labels": fb.zeros(0, dtype=fb.int64),
        "masks": fb.zeros(0, 72, 60, dtype=fb.uint8),
        "keypoints": fb.zeros(0, 3, 3),
    }
    if "ssd" in name or "keypoint" in name:
        second |= {"boxes": fb.tensor([[10.0, 10.0, 50.0, 60.0]]), "labels": fb.tensor([1])}
    if "keypoint" in name:
        second["keypoints"] = fb.tensor([[[20.0, 20.0, 1.0], [30.0, 30.0, 1.0], [40.0, 40.0, 1.0]]])
    return images, [first, second]


@pytest.mark.parametrize("name", OPTIONS)
def test_losses_gradients_and_detections(name):
    options = {"num_classes": 5} | OPTIONS[name]
    fb.manual_seed(0)
    model = models.get_model(name, weights_backbone=None, **options)
    if "ssd" not in name:  # their first scores and shifts are alike
        with fb.no_grad():
            for key, parameter in model.named_parameters():
                if key.endswith("cls_logits.weight"):
                    parameter.normal_(0, 0.05)
                if (key.endswith("bbox_pred.weight") and "roi" in key) or key.endswith("bbox_reg.weight"):
                    parameter.normal_(0, 0.01)
    images, targets = example(name, options["num_classes"])
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics of a few values would magnify rounding
            module.eval()
    fb.manual_seed(2)
    losses = model(images, targets)
    golden = GOLDEN[name]
    assert list(losses) == list(golden["losses"])
    for key, loss in losses.items():
        assert loss.item() == pytest.approx(golden["losses"][key], rel=1e-4), key
    sum(losses.values()).backward()
    norms = [p.grad.norm().item() for p in model.parameters() if p.grad is not None]
    if "ssd" not in name:  # which backgrounds it draws is a matter of rounding: their first losses are alike
        assert sum(norms) == pytest.approx(golden["gradient"], rel=2e-3)
    model.eval()
    with fb.no_grad():
        detections = model(images)
    for found, expected in zip(detections, golden["detections"], strict=True):
        assert {key: list(value.shape) for key, value in found.items()} == {
            key: shape for key, (shape, _) in expected.items()
        }
        for key, (_, total) in expected.items():
            if "ssdlite" in name and key != "scores":
                continue  # which of its equal first scores come first is a matter of rounding
            assert found[key].double().sum().item() == pytest.approx(total, rel=1e-3), key


def test_targets_are_checked():
    model = models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights_backbone=None, num_classes=2)
    image = [fb.rand(3, 32, 32)]
    labels = fb.tensor([1])
    with pytest.raises(AssertionError, match="targets should not be none when in training mode"):
        model(image)
    with pytest.raises(AssertionError, match=r"Expected target boxes to be a tensor of shape \[N, 4\], got"):
        model(image, [{"boxes": fb.zeros(4), "labels": labels}])
    with pytest.raises(AssertionError, match="All bounding boxes should have positive height and width"):
        model(image, [{"boxes": fb.tensor([[5.0, 5.0, 5.0, 9.0]]), "labels": labels}])
    with pytest.raises(TypeError, match="target labels must of int64 type, instead got"):
        model(image, [{"boxes": fb.tensor([[1.0, 1.0, 9.0, 9.0]]), "labels": labels.float()}])
    with pytest.raises(TypeError, match="Expected input images to be of floating type"):
        model.eval()([fb.zeros(3, 8, 8, dtype=fb.uint8)])
    with pytest.raises(ValueError, match="backbone should contain an attribute out_channels"):
        models.detection.FasterRCNN(nn.Identity(), num_classes=2)
    with pytest.raises(
        ValueError, match="num_classes should not be None when box_predictor is not specified"
    ):
        models.detection.FasterRCNN(model.backbone)


def test_a_backbone_of_one_map():
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8))
    backbone.out_channels = 8
    model = models.detection.FasterRCNN(
        backbone,
        num_classes=2,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((1.0,),)),
        box_roi_pool=fb.vision.ops.MultiScaleRoIAlign(["0"], output_size=3, sampling_ratio=2),
        min_size=32,
        max_size=32,
    )
    assert set(model.eval()([fb.rand(3, 32, 32)])[0]) == {"boxes", "labels", "scores"}


def test_anchors():
    images = ImageList(fb.zeros(2, 3, 32, 64), [(32, 64), (30, 60)])
    generator = AnchorGenerator(((8, 16),), ((0.5, 2.0),))
    anchors = generator(images, [fb.zeros(2, 4, 2, 4)])
    assert len(anchors) == 2 and anchors[0].shape == (2 * 4 * 4, 4)
    assert anchors[0][:2].tolist() == [[-6, -3, 6, 3], [-11, -6, 11, 6]]
    assert anchors[1][-1].tolist() == [48 - 6, 16 - 11, 48 + 6, 16 + 11]
    with pytest.raises(AssertionError, match="There needs to be a match between the number of feature maps"):
        generator(images, [fb.zeros(2, 4, 2, 4)] * 2)
    boxes = DefaultBoxGenerator([[2]], scales=[0.5, 1.0], steps=[16])
    assert boxes.num_anchors_per_location() == [4]
    found = boxes(images, [fb.zeros(2, 4, 2, 4)])[0]
    fb.testing.assert_close(found[0], fb.tensor([8 - 16, 8 - 8, 8 + 16, 8 + 8.0]))
    assert repr(boxes) == "DefaultBoxGenerator(aspect_ratios=[[2]], clip=True, scales=[0.5, 1.0], steps=[16])"


def test_boxes_are_coded_and_decoded():
    fb.manual_seed(0)
    corners = fb.rand(2, 6, 2) * 10
    true, near = (fb.cat([c, c + 1 + fb.rand(6, 2) * 5], dim=1) for c in corners)
    for coder in (_utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), _utils.BoxCoder((1.0, 1.0, 1.0, 1.0))):
        fb.testing.assert_close(coder.decode_single(coder.encode_single(true, near), near), true)
        assert coder.decode(fb.zeros(6, 8), [near[:2], near[2:]]).shape == (6, 2, 4)
    for linear in (_utils.BoxLinearCoder(True), _utils.BoxLinearCoder(False)):
        fb.testing.assert_close(linear.decode(linear.encode(true, near), near), true)


def test_matching_and_sampling():
    quality = fb.tensor([[0.9, 0.4, 0.2, 0.1], [0.1, 0.45, 0.05, 0.3]])
    assert _utils.Matcher(0.5, 0.3)(quality).tolist() == [0, -2, -1, -2]
    assert _utils.Matcher(0.5, 0.3, allow_low_quality_matches=True)(quality).tolist() == [0, 1, -1, -2]
    assert _utils.SSDMatcher(0.5)(quality).tolist() == [0, 1, -1, -1]
    with pytest.raises(ValueError, match="No ground-truth boxes available for one of the images"):
        _utils.Matcher(0.5, 0.3)(fb.zeros(0, 4))
    positive, negative = _utils.BalancedPositiveNegativeSampler(4, 0.25)([fb.tensor([1, 1, 0, 0, 0, 0, -1])])
    assert positive[0].sum() == 1 and negative[0].sum() == 3 and (positive[0] + negative[0])[6] == 0


def test_masks_and_keypoints_in_pictures():
    masks = roi_heads.paste_masks_in_image(fb.ones(1, 1, 4, 4), fb.tensor([[2.0, 3.0, 6.0, 9.0]]), (8, 12))
    assert masks.shape == (1, 1, 8, 12) and masks[0, 0, 5, 4] == 1 and masks[0, 0, 0].sum() == 0
    assert roi_heads.paste_masks_in_image(fb.ones(0, 1, 4, 4), fb.zeros(0, 4), (8, 12)).shape == (0, 1, 8, 12)
    maps = fb.zeros(1, 1, 8, 8)
    maps[0, 0, 2, 5] = 5.0
    places, scores = roi_heads.heatmaps_to_keypoints(maps, fb.tensor([[10.0, 20.0, 18.0, 28.0]]))
    assert places.tolist() == [[[15.5, 22.5, 1.0]]] and scores.tolist() == [[5.0]]


def test_pictures_of_different_sizes_in_one_batch():
    prepare = transform.GeneralizedRCNNTransform(20, 30, [0.5] * 3, [0.5] * 3, size_divisible=8).eval()
    boxes = fb.tensor([[0.0, 0.0, 10.0, 5.0]])
    batch, targets = prepare([fb.rand(3, 10, 20), fb.rand(3, 20, 20)], [{"boxes": boxes}, {"boxes": boxes}])
    assert batch.tensors.shape == (2, 3, 24, 32) and batch.image_sizes == [(15, 30), (20, 20)]
    assert targets[0]["boxes"].tolist() == [[0, 0, 15, 7.5]] and boxes[0, 2] == 10
    back = prepare.postprocess([dict(targets[0])], batch.image_sizes[:1], [(10, 20)])
    fb.testing.assert_close(back[0]["boxes"], boxes)


def test_layers_of_a_backbone_are_frozen():
    with fb.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = backbone_utils.resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, trainable_layers=2
        )
        mobile = backbone_utils.mobilenet_backbone(backbone_name="mobilenet_v2", weights=None, fpn=True)
    trained = {name.split(".")[1] for name, p in backbone.body.named_parameters() if p.requires_grad}
    assert trained == {"0", "1"} and backbone.body.layer4[0].conv1.weight.requires_grad
    assert not backbone.body.layer2[0].conv1.weight.requires_grad
    assert not next(mobile.body.parameters()).requires_grad and mobile.out_channels == 256
    with pytest.raises(ValueError, match=r"Trainable layers should be in the range \[0,5\], got 6"):
        backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=6)
