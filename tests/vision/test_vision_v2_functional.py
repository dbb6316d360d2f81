"""Functions of the second generation: masks, boxes and points follow their picture."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops, tv_tensors
from flambeau.vision import transforms as v1
from flambeau.vision.transforms import functional as F1
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.v2 import functional as F

SIZE = (40, 60)
FORMATS = ["XYXY", "XYWH", "CXCYWH"]


def scene():
    """A picture of three filled rectangles, each in a channel, and their boxes and masks."""
    corners = fb.tensor([[5.0, 8, 25, 20], [30, 4, 50, 34], [12, 22, 28, 36]])
    image = fb.zeros(3, *SIZE)
    for plane, (x1, y1, x2, y2) in zip(image, corners.int().tolist(), strict=True):
        plane[y1:y2, x1:x2] = 1
    return image, corners


def boxes_of(image):
    """The boxes around what is bright in each channel."""
    out = ops.masks_to_boxes(image > 0.5)
    out[:, 2:] += 1
    return out


MOVES = {
    "horizontal_flip": lambda x: F.horizontal_flip(x),
    "vertical_flip": lambda x: F.vertical_flip(x),
    "resize": lambda x: F.resize(x, [80, 60]),
    "resize_longer": lambda x: F.resize(x, None, max_size=120),
    "crop": lambda x: F.crop(x, 2, 6, 30, 40),
    "center_crop": lambda x: F.center_crop(x, [30, 50]),
    "center_crop_larger": lambda x: F.center_crop(x, [45, 71]),
    "pad": lambda x: F.pad(x, [1, 2, 3, 4]),
    "resized_crop": lambda x: F.resized_crop(x, 0, 2, 40, 50, [80, 100]),
    "quarter_turn": lambda x: F.rotate(x, 90.0, expand=True),
    "half_turn": lambda x: F.rotate(x, 180.0),
    "translate": lambda x: F.affine(x, 0.0, [3, -2], 1.0, [0.0, 0.0]),
    "scale": lambda x: F.affine(x, 0.0, [0, 0], 0.5, [0.0, 0.0]),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", list(MOVES))
def test_boxes_lie_where_the_picture_shows_them(name, format):
    image, corners = scene()
    image = MOVES[name](image)
    boxes = tv_tensors.BoundingBoxes(
        ops.box_convert(corners, "xyxy", format.lower()), format=format, canvas_size=SIZE
    )
    moved = MOVES[name](boxes)
    assert moved.canvas_size == tuple(image.shape[-2:]) and moved.format.value == format
    found = ops.box_convert(moved.as_subclass(fb.Tensor), format.lower(), "xyxy")
    assert (found - boxes_of(image)).abs().max() <= 1.0, (found, boxes_of(image))


@pytest.mark.parametrize("name", list(MOVES))
def test_masks_points_and_turned_boxes_follow(name):
    image, corners = scene()
    mask = MOVES[name](tv_tensors.Mask(image.bool()))
    moved = MOVES[name](tv_tensors.Image(image))
    assert type(mask) is tv_tensors.Mask and type(moved) is tv_tensors.Image and mask.dtype == fb.bool
    assert ((moved > 0.5) != mask).float().mean() < 0.03
    middles = (corners[:, :2] + corners[:, 2:]) / 2 - 0.5  # a pixel's number is 0.5 less than its middle
    points = MOVES[name](tv_tensors.KeyPoints(middles, canvas_size=SIZE))
    expected = (boxes_of(moved)[:, :2] + boxes_of(moved)[:, 2:]) / 2 - 0.5
    if not name.endswith("crop"):  # which may cut the boxes
        assert (points - expected).abs().max() <= 1.0
    plain = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=SIZE, clamping_mode=None)
    upright = fb.cat([corners, fb.zeros(3, 1)], 1)
    upright[:, 2:4] -= upright[:, :2]
    turned = tv_tensors.BoundingBoxes(upright, format="XYWHR", canvas_size=SIZE, clamping_mode=None)
    moved_turned = F.convert_bounding_box_format(MOVES[name](turned), new_format="XYXYXYXY")
    around = moved_turned.as_subclass(fb.Tensor).reshape(-1, 4, 2)
    around = fb.cat([around.amin(1), around.amax(1)], 1)
    assert fb.allclose(around, MOVES[name](plain).as_subclass(fb.Tensor), atol=1e-3)


def test_turning_boxes_by_any_angle():
    boxes = tv_tensors.BoundingBoxes([[20.0, 10, 40, 30]], format="XYXY", canvas_size=SIZE)
    out = F.rotate(boxes, 45.0)  # a square of 20 about the middle of the picture becomes one of 20√2
    half = 10 * 2**0.5
    assert fb.allclose(out.as_subclass(fb.Tensor), fb.tensor([[30 - half, 20 - half, 30 + half, 20 + half]]))
    turned = tv_tensors.BoundingBoxes([[30.0, 20, 20, 10, 10]], format="CXCYWHR", canvas_size=SIZE)
    assert fb.allclose(
        F.rotate(turned, 25.0).as_subclass(fb.Tensor), fb.tensor([[30.0, 20, 20, 10, 35]]), atol=1e-4
    )
    assert (
        F.horizontal_flip(turned)
        .as_subclass(fb.Tensor)
        .allclose(fb.tensor([[30.0, 20, 20, 10, -10]]), atol=1e-4)
    )


def test_boxes_are_cut_at_the_border_unless_told_otherwise():
    boxes = tv_tensors.BoundingBoxes([[5, 8, 25, 20]], format="XYXY", canvas_size=SIZE)
    assert F.crop(boxes, 10, 10, 5, 5).tolist() == [[0, 0, 5, 5]]
    free = tv_tensors.wrap(boxes.as_subclass(fb.Tensor), like=boxes, clamping_mode=None)
    assert F.crop(free, 10, 10, 5, 5).tolist() == [[-5, -2, 15, 10]]
    assert F.crop(free, 10, 10, 5, 5).dtype == fb.int64
    clamped = F.clamp_bounding_boxes(F.crop(free, 10, 10, 5, 5), clamping_mode="hard")
    assert clamped.tolist() == [[0, 0, 5, 5]]
    plain = F.clamp_bounding_boxes(
        fb.tensor([[-5, 2, 10, 4]]), tv_tensors.BoundingBoxFormat.XYWH, (9, 9), "soft"
    )
    assert plain.tolist() == [[0, 2, 5, 4]]
    assert F.clamp_keypoints(fb.tensor([[-1, 20]]), (9, 9)).tolist() == [[0, 8]]
    with pytest.raises(ValueError, match="must not be passed"):
        F.clamp_bounding_boxes(boxes, format=boxes.format)
    with pytest.raises(ValueError, match="Padding mode 'edge' is not supported with bounding boxes"):
        F.pad(boxes, 1, padding_mode="edge")


def test_formats_of_whole_numbers_round_down():
    boxes = tv_tensors.BoundingBoxes([[1, 1, 4, 6]], format="XYXY", canvas_size=SIZE)
    middle = F.convert_bounding_box_format(boxes, new_format="CXCYWH")
    assert middle.tolist() == [[2, 3, 3, 5]] and middle.format is tv_tensors.BoundingBoxFormat.CXCYWH
    assert F.convert_bounding_box_format(fb.tensor([[2, 3, 3, 5]]), "CXCYWH", "XYXY").tolist() == [
        [0, 0, 3, 5]
    ]
    with pytest.raises(ValueError, match="`old_format` has to be passed"):
        F.convert_bounding_box_format(fb.tensor([[2, 3, 3, 5]]), new_format="XYXY")
    with pytest.raises(ValueError, match="Cannot convert between rotated and unrotated"):
        F.convert_bounding_box_format(boxes, new_format="XYWHR")


def test_perspective_and_elastic_move_boxes_and_points():
    image, corners = scene()
    start, end = [[0, 0], [59, 0], [59, 39], [0, 39]], [[3, 2], [55, 1], [57, 36], [2, 38]]
    boxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=SIZE)
    moved = F.perspective(boxes, start, end)
    assert (moved.as_subclass(fb.Tensor) - boxes_of(F.perspective(image, start, end))).abs().max() <= 2
    points = tv_tensors.KeyPoints(fb.tensor(start).float(), canvas_size=SIZE)
    assert fb.allclose(
        F.perspective(points, start, end).as_subclass(fb.Tensor), fb.tensor(end).float(), atol=0.02
    )
    shift = fb.zeros(1, *SIZE, 2)
    shift[..., 0] = 4 * 2 / SIZE[1]  # every pixel from four to the right
    moved = F.elastic(boxes, shift)
    assert (moved.as_subclass(fb.Tensor) - boxes_of(F.elastic(image, shift))).abs().max() <= 1.01


BYTES = ((fb.arange(48) * 37) % 251).to(fb.uint8).reshape(3, 4, 4)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            lambda: F.adjust_saturation(BYTES, 1.7),
            [
                0,
                0,
                43,
                80,
                117,
                255,
                255,
                0,
                0,
                51,
                88,
                125,
                255,
                255,
                0,
                1,
                101,
                138,
                196,
                233,
                255,
                0,
                20,
                109,
                146,
                204,
                241,
                255,
                0,
                28,
                117,
                154,
                254,
                255,
                0,
                0,
                0,
                136,
                173,
                255,
                255,
                0,
                0,
                4,
                144,
                181,
                255,
                255,
            ],
        ),
        (
            lambda: F.adjust_sharpness(BYTES, 1.9),
            [
                0,
                37,
                74,
                111,
                148,
                237,
                255,
                8,
                45,
                46,
                119,
                156,
                193,
                230,
                16,
                53,
                90,
                127,
                164,
                201,
                238,
                0,
                8,
                98,
                135,
                207,
                255,
                246,
                32,
                69,
                106,
                143,
                180,
                217,
                3,
                40,
                77,
                114,
                186,
                188,
                225,
                0,
                0,
                85,
                122,
                159,
                196,
                233,
            ],
        ),
        (
            lambda: F.autocontrast((BYTES // 2 + 11).to(fb.uint8)),
            [
                0,
                39,
                82,
                121,
                164,
                203,
                246,
                8,
                48,
                90,
                130,
                172,
                212,
                254,
                17,
                57,
                75,
                117,
                160,
                202,
                245,
                0,
                41,
                84,
                126,
                169,
                211,
                254,
                9,
                50,
                94,
                135,
                197,
                237,
                0,
                42,
                82,
                124,
                164,
                206,
                246,
                8,
                50,
                90,
                133,
                172,
                215,
                254,
            ],
        ),
        (
            lambda: F.resize(BYTES, [3, 5], interpolation="bilinear"),
            [
                44,
                70,
                100,
                107,
                80,
                97,
                123,
                153,
                144,
                82,
                149,
                175,
                116,
                58,
                84,
                134,
                108,
                115,
                144,
                170,
                187,
                125,
                117,
                146,
                172,
                63,
                89,
                119,
                148,
                174,
                149,
                175,
                117,
                58,
                84,
                151,
                89,
                82,
                111,
                137,
                153,
                126,
                134,
                163,
                189,
            ],
        ),
        (
            lambda: F.gaussian_noise(BYTES[:1, :2], 0.2, 0.3, clip=False),
            [168, 65, 215, 205, 117, 130, 47, 123],
        ),
    ],
)
def test_bytes_are_rounded_as_torchvision_does(function, expected):
    fb.manual_seed(0)
    assert function().flatten().tolist() == expected


def test_flips_and_resizing_do_not_cut_boxes():
    def boxes(row, format):
        return tv_tensors.BoundingBoxes([row], format=format, canvas_size=(40, 50))

    assert F.horizontal_flip(boxes([3.0, 4, 20, 15], "CXCYWH")).tolist() == [[47, 4, 20, 15]]
    assert F.vertical_flip(boxes([-5.0, 4, 20, 15], "XYXY")).tolist() == [[-5, 25, 20, 36]]
    assert F.resize(boxes([-5.0, 4, 20, 15], "XYXY"), [20, 25]).tolist() == [[-2.5, 2, 10, 7.5]]
    assert F.pad(boxes([-5.0, 4, 20, 15], "XYXY"), [1, 2, 3, 4]).tolist() == [[0, 6, 21, 17]]
    turned = F.vertical_flip(boxes([8.0, 9, 12, 7, 20], "XYWHR"))[0].tolist()
    assert turned == pytest.approx([19.2763, 35.1042, 12, 7, 160], abs=1e-3)
    corners = F.vertical_flip(boxes([8.0, 9, 18, 5, 20, 11, 10, 15], "XYXYXYXY"))
    assert corners.tolist() == [[18, 35, 8, 31, 10, 25, 20, 29]]


def test_interpolation_by_name():
    assert F.rotate(BYTES, 20, interpolation="bilinear").shape == (3, 4, 4)
    with pytest.raises(ValueError, match="Invalid interpolation mode: 'wrong'"):
        F.resize(BYTES, [3, 5], interpolation="wrong")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("adjust_brightness", (1.3,)),
        ("adjust_contrast", (0.6,)),
        ("adjust_hue", (0.2,)),
        ("adjust_gamma", (2.0,)),
        ("equalize", ()),
        ("invert", ()),
        ("posterize", (3,)),
        ("solarize", (100.0,)),
        ("rgb_to_grayscale", (3,)),
        ("gaussian_blur", ([3, 5], [1.0, 2.0])),
    ],
)
def test_colours_are_the_first_generations(name, arguments):
    pil = pytest.importorskip("PIL.Image")
    image = fb.randint(0, 256, (3, 9, 11), dtype=fb.uint8)
    expected = getattr(F1, name)(image, *arguments)
    function = getattr(F, name)
    assert function(image, *arguments).equal(expected)
    wrapped = function(tv_tensors.Image(image), *arguments)
    assert type(wrapped) is tv_tensors.Image and wrapped.equal(expected)
    video = function(tv_tensors.Video(fb.stack([image, image])), *arguments)
    assert type(video) is tv_tensors.Video and video[1].equal(expected)
    picture = F.to_pil_image(image)
    assert isinstance(picture, pil.Image)
    assert F.pil_to_tensor(function(picture, *arguments)).equal(
        F.pil_to_tensor(getattr(F1, name)(picture, *arguments))
    )
    with pytest.raises(TypeError, match=f"Functional F.{name} supports inputs of type"):
        function(tv_tensors.BoundingBoxes([1, 2, 3, 4], format="XYXY", canvas_size=(9, 11)), *arguments)


def test_colours_of_floats():
    image = fb.tensor([[[0.0, 0.3, 0.6, 1.0]]])
    assert F.posterize(image, 1).tolist() == [[[0, 0, 0.5, 0.5]]]
    levels = F.equalize((fb.arange(256).reshape(1, 16, 16) / 255) ** 2)
    assert levels.dtype == fb.float32 and levels.max() == 1
    assert F.posterize(fb.tensor([[[32767]]], dtype=fb.int16), 2).item() == 0b11 << 13


def test_noise():
    fb.manual_seed(0)
    floats, whole = fb.full((1, 50, 50), 0.5), fb.full((1, 50, 50), 128, dtype=fb.uint8)
    noisy = F.gaussian_noise(floats, 0.1, 0.05)
    assert noisy.mean().item() == pytest.approx(0.6, abs=0.01) and noisy.std().item() == pytest.approx(
        0.05, abs=0.01
    )
    noisy = F.gaussian_noise(whole, 0.1, 0.05).float() / 255
    assert noisy.mean().item() == pytest.approx(0.6, abs=0.01)
    assert F.gaussian_noise(floats, sigma=9.0).max() == 1
    with pytest.raises(ValueError, match="uint8 or float"):
        F.gaussian_noise(whole.int())


def test_types():
    image = fb.randint(0, 256, (3, 4, 5), dtype=fb.uint8)
    assert F.to_dtype(image, fb.float32, scale=True).allclose(image / 255)
    assert F.to_dtype(image, fb.float32).equal(image.float())
    assert F.to_dtype(tv_tensors.Mask(image), fb.float32, scale=True).equal(image.float())
    array = image.permute(1, 2, 0).numpy()
    assert F.to_image(array).equal(image) and type(F.to_image(array)) is tv_tensors.Image
    assert F.to_image(array[..., 0]).shape == (1, 4, 5)
    with pytest.raises(TypeError, match="Input can either be a pure Tensor"):
        F.to_image([1])


def test_sizes():
    image = fb.rand(3, 4, 5)
    assert (
        F.get_size(image) == [4, 5]
        and F.get_image_size(image) == [5, 4]
        and F.get_dimensions(image) == [3, 4, 5]
    )
    assert F.get_size(tv_tensors.BoundingBoxes([1, 2, 3, 4], format="XYXY", canvas_size=(9, 11))) == [9, 11]
    assert F.get_num_frames(tv_tensors.Video(fb.rand(7, 3, 4, 5))) == 7


def test_jpeg_loses_little():
    pytest.importorskip("PIL.Image")
    image = fb.arange(64, dtype=fb.uint8).reshape(1, 1, 8, 8).expand(2, 3, 8, 8).contiguous() * 3
    out = F.jpeg(image, 95)
    assert out.shape == image.shape and 0 < (out.int() - image.int()).abs().float().mean() < 3


def test_erase_and_channels():
    image = fb.rand(3, 4, 5)
    out = F.erase(image, 1, 2, 2, 3, fb.zeros(3, 2, 3))
    assert out[:, 1:3, 2:].sum() == 0 and out[:, 0].equal(image[:, 0])
    assert F.permute_channels(image, [2, 0, 1]).equal(image[[2, 0, 1]])
    with pytest.raises(ValueError, match="Length of permutation"):
        F.permute_channels(image, [1, 0])
    assert F.grayscale_to_rgb(image[:1]).equal(image[:1].expand(3, 4, 5))


def test_subsample():
    video = fb.arange(10).reshape(10, 1, 1, 1)
    assert F.uniform_temporal_subsample(video, 4).flatten().tolist() == [0, 3, 6, 9]


def test_kernels_for_other_kinds():
    class Depth(tv_tensors.TVTensor):
        pass

    depth = fb.rand(2, 2).as_subclass(Depth)
    with pytest.raises(TypeError, match=r"Functional F\.horizontal_flip"):
        F.horizontal_flip(depth)
    assert v2.RandomHorizontalFlip(p=1)(depth) is depth  # transforms leave alone what they do not know

    @F.register_kernel("horizontal_flip", Depth)
    def flip_depth(inpt):
        return inpt.as_subclass(fb.Tensor).flip(-1).as_subclass(Depth)

    assert v2.RandomHorizontalFlip(p=1)(depth).equal(depth.flip(-1))
    with pytest.raises(ValueError, match="builtin"):
        F.register_kernel(F.resize, tv_tensors.Image)
    with pytest.raises(ValueError, match="Could not find functional with name 'nothing'"):
        F.register_kernel("nothing", Depth)


def test_interpolation_modes_are_shared():
    assert v2.InterpolationMode is v1.InterpolationMode
    assert np.allclose(F.rotate(fb.ones(1, 4, 4), 10.0, fill=[1.0]), 1)


def test_the_centre_makes_no_difference_to_an_expanded_picture():
    image, corners = scene()
    boxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=SIZE)
    for inpt in (image, boxes):
        with pytest.warns(UserWarning, match="center argument has no effect"):
            out = F.rotate(inpt, 30.0, expand=True, center=[3.0, 4.0])
        assert out.equal(F.rotate(inpt, 30.0, expand=True))
    assert not F.rotate(image, 30.0, center=[3.0, 4.0]).equal(F.rotate(image, 30.0))


def test_kernels_by_name():
    boxes, points = fb.tensor([[1.0, 2, 5, 6]]), fb.tensor([[3.0, 4]])
    image = fb.arange(300, dtype=fb.uint8).reshape(3, 10, 10)
    out, canvas = F.resize_bounding_boxes(boxes, (10, 10), [20, 20])
    assert out.tolist() == [[2, 4, 10, 12]] and canvas == (20, 20) and type(out) is fb.Tensor
    assert F.horizontal_flip_bounding_boxes(boxes, format="XYXY", canvas_size=(10, 10)).tolist() == [
        [5, 2, 9, 6]
    ]
    assert F.crop_keypoints(points, 1, 1, 4, 4)[0].tolist() == [[2, 3]]
    assert F.crop_bounding_boxes(boxes, "XYXY", 1, 1, 4, 4)[0].tolist() == [[0, 1, 4, 4]]
    assert F.resize_mask(image, [5, 5]).tolist() == F.resize(image, [5, 5], interpolation=0).tolist()
    assert F.vertical_flip_image(image).tolist() == image.flip(-2).tolist()
    assert F.get_num_frames_video(image[None]) == 1 and F.get_dimensions_image(image) == [3, 10, 10]
    assert len(F.ten_crop_video(image[None], [3, 3])) == 10
    with pytest.raises(AttributeError, match="no attribute 'normalize_mask'"):
        F.normalize_mask  # noqa: B018
    assert {"affine_bounding_boxes", "erase_image", "elastic_keypoints"} <= set(dir(F))
