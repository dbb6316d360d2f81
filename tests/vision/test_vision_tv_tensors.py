"""Tensors that know what they hold."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import tv_tensors as tv


def boxes(**kwargs):
    return tv.BoundingBoxes([[1.0, 2, 3, 4]], **{"format": "xyxy", "canvas_size": (10, 20), **kwargs})


def test_making_them():
    assert tv.Image(fb.rand(4, 5)).shape == (1, 4, 5)
    assert tv.Mask([[0, 1]]).dtype == fb.int64
    assert tv.BoundingBoxes([1, 2, 3, 4], format="XYWH", canvas_size=(9, 9)).shape == (1, 4)
    assert boxes().format is tv.BoundingBoxFormat.XYXY and boxes().clamping_mode == "soft"
    assert tv.KeyPoints([3, 4], canvas_size=(9, 9)).shape == (1, 2)
    with pytest.raises(ValueError, match="4 or more dimensions"):
        tv.Video(fb.rand(3, 4, 4))
    with pytest.raises(ValueError, match="Expected a 1D or 2D tensor, got 3D"):
        tv.BoundingBoxes(fb.rand(1, 1, 4), format="XYXY", canvas_size=(3, 3))
    with pytest.raises(ValueError, match="floating point"):
        tv.BoundingBoxes([[1, 2, 3, 4, 5]], format="XYWHR", canvas_size=(3, 3))
    with pytest.raises(ValueError, match="shape"):
        tv.KeyPoints(fb.rand(2, 3), canvas_size=(3, 3))
    assert tv.is_rotated_bounding_format("XYWHR") and not tv.is_rotated_bounding_format("XYWH")


def test_pillow_images_become_tensors():
    image = pytest.importorskip("PIL.Image").fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert tv.Image(image).tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert tv.Mask(image).shape == (1, 2, 3)


def test_results_are_plain_tensors_but_for_copies():
    image = tv.Image(fb.rand(3, 4, 4))
    assert type(image + 1) is fb.Tensor and type(image.sum()) is fb.Tensor and type(image[0]) is fb.Tensor
    assert type(image.add_(1)) is fb.Tensor and type(image) is tv.Image
    for copied in (image.clone(), image.to(fb.float64), image.detach(), copy.deepcopy(image)):
        assert type(copied) is tv.Image
    for copied in (boxes().clone(), boxes().to(fb.int64), copy.deepcopy(boxes())):
        assert type(copied) is tv.BoundingBoxes and copied.canvas_size == (10, 20)
    with tv.set_return_type("TVTensor"):
        assert type(image + 1) is tv.Image and (boxes() * 2).format is tv.BoundingBoxFormat.XYXY
        assert [type(part) for part in image.unbind(0)] == [tv.Image] * 3
    assert type(image + 1) is fb.Tensor
    with pytest.raises(ValueError, match="return_type must be"):
        tv.set_return_type("list")


def test_wrap_keeps_what_is_known():
    more = tv.wrap(fb.rand(2, 4), like=boxes(), canvas_size=(5, 5))
    assert more.format is tv.BoundingBoxFormat.XYXY and more.canvas_size == (5, 5)
    assert type(tv.wrap(fb.rand(3, 2, 2), like=tv.Image(fb.rand(3, 2, 2)))) is tv.Image


def test_repr_gradient_and_pickle():
    assert repr(boxes()) == (
        "BoundingBoxes([[1., 2., 3., 4.]], format=BoundingBoxFormat.XYXY, canvas_size=(10, 20), "
        "clamping_mode=soft)"
    )
    assert repr(tv.Image([[[0.0]]])) == "Image([[[0.]]], )"
    assert repr(tv.Mask([[0.0]])) == "Mask([[0.]])"
    leaf = tv.Image(fb.rand(1, 2, 2), requires_grad=True)
    (leaf * 2).sum().backward()
    assert leaf.grad.tolist() == [[[2, 2], [2, 2]]]
    again = pickle.loads(pickle.dumps(boxes()))
    assert type(again) is tv.BoundingBoxes and again.canvas_size == (10, 20)
