"""Transforms of samples: what is transformed, and in which order random numbers are drawn."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as v1
from flambeau.vision import tv_tensors
from flambeau.vision.ops import box_iou
from flambeau.vision.transforms import _augment_ops as ops
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.v2 import functional as F

SIZE = (32, 48)


def image():
    return fb.arange(3 * 32 * 48).reshape(3, *SIZE) % 251


def boxes(rows=((4.0, 5, 20, 25), (10, 2, 44, 30)), **kwargs):
    return tv_tensors.BoundingBoxes(list(rows), format="XYXY", canvas_size=SIZE, **kwargs)


def sample():
    return {
        "picture": tv_tensors.Image(image().to(fb.uint8)),
        "target": {
            "boxes": boxes(),
            "masks": tv_tensors.Mask(fb.ones(2, *SIZE)),
            "labels": fb.tensor([1, 2]),
        },
        "name": "x",
    }


def drawn(transform, *inputs, seed=0):
    fb.manual_seed(seed)
    return transform(*inputs)


def uniform(low, high):
    return fb.empty(1).uniform_(low, high).item()


def test_structure_is_kept_and_labels_are_left_alone():
    out = v2.RandomHorizontalFlip(p=1)(sample())
    assert out["name"] == "x" and out["target"]["labels"].tolist() == [1, 2]
    assert out["target"]["boxes"].tolist() == [[28, 5, 44, 25], [4, 2, 38, 30]]
    assert out["picture"].equal(sample()["picture"].flip(-1))
    one, two = v2.Resize((16, 24))(sample()["picture"], boxes())
    assert one.shape == (3, 16, 24) and two.canvas_size == (16, 24)


def test_the_first_plain_tensor_is_the_picture_unless_there_is_one():
    plain = image()
    first, second = v2.RandomVerticalFlip(p=1)(plain, plain)
    assert first.equal(plain.flip(-2)) and second is plain
    picture = tv_tensors.Image(plain)
    one, two = v2.RandomVerticalFlip(p=1)(picture, plain)
    assert one.equal(plain.flip(-2)) and two is plain
    pil = F.to_pil_image(plain.to(fb.uint8))
    assert v2.RandomVerticalFlip(p=1)(pil, plain)[1] is plain


def test_own_transforms():
    class Shift(v2.Transform):
        def make_params(self, flat_inputs):
            return {"by": len(flat_inputs)}

        def transform(self, inpt, params):
            return inpt + params["by"]

    assert Shift()({"a": fb.zeros(1, 2, 2), "b": "text"})["a"].sum() == 4
    with pytest.raises(NotImplementedError):
        v2.Transform()(fb.rand(3, 4, 4))


def test_draws_of_crops():
    x = image()
    fb.manual_seed(1)
    top, left = fb.randint(0, 32 - 20 + 1, ()).item(), fb.randint(0, 48 - 30 + 1, ()).item()
    assert drawn(v2.RandomCrop((20, 30)), x, seed=1).equal(x[:, top : top + 20, left : left + 30])
    fb.manual_seed(1)  # no number where there is no choice
    left = fb.randint(0, 48 - 30 + 1, ()).item()
    assert drawn(v2.RandomCrop((32, 30)), x, seed=1).equal(x[:, :, left : left + 30])
    assert v2.RandomCrop((40, 60), pad_if_needed=True)(x).shape == (3, 40, 60)
    out, moved = drawn(v2.RandomCrop(30, padding=4), tv_tensors.Image(x), boxes(clamping_mode=None), seed=2)
    fb.manual_seed(2)
    top, left = fb.randint(0, 11, ()).item(), fb.randint(0, 27, ()).item()
    assert out.equal(F.pad(x, 4)[:, top : top + 30, left : left + 30])
    assert moved.as_subclass(fb.Tensor).equal(boxes() + fb.tensor([4.0 - left, 4 - top] * 2))
    with pytest.raises(
        ValueError, match=r"Required crop size \(99, 99\) is larger than input image size \(32, 48\)"
    ):
        v2.RandomCrop(99)(x)
    one = drawn(v2.RandomResizedCrop((9, 9)), x, seed=3)
    two = drawn(v1.RandomResizedCrop((9, 9)), x, seed=3)
    assert one.equal(two)


def test_draws_shared_with_the_first_generation():
    x = image().to(fb.uint8)
    pairs = [
        (v2.RandomRotation(30), v1.RandomRotation(30)),
        (
            v2.RandomAffine(10, (0.1, 0.2), (0.5, 2), (5, 6)),
            v1.RandomAffine(10, (0.1, 0.2), (0.5, 2), (5, 6)),
        ),
        (v2.RandomPerspective(p=1), v1.RandomPerspective(p=1)),
        (v2.ElasticTransform(), v1.ElasticTransform()),
        (v2.ColorJitter(0.1, 0.2, 0.3, 0.4), v1.ColorJitter(0.1, 0.2, 0.3, 0.4)),
        (v2.GaussianBlur(3), v1.GaussianBlur(3)),
        (v2.RandomErasing(p=1), v1.RandomErasing(p=1)),
        (v2.RandomErasing(p=1, value="random"), v1.RandomErasing(p=1, value="random")),
        (v2.RandomGrayscale(0.9), v1.RandomGrayscale(0.9)),
    ]
    for new, old in pairs:
        assert drawn(new, x, seed=5).equal(drawn(old, x, seed=5)), new


def test_draws_of_photometric_distort():
    x = fb.rand(3, 8, 8)
    for seed in range(4):
        fb.manual_seed(seed)
        factors = []
        for low, high in ((0.875, 1.125), (0.5, 1.5), (0.5, 1.5), (-0.05, 0.05)):
            factors.append(uniform(low, high) if fb.rand(1) < 0.5 else None)
        before = fb.rand(()) < 0.5
        order = fb.randperm(3).tolist() if fb.rand(1) < 0.5 else None
        expected = x
        steps = [(F.adjust_saturation, factors[2]), (F.adjust_hue, factors[3])]
        steps.insert(0 if before else 2, (F.adjust_contrast, factors[1]))
        for function, factor in [(F.adjust_brightness, factors[0]), *steps, (F.permute_channels, order)]:
            expected = expected if factor is None else function(expected, factor)
        assert drawn(v2.RandomPhotometricDistort(), x, seed=seed).equal(expected)


def test_draws_of_sizes():
    x = image()
    fb.manual_seed(7)
    factor = min(40 / 32, 60 / 48) * (0.5 + fb.rand(1) * 1.0)
    assert drawn(v2.ScaleJitter((60, 40), (0.5, 1.5)), x, seed=7).shape[1:] == (
        int(32 * factor),
        int(48 * factor),
    )
    fb.manual_seed(7)
    short = [20, 30, 40][fb.randint(3, ()).item()]
    factor = min(short / 32, 50 / 48)
    assert drawn(v2.RandomShortestSize([20, 30, 40], 50), x, seed=7).shape[1:] == (
        int(32 * factor),
        int(48 * factor),
    )
    fb.manual_seed(7)
    short = fb.randint(10, 90, ()).item()
    assert drawn(v2.RandomResize(10, 90), x, seed=7).shape[1] == short


def test_zoom_out():
    fb.manual_seed(3)
    assert fb.rand(1) < 1
    factor = 1 + fb.rand(1) * 3
    wide, high = int(48 * factor), int(32 * factor)
    place = fb.rand(2)
    left, top = int((wide - 48) * place[0]), int((high - 32) * place[1])
    out, moved = drawn(v2.RandomZoomOut(fill=7, p=1), tv_tensors.Image(image()), boxes(), seed=3)
    assert out.shape == (3, high, wide) and out[:, top : top + 32, left : left + 48].equal(image())
    assert moved.as_subclass(fb.Tensor).equal(boxes() + fb.tensor([left, top, left, top]))
    if left:
        assert out[0, 0, 0] == 7
    with pytest.raises(ValueError, match="Invalid side range"):
        v2.RandomZoomOut(side_range=(0.5, 2))


def test_iou_crop_keeps_what_it_promises():
    picture = tv_tensors.Image(image())
    for seed in range(12):
        crop = v2.RandomIoUCrop(sampler_options=[0.3])
        out, moved = drawn(crop, picture, boxes(), seed=seed)
        high, wide = out.shape[-2:]
        assert 0.5 <= wide / high <= 2 and moved.canvas_size == (high, wide)
        kept = (moved != 0).any(1)
        whole = fb.tensor([[0.0, 0, wide, high]])
        # cut boxes overlap the crop at least as well as the whole ones did
        assert kept.any() and box_iou(moved.as_subclass(fb.Tensor)[kept], whole).max() >= 0.3
    assert drawn(v2.RandomIoUCrop(sampler_options=[2.0]), picture, boxes())[0] is picture
    with pytest.raises(
        TypeError, match="requires input sample to contain tensor or PIL images and bounding boxes"
    ):
        v2.RandomIoUCrop()(picture)


def test_sanitize():
    rows = [[1.0, 1, 9, 9], [5, 5, 5, 9], [30, 20, 60, 25], [2, 3, 4, 5]]
    data = {
        "picture": tv_tensors.Image(image()),
        "boxes": boxes(rows),
        "masks": tv_tensors.Mask(fb.arange(4).reshape(4, 1, 1).expand(4, *SIZE)),
        "labels": fb.tensor([1, 2, 3, 4]),
        "other": fb.arange(4),
    }
    out = v2.SanitizeBoundingBoxes()(data)
    assert out["boxes"].tolist() == [rows[0], rows[3]] and out["labels"].tolist() == [1, 4]
    assert out["masks"][:, 0, 0].tolist() == [0, 3] and out["other"].tolist() == [0, 1, 2, 3]
    out = v2.SanitizeBoundingBoxes(min_size=3, labels_getter=lambda s: (s["labels"], s["other"]))(data)
    assert out["other"].tolist() == [0]
    kept, valid = F.sanitize_bounding_boxes(fb.tensor(rows), "XYXY", SIZE, min_area=5)
    assert valid.tolist() == [True, False, False, False] and len(kept) == 1
    with pytest.raises(ValueError, match="Could not infer where the labels are"):
        v2.SanitizeBoundingBoxes()({"boxes": boxes()})
    assert len(v2.SanitizeBoundingBoxes(labels_getter=None)({"boxes": boxes()})["boxes"]) == 2


def test_sanitize_points():
    points = tv_tensors.KeyPoints([[3.0, 4], [-1, 4], [39, 31], [40, 3]], canvas_size=(32, 40))
    out = v2.SanitizeKeyPoints("default")({"points": points, "labels": fb.arange(4), "other": fb.arange(4)})
    assert out["points"].tolist() == [[3, 4], [39, 31]] and out["points"].canvas_size == (32, 40)
    assert out["labels"].tolist() == [0, 2] and out["other"].tolist() == [0, 1, 2, 3]
    groups = fb.stack([points[:2], points[::2]]).as_subclass(fb.Tensor)
    kept, valid = F.sanitize_keypoints(groups, canvas_size=(32, 40))
    assert valid.tolist() == [False, True] and kept.tolist() == [[[3, 4], [39, 31]]]
    assert F.sanitize_keypoints(groups[:0], (32, 40))[0].shape == (0, 2, 2)
    assert v2.SanitizeKeyPoints()(points).shape == (2, 2)
    whole = tv_tensors.Mask(fb.zeros(3, 32, 40))  # of the picture, not of each box
    kept = v2.SanitizeBoundingBoxes(labels_getter=None)({"boxes": boxes([[-5.0, 1, 9, 9]]), "mask": whole})
    assert kept["mask"].shape == (3, 32, 40) and len(kept["boxes"]) == 0
    with pytest.raises(ValueError, match="canvas_size cannot be None"):
        F.sanitize_keypoints(groups)
    with pytest.raises(ValueError, match="canvas_size must be None"):
        F.sanitize_keypoints(points, (32, 40))
    with pytest.raises(ValueError, match="must match the number of labels"):
        v2.SanitizeKeyPoints("default")({"points": points, "labels": fb.arange(3)})


def test_meta_transforms():
    assert v2.ConvertBoundingBoxFormat("XYWH")(boxes())[0].tolist() == [4, 5, 16, 20]
    free = v2.SetClampingMode(None)(boxes())
    assert free.clamping_mode is None
    out = v2.Pad(-10)(free)
    assert out.tolist()[0] == [-6, -5, 10, 15]
    assert v2.ClampBoundingBoxes("soft")(out).tolist()[0] == [0, 0, 10, 12]
    points = tv_tensors.KeyPoints([[-3.0, 90]], canvas_size=SIZE)
    assert v2.ClampKeyPoints()(points).tolist() == [[0, 31]]


def test_types():
    pytest.importorskip("PIL.Image")
    x = image().to(fb.uint8)
    pil = v2.ToPILImage()(x)
    assert v2.PILToTensor()(pil).equal(x) and type(v2.ToImage()(pil)) is tv_tensors.Image
    assert v2.ToImage()(np.zeros((4, 5, 3), np.uint8)).shape == (3, 4, 5)
    assert v2.ToDtype(fb.float32, scale=True)(x).max() <= 1
    out = v2.ToDtype({tv_tensors.Mask: fb.int64, "others": None})(sample())
    assert out["target"]["masks"].dtype == fb.int64 and out["picture"].dtype == fb.uint8
    with pytest.raises(ValueError, match="No dtype was specified for type"):
        v2.ToDtype({tv_tensors.Mask: fb.int64})(sample())
    assert type(v2.ToPureTensor()(boxes())) is fb.Tensor
    with pytest.warns(UserWarning, match="deprecated"):
        assert v2.ToTensor()(pil).allclose(x / 255)
    with pytest.raises(TypeError, match="does not support PIL images"):
        v2.Normalize([0.5], [0.5])(pil)
    assert v2.Normalize([0.5], [0.5])(fb.rand(1, 2, 2)).min() >= -1
    assert v2.Lambda(lambda t: t + 1, fb.Tensor)(fb.zeros(1), "a") == (fb.ones(1), "a")
    pipeline = v2.Compose([v2.ToImage(), v2.Resize(8), v2.ToDtype(fb.float32, scale=True)])
    assert pipeline(pil).shape == (3, 8, 12)
    mean, matrix = fb.rand(48), fb.rand(48, 48)
    flat = fb.rand(2, 3, 4, 4)
    whitened = v2.LinearTransformation(matrix, mean)(flat)
    assert fb.allclose(whitened.reshape(2, -1), (flat.reshape(2, -1) - mean) @ matrix, atol=1e-5)


def test_fill_by_kind():
    transform = v2.Pad(1, fill={tv_tensors.Image: 9, tv_tensors.Mask: 5})
    out, mask = transform(tv_tensors.Image(image()), tv_tensors.Mask(fb.zeros(1, *SIZE)))
    assert out[0, 0, 0] == 9 and mask[0, 0, 0] == 5
    with pytest.raises(ValueError, match="fill says nothing about"):
        v2.Pad(1, fill={tv_tensors.Mask: 5})(tv_tensors.Image(image()))


def test_containers_draw():
    plus, times = v2.Lambda(lambda t: t + 1), v2.Lambda(lambda t: t * 10)
    x = fb.ones(1)
    for seed in range(5):
        fb.manual_seed(seed)
        order = fb.randperm(2).tolist()
        assert drawn(v2.RandomOrder([plus, times]), x, seed=seed) == (20 if order == [0, 1] else 11)
        fb.manual_seed(seed)
        chosen = fb.multinomial(fb.tensor([0.25, 0.75]), 1).item()
        assert drawn(v2.RandomChoice([plus, times], p=[1, 3]), x, seed=seed) == (2, 10)[chosen]
        fb.manual_seed(seed)
        applied = fb.rand(1) < 0.5
        assert drawn(v2.RandomApply([plus, times]), x, seed=seed) == (20 if applied else 1)
    with pytest.raises(ValueError, match="Pass at least one transform"):
        v2.Compose([])
    with pytest.raises(TypeError, match="sequence of callables"):
        v2.Compose(plus)


def test_auto_augmentation_draws():
    x = image().to(fb.uint8)
    mode = v2.InterpolationMode.NEAREST

    def strength(space, name, bins, chosen, below=None):
        values, signed = space[name]
        values = values(bins, *SIZE)
        if values is None:
            return 0.0
        size = values[fb.randint(below or bins, ()).item() if chosen is None else chosen].item()
        return -size if signed and fb.rand(()) <= 0.5 else size

    for seed in range(6):
        fb.manual_seed(seed)
        expected = x
        for name, p, level in ops.POLICIES[v2.AutoAugmentPolicy.IMAGENET][fb.randint(25, ()).item()]:
            if fb.rand(()) <= p:
                size = strength(ops.AUTO_AUGMENT, name, 10, level)
                expected = ops.apply_operation(F, expected, name, size, mode, None)
        assert drawn(v2.AutoAugment(), x, seed=seed).equal(expected)
        fb.manual_seed(seed)
        expected = x
        for _ in range(2):
            name = list(ops.RAND_AUGMENT)[fb.randint(14, ()).item()]
            size = strength(ops.RAND_AUGMENT, name, 31, 9)
            expected = ops.apply_operation(F, expected, name, size, mode, None)
        assert drawn(v2.RandAugment(), x, seed=seed).equal(expected)
        fb.manual_seed(seed)
        name = list(ops.TRIVIAL_AUGMENT)[fb.randint(14, ()).item()]
        expected = ops.apply_operation(F, x, name, strength(ops.TRIVIAL_AUGMENT, name, 31, None), mode, None)
        assert drawn(v2.TrivialAugmentWide(), x, seed=seed).equal(expected)
    out = v2.AugMix()({"image": tv_tensors.Image(x), "label": 3})
    assert type(out["image"]) is tv_tensors.Image and out["image"].dtype == fb.uint8 and out["label"] == 3
    floats = v2.RandAugment()(fb.rand(3, 8, 8))
    assert floats.dtype == fb.float32
    with pytest.raises(TypeError, match=r"Inputs of type BoundingBoxes are not supported by AutoAugment\(\)"):
        v2.AutoAugment()(tv_tensors.Image(x), boxes())
    with pytest.raises(TypeError, match="Found no image in the sample"):
        v2.AutoAugment()("x")


def test_mixup_and_cutmix():
    batch, labels = fb.rand(4, 3, 8, 10), fb.tensor([0, 1, 2, 1])
    distribution = fb.distributions.Beta(fb.tensor([1.0]), fb.tensor([1.0]))
    fb.manual_seed(6)
    share = distribution.sample(()).item()
    out, mixed = drawn(v2.MixUp(num_classes=3), batch, labels, seed=6)
    assert fb.allclose(out, share * batch + (1 - share) * batch.roll(1, 0))
    hot = fb.nn.functional.one_hot(labels, 3).float()
    assert fb.allclose(mixed, share * hot + (1 - share) * hot.roll(1, 0))
    fb.manual_seed(6)
    share = distribution.sample(()).item()
    x, y = fb.randint(10, (1,)).item(), fb.randint(8, (1,)).item()
    half = 0.5 * math.sqrt(1 - share)
    wide, high = int(half * 10), int(half * 8)
    x1, x2, y1, y2 = max(x - wide, 0), min(x + wide, 10), max(y - high, 0), min(y + high, 8)
    out, mixed = drawn(v2.CutMix(num_classes=3), batch, labels, seed=6)
    expected = batch.clone()
    expected[..., y1:y2, x1:x2] = batch.roll(1, 0)[..., y1:y2, x1:x2]
    share = 1 - (x2 - x1) * (y2 - y1) / 80
    assert out.equal(expected) and fb.allclose(mixed, share * hot + (1 - share) * hot.roll(1, 0))
    assert mixed.sum(1).allclose(fb.ones(4))
    again = v2.MixUp()({"x": batch, "labels": hot})
    assert again["labels"].shape == (4, 3)
    with pytest.raises(ValueError, match="num_classes must be passed"):
        v2.MixUp()(batch, labels)
    with pytest.raises(ValueError, match="Expected a batched input with 4 dims"):
        v2.MixUp(num_classes=3)(batch[0], labels)
    with pytest.raises(ValueError, match="does not match the batch size of the labels: 3 != 4"):
        v2.CutMix(num_classes=3)(batch[:3], labels)


def test_crops_of_five_and_ten():
    five = v2.FiveCrop(8)(image())
    assert len(five) == 5 and five[4].shape == (3, 8, 8) and five[1].equal(image()[:, :8, -8:])
    assert len(v2.TenCrop(8)(tv_tensors.Image(image()))) == 10
    with pytest.raises(TypeError, match=r"not supported by FiveCrop\(\)"):
        v2.FiveCrop(8)(boxes())


def test_videos():
    video = tv_tensors.Video(fb.randint(0, 256, (6, 3, *SIZE), dtype=fb.uint8))
    out = v2.UniformTemporalSubsample(3)(v2.RandomHorizontalFlip(1)(video))
    assert type(out) is tv_tensors.Video and out[1].equal(video[2].flip(-1))
    assert v2.RandomResizedCrop(8)(video).shape == (6, 3, 8, 8)


def test_probabilities_are_checked():
    with pytest.raises(ValueError, match="`p` should be a floating point value in the interval"):
        v2.RandomHorizontalFlip(1.5)
    with pytest.raises(ValueError, match="Found multiple HxW dimensions in the sample"):
        v2.RandomCrop(3)(tv_tensors.Image(fb.rand(3, 4, 4)), tv_tensors.Mask(fb.rand(5, 5)))
    with pytest.raises(TypeError, match="No image, video, mask, bounding box of keypoint was found"):
        v2.RandomCrop(3)("text")


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (v2.Resize(5), "Resize(size=[5], interpolation=bilinear, antialias=True)"),
        (
            v2.Resize(5, v1.InterpolationMode.BICUBIC),
            "Resize(size=[5], interpolation=InterpolationMode.BICUBIC, antialias=True)",
        ),
        (v2.GaussianBlur(3, (1, 2)), "GaussianBlur(kernel_size=(3, 3), sigma=[1.0, 2.0])"),
        (v1.RandomPosterize(3), "RandomPosterize(bits=3,p=0.5)"),
        (v1.RandomAffine(0), "RandomAffine(degrees=[0.0, 0.0])"),
        (v2.RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
        (v2.CenterCrop(4), "CenterCrop(size=(4, 4))"),
        (
            v2.RandomCrop(4, padding=1),
            "RandomCrop(size=(4, 4), padding=[1, 1, 1, 1], pad_if_needed=False, fill=0, "
            "padding_mode=constant)",
        ),
        (v2.Normalize((0.5,), (0.2,)), "Normalize(mean=[0.5], std=[0.2], inplace=False)"),
        (v2.ToDtype(fb.float32, scale=True), "ToDtype(scale=True)"),
        (v2.ToImage(), "ToImage()"),
        (
            v2.RandomRotation(10),
            "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)",
        ),
        (v2.Compose([v2.ToImage(), v2.Identity()]), "Compose(\n      ToImage()\n      Identity()\n)"),
        (
            v2.RandomResizedCrop(8),
            "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333), "
            "interpolation=bilinear, antialias=True)",
        ),
    ],
)
def test_reprs(transform, text):
    assert repr(transform) == text


def test_torchvision_import():
    with fb.install_as_torch():
        import torchvision.transforms.v2 as theirs
        from torchvision import tv_tensors as kinds
        from torchvision.transforms.v2 import functional

        assert theirs is v2 and kinds is tv_tensors and functional is F
