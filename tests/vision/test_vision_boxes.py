"""Boxes and losses on them, against plain Python."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops


def some_boxes(count, seed=0, side=100.0):
    rng = np.random.default_rng(seed)
    first, size = rng.random((count, 2)) * side, rng.random((count, 2)) * side / 2 + 1
    return fb.from_numpy(np.concatenate([first, first + size], 1).astype(np.float32))


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return width * height / (sum(area) - width * height)


def plain_nms(boxes, scores, threshold):
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_nms(threshold):
    boxes, scores = some_boxes(120), fb.rand(120)
    scores[7] = scores[8]
    expected = plain_nms(boxes.tolist(), scores.tolist(), threshold)
    kept = ops.nms(boxes, scores, threshold)
    assert kept.dtype == fb.int64 and kept.tolist() == expected


def test_nms_corner_cases():
    assert ops.nms(fb.empty(0, 4), fb.empty(0), 0.5).shape == (0,)
    same = fb.tensor([[0.0, 0, 10, 10]] * 3)
    assert ops.nms(same, fb.tensor([0.5, 0.9, 0.9]), 0.5).tolist() == [1]
    assert ops.nms(same, fb.tensor([0.5, 0.9, 0.9]), 1.0).tolist() == [1, 2, 0]
    with pytest.raises(RuntimeError, match="2d tensor with 4 elements"):
        ops.nms(fb.rand(3, 5), fb.rand(3), 0.5)
    with pytest.raises(RuntimeError, match="same number of elements"):
        ops.nms(fb.rand(3, 4), fb.rand(2), 0.5)


@pytest.mark.parametrize("count", [60, 1100])
def test_batched_nms(count):
    boxes, scores, labels = some_boxes(count, 1), fb.rand(count), fb.randint(0, 4, (count,))
    expected = []
    for label in range(4):
        members = [i for i in range(count) if labels[i] == label]
        kept = plain_nms(boxes[members].tolist(), scores[members].tolist(), 0.4)
        expected += [members[i] for i in kept]
    expected.sort(key=lambda i: -scores[i].item())
    assert ops.batched_nms(boxes, scores, labels, 0.4).tolist() == expected
    assert ops.batched_nms(fb.empty(0, 4), fb.empty(0), fb.empty(0), 0.4).shape == (0,)


def test_formats():
    boxes = fb.tensor([[10.0, 20, 30, 60]])
    assert ops.box_convert(boxes, "xyxy", "xywh").tolist() == [[10, 20, 20, 40]]
    assert ops.box_convert(boxes, "xyxy", "cxcywh").tolist() == [[20, 40, 20, 40]]
    assert ops.box_convert(fb.tensor([[20.0, 40, 20, 40]]), "cxcywh", "xywh").tolist() == [[10, 20, 20, 40]]
    same = ops.box_convert(boxes, "xyxy", "xyxy")
    assert same.equal(boxes) and same.data_ptr() != boxes.data_ptr()
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(boxes, "xyxy", "yxyx")
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(boxes, "xyxy", "xywhr")


def test_turned_formats():
    upright = ops.box_convert(fb.tensor([[10.0, 20, 20, 40, 0]]), "xywhr", "xyxyxyxy")
    assert upright.tolist() == [[10, 20, 30, 20, 30, 60, 10, 60]]
    turned = ops.box_convert(fb.tensor([[0.0, 0, 4, 2, 90]]), "cxcywhr", "xyxyxyxy")
    # a quarter turn to the left: what was top left is bottom left
    expected = fb.tensor([[-1.0, 2, -1, -2, 1, -2, 1, 2]])
    assert fb.allclose(turned, expected, atol=1e-5)
    boxes = fb.tensor([[3.0, 4, 6, 2, 33], [1, 1, 5, 9, -70]])
    for via in ("xyxyxyxy", "xywhr"):
        there = ops.box_convert(boxes, "cxcywhr", via)
        assert fb.allclose(ops.box_convert(there, via, "cxcywhr"), boxes, atol=1e-4)


def test_areas_and_overlaps():
    one, two = some_boxes(7, 2), some_boxes(5, 3)
    table = [[iou(a, b) for b in two.tolist()] for a in one.tolist()]
    assert np.allclose(ops.box_iou(one, two).numpy(), table, atol=1e-6)
    assert np.allclose(
        ops.box_iou(
            ops.box_convert(one, "xyxy", "cxcywh"), ops.box_convert(two, "xyxy", "cxcywh"), fmt="cxcywh"
        ).numpy(),
        table,
        atol=1e-5,
    )
    assert ops.box_area(fb.tensor([[0, 0, 200, 200]], dtype=fb.uint8)).item() == 40000
    giou, diou, ciou = (f(one, two) for f in (
        ops.generalized_box_iou, ops.distance_box_iou, ops.complete_box_iou))  # fmt: skip
    for i, a in enumerate(one.tolist()):
        for j, b in enumerate(two.tolist()):
            wide, high = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
            area = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
            union = sum(area) / (1 + table[i][j])
            assert giou[i, j].item() == pytest.approx(
                table[i][j] - (wide * high - union) / (wide * high), abs=1e-5)  # fmt: skip
            apart = (((a[0] + a[2]) - (b[0] + b[2])) / 2) ** 2 + (((a[1] + a[3]) - (b[1] + b[3])) / 2) ** 2
            distance = table[i][j] - apart / (wide**2 + high**2)
            assert diou[i, j].item() == pytest.approx(distance, abs=1e-5)
            v = 4 / math.pi**2 * (
                math.atan((a[2] - a[0]) / (a[3] - a[1])) - math.atan((b[2] - b[0]) / (b[3] - b[1]))
            ) ** 2  # fmt: skip
            assert ciou[i, j].item() == pytest.approx(distance - v * v / (1 - table[i][j] + v), abs=1e-5)


def test_losses_are_one_less_the_overlap_and_have_gradients():
    one, two = some_boxes(6, 4), some_boxes(6, 5)
    pairs = [
        (ops.generalized_box_iou_loss, ops.generalized_box_iou),
        (ops.distance_box_iou_loss, ops.distance_box_iou),
        (ops.complete_box_iou_loss, ops.complete_box_iou),
    ]
    for loss, overlap in pairs:
        each = loss(one, two)
        assert fb.allclose(each, 1 - overlap(one, two).diagonal(), atol=1e-5)
        assert loss(one, two, reduction="sum").item() == pytest.approx(each.sum().item(), rel=1e-5)
        assert loss(one, two, reduction="mean").item() == pytest.approx(each.mean().item(), rel=1e-5)
        assert loss(one[:0], two[:0], reduction="mean").item() == 0
        with pytest.raises(ValueError, match="Invalid Value for arg 'reduction'"):
            loss(one, two, reduction="all")
    for loss in (
        ops.generalized_box_iou_loss,
        ops.distance_box_iou_loss,
    ):  # the third holds a weight constant
        a, b = one.double().requires_grad_(), two.double().requires_grad_()
        assert fb.autograd.gradcheck(lambda x, y, loss=loss: loss(x, y, "sum"), (a, b))


def test_clipping_and_small_boxes():
    boxes = fb.tensor([[-5.0, 3, 50, 90], [1, 1, 2, 9]])
    assert ops.clip_boxes_to_image(boxes, (60, 40)).tolist() == [[0, 3, 40, 60], [1, 1, 2, 9]]
    assert ops.remove_small_boxes(boxes, 2).tolist() == [0]


def test_masks_to_boxes():
    masks = fb.zeros(2, 10, 12, dtype=fb.bool)
    masks[0, 2:5, 3:9] = True
    masks[1, 7, 0] = True
    assert ops.masks_to_boxes(masks).tolist() == [[3, 2, 8, 4], [0, 7, 0, 7]]
    assert ops.masks_to_boxes(masks[:0]).shape == (0, 4)
    with pytest.raises(ValueError, match="no pixel"):
        ops.masks_to_boxes(fb.zeros(1, 3, 3))


def test_focal_loss():
    logits, targets = fb.randn(9, dtype=fb.float64), (fb.rand(9) > 0.5).double()
    expected = []
    for x, t in zip(logits.tolist(), targets.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        right = p if t else 1 - p
        expected.append((0.25 if t else 0.75) * (1 - right) ** 2 * -math.log(right))
    assert np.allclose(ops.sigmoid_focal_loss(logits, targets).numpy(), expected)
    plain = fb.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert ops.sigmoid_focal_loss(
        logits, targets, alpha=-1, gamma=0, reduction="mean"
    ).item() == pytest.approx(plain.item())
    with pytest.raises(ValueError, match="Invalid alpha value: 2"):
        ops.sigmoid_focal_loss(logits, targets, alpha=2)
