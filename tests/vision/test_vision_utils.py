"""Grids of pictures, drawing on pictures, flow as colours."""

import colorsys
import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import utils

PIL = pytest.importorskip("PIL.Image")


def black(channels=3, dtype=fb.uint8):
    return fb.zeros(channels, 30, 40, dtype=dtype)


def test_saving_is_atomic_and_needs_a_known_name(tmp_path):
    path = tmp_path / "a.png"
    utils.save_image(fb.rand(3, 8, 8), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"unknown file extension: \.xyz"):
        utils.save_image(fb.rand(3, 8, 8), tmp_path / "a.xyz")
    with pytest.raises(KeyError):
        utils.save_image(fb.rand(3, 8, 8), path, format="nothing")
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_boxes():
    boxes = fb.tensor([[2, 3, 10, 12], [20, 5, 30, 25]])
    out = utils.draw_bounding_boxes(black(), boxes, colors=["red", (0, 0, 255)])
    expected = np.zeros((30, 40, 3), np.uint8)
    for (x1, y1, x2, y2), colour in zip(boxes.tolist(), ((255, 0, 0), (0, 0, 255)), strict=True):
        expected[y1, x1 : x2 + 1] = expected[y2, x1 : x2 + 1] = colour
        expected[y1 : y2 + 1, x1] = expected[y1 : y2 + 1, x2] = colour
    assert out.permute(1, 2, 0).numpy().tolist() == expected.tolist()
    floats = utils.draw_bounding_boxes(black(dtype=fb.float32), boxes, colors=["red", (0, 0, 255)])
    assert floats.allclose(out / 255)
    filled = utils.draw_bounding_boxes(black(1), boxes, colors="red", fill=True)
    assert filled[:, 8, 5].tolist() == [100, 0, 0] and filled[:, 3, 5].tolist() == [255, 0, 0]
    named = utils.draw_bounding_boxes(
        black(), boxes.float(), labels=["dog", None], colors="white", label_colors="red"
    )
    assert (named[0, 4:16, 4:19] > named[1, 4:16, 4:19]).any()
    diamond = fb.tensor([[20, 5, 30, 15, 20, 25, 10, 15]])
    assert utils.draw_bounding_boxes(black(), diamond, colors="white")[
        0, 15
    ].nonzero().flatten().tolist() == [10, 30]
    with pytest.warns(UserWarning, match="No box was drawn"):
        assert utils.draw_bounding_boxes(black(), fb.empty(0, 4)).equal(black())


def test_wrong_boxes():
    boxes = fb.tensor([[2, 3, 10, 12]])
    for image, arguments, kind, message in [
        (np.zeros(3), (boxes,), TypeError, "The image must be a tensor"),
        (
            black(dtype=fb.int32),
            (boxes,),
            ValueError,
            "The image dtype must be uint8 or float, got torch.int32",
        ),
        (black()[None], (boxes,), ValueError, "Pass individual images, not batches"),
        (black(2), (boxes,), ValueError, "Only grayscale and RGB images are supported"),
        (black(), (boxes[:, [2, 1, 0, 3]],), ValueError, "boxes need to be in"),
        (black(), (boxes, ["a", "b"]), ValueError, "mismatch"),
        (black(), (boxes, None, []), ValueError, "Number of colors must be equal or larger"),
        (black(), (boxes, None, (1, 2)), ValueError, "RGB triplet"),
        (black(), (boxes, None, 3), ValueError, "must be a tuple or a string"),
    ]:
        with pytest.raises(kind, match=message):
            utils.draw_bounding_boxes(image, *arguments)


def test_masks():
    image = fb.full((3, 4, 6), 100, dtype=fb.uint8)
    masks = fb.zeros(2, 4, 6, dtype=fb.bool)
    masks[0, :, :3] = True
    masks[1, 0, 2:5] = True
    out = utils.draw_segmentation_masks(image, masks, alpha=0.5, colors=["red", "#0000ff"])
    assert out[:, 1, 0].tolist() == [177, 50, 50] and out[:, 0, 4].tolist() == [50, 50, 177]
    assert out[:, 0, 2].tolist() == [50, 50, 50]  # both
    assert out[:, 3, 5].tolist() == [100, 100, 100]
    single = utils.draw_segmentation_masks(image.float() / 255, masks[0], alpha=1.0, colors="red")
    assert single[:, 0, 0].tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match=r"must be of dtype bool. Got torch\.uint8"):
        utils.draw_segmentation_masks(image, masks.to(fb.uint8))
    with pytest.raises(ValueError, match="same height and width"):
        utils.draw_segmentation_masks(image, masks[:, 1:])


def test_points():
    points = fb.tensor([[[10, 10], [30, 10], [20, 25]]])
    out = utils.draw_keypoints(black(), points, colors="red", radius=1)
    assert out[:, 10, 10].tolist() == [255, 0, 0] and out[:, 10, 20].sum() == 0
    seen = fb.tensor([[True, True, False]])
    out = utils.draw_keypoints(black(), points, [(0, 1), (1, 2)], "red", visibility=seen, width=1)
    assert out[:, 10, 20].tolist() == [255, 255, 255] and out[:, 25, 20].sum() == 0
    with pytest.raises(ValueError, match="num_instances, K, 2"):
        utils.draw_keypoints(black(), points[0])


def test_flow():
    directions = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 12, endpoint=False)]
    flow = fb.tensor([*directions, (0.0, 0.0)]).t().reshape(2, 1, 13)
    colours = utils.flow_to_image(flow)
    assert colours.dtype == fb.uint8 and colours[:, 0, 12].tolist() == [255, 255, 255]
    hues = [colorsys.rgb_to_hsv(*(colours[:, 0, k] / 255).tolist())[0] for k in range(12)]
    steps = [(b - a) % 1 for a, b in zip(hues, [*hues[1:], hues[0]], strict=True)]
    assert sum(steps) == pytest.approx(1, abs=0.05)  # once around the wheel
    assert colours[:, 0, 0].tolist()[0] == 255 and colours[1:, 0, 0].max() < 30  # to the right is red
    batch = utils.flow_to_image(fb.stack([flow, flow / 2]))
    assert batch[0].equal(colours) and (batch[1].float() >= colours.float() - 1).all()
    with pytest.raises(ValueError, match=r"Flow should be of dtype torch\.float, got torch\.float64"):
        utils.flow_to_image(flow.double())
    with pytest.raises(ValueError, match="should have shape"):
        utils.flow_to_image(flow[:1])
