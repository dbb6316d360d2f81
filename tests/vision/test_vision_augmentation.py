"""AutoAugment and its successors, elastic deformation, and what happens at borders."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as T
from flambeau.vision.transforms import _augment_ops as ops
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms import v2

PIL = pytest.importorskip("PIL.Image")


def picture(height=24, width=30, seed=0):
    rng = np.random.default_rng(seed)
    small = PIL.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize((width, height), PIL.Resampling.BICUBIC)


def test_strengths():
    def strengths(space, name, bins):
        return space[name][0](bins, 331, 662)

    assert strengths(ops.AUTO_AUGMENT, "Posterize", 10).tolist() == [8, 8, 7, 7, 6, 6, 5, 5, 4, 4]
    assert strengths(ops.TRIVIAL_AUGMENT, "Posterize", 31)[-1] == 2
    assert strengths(ops.AUGMIX, "Posterize", 10).tolist() == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    assert strengths(ops.RAND_AUGMENT, "TranslateX", 31)[-1] == 300
    assert strengths(ops.RAND_AUGMENT, "TranslateY", 31)[-1] == 150
    assert strengths(ops.RAND_AUGMENT, "Solarize", 3).tolist() == [255.0, 127.5, 0.0]
    assert strengths(ops.RAND_AUGMENT, "Equalize", 31) is None
    assert [len(s) for s in (ops.AUTO_AUGMENT, ops.RAND_AUGMENT, ops.TRIVIAL_AUGMENT, ops.AUGMIX)] == [
        14,
        14,
        14,
        13,
    ]
    assert all(len(policies) == 25 for policies in ops.POLICIES.values())
    used = {step[0] for policies in ops.POLICIES.values() for pair in policies for step in pair}
    assert used <= set(ops.AUTO_AUGMENT)


@pytest.mark.parametrize("name", list(ops.AUTO_AUGMENT) + ["Identity"])
def test_operations_on_tensors_are_pillows(name):
    image = picture()
    mode = T.InterpolationMode.NEAREST
    strength = {"Posterize": 5, "Solarize": 120.0, "Rotate": 20.0, "TranslateX": 4.0, "TranslateY": -3.0}.get(
        name, 0.3
    )
    theirs = np.asarray(ops.apply_operation(F, image, name, strength, mode, None)).astype(int)
    tensor = F.pil_to_tensor(image)
    ours = ops.apply_operation(F, tensor, name, strength, mode, None).permute(1, 2, 0).numpy().astype(int)
    if name in ("ShearX", "ShearY", "Rotate"):  # halves fall on one side or the other
        assert (ours != theirs).any(axis=2).mean() < 0.03
    else:
        assert abs(ours - theirs).max() <= 1


def test_auto_augment_draws_policy_then_probabilities_then_signs():
    transform = T.AutoAugment(T.AutoAugmentPolicy.CIFAR10)
    image = F.pil_to_tensor(picture())
    fb.manual_seed(5)
    chosen, probabilities, signs = fb.randint(25, (1,)).item(), fb.rand(2), fb.randint(2, (2,))
    expected = image
    for i, (name, p, strength) in enumerate(ops.POLICIES[T.AutoAugmentPolicy.CIFAR10][chosen]):
        if probabilities[i] <= p:
            values, signed = ops.AUTO_AUGMENT[name]
            magnitude = 0.0 if strength is None else values(10, 24, 30)[strength].item()
            magnitude *= -1 if signed and signs[i] == 0 else 1
            expected = ops.apply_operation(F, expected, name, magnitude, T.InterpolationMode.NEAREST, None)
    fb.manual_seed(5)
    assert transform(image).equal(expected)
    with pytest.raises(ValueError, match="policy imagenet is not"):
        T.AutoAugment("imagenet")


def test_rand_and_trivial_augment_draws():
    image = F.pil_to_tensor(picture())
    mode = T.InterpolationMode.NEAREST
    for seed in range(6):
        fb.manual_seed(seed)
        expected = image
        for _ in range(2):
            name = list(ops.RAND_AUGMENT)[fb.randint(14, (1,)).item()]
            values, signed = ops.RAND_AUGMENT[name]
            values = values(31, 24, 30)
            magnitude = 0.0 if values is None else values[9].item()
            magnitude *= -1 if signed and fb.randint(2, (1,)).item() else 1
            expected = ops.apply_operation(F, expected, name, magnitude, mode, None)
        fb.manual_seed(seed)
        assert T.RandAugment()(image).equal(expected)
        fb.manual_seed(seed)
        name = list(ops.TRIVIAL_AUGMENT)[fb.randint(14, (1,)).item()]
        values, signed = ops.TRIVIAL_AUGMENT[name]
        values = values(31, 24, 30)
        magnitude = 0.0 if values is None else values[fb.randint(31, (1,)).item()].item()
        magnitude *= -1 if signed and fb.randint(2, (1,)).item() else 1
        fb.manual_seed(seed)
        assert T.TrivialAugmentWide()(image).equal(ops.apply_operation(F, image, name, magnitude, mode, None))


def test_augmix():
    image = picture()
    fb.manual_seed(2)
    one = T.AugMix(severity=2, mixture_width=2)(image)
    fb.manual_seed(2)
    two = T.AugMix(severity=2, mixture_width=2)(F.pil_to_tensor(image))
    assert F.pil_to_tensor(one).equal(two) and two.dtype == fb.uint8
    assert T.AugMix(all_ops=False, chain_depth=1)(fb.stack([two, two])).shape == (2, 3, 24, 30)
    with pytest.raises(ValueError, match="severity must be between"):
        T.AugMix(severity=11)


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (T.AutoAugment(), "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=None)"),
        (
            T.RandAugment(fill=3),
            "RandAugment(num_ops=2, magnitude=9, num_magnitude_bins=31, "
            "interpolation=InterpolationMode.NEAREST, fill=3)",
        ),
        (
            T.TrivialAugmentWide(),
            "TrivialAugmentWide(num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None)",
        ),
        (
            T.AugMix(),
            "AugMix(severity=3, mixture_width=3, chain_depth=-1, alpha=1.0, all_ops=True, "
            "interpolation=InterpolationMode.BILINEAR, fill=None)",
        ),
        (
            T.ElasticTransform(),
            "ElasticTransform(alpha=[50.0, 50.0], sigma=[5.0, 5.0], "
            "interpolation=InterpolationMode.BILINEAR, fill=[0.0])",
        ),
    ],
)
def test_reprs(transform, text):
    assert repr(transform) == text


def test_elastic_moves_pixels():
    image = fb.arange(5 * 8).float().reshape(1, 5, 8)
    still = F.elastic_transform(image, fb.zeros(1, 5, 8, 2))
    assert fb.allclose(still, image, atol=1e-4)
    right = fb.zeros(1, 5, 8, 2)
    right[..., 0] = 2 / 8  # the picture is 2 wide: one pixel
    moved = F.elastic_transform(image, right, fill=-1.0)
    assert fb.allclose(moved[..., :-1], image[..., 1:], atol=1e-4) and (moved[..., -1] == -1).all()
    fb.manual_seed(0)
    one = T.ElasticTransform(alpha=30.0, sigma=3.0)(picture())
    fb.manual_seed(0)
    assert F.pil_to_tensor(one).equal(T.ElasticTransform(alpha=30.0, sigma=3.0)(F.pil_to_tensor(picture())))
    with pytest.raises(ValueError, match="displacement expected size is \\(1, 5, 8, 2\\)"):
        F.elastic_transform(image, fb.zeros(1, 4, 8, 2))
    with pytest.raises(TypeError, match="alpha should be a number or a sequence"):
        T.ElasticTransform(alpha=fb.rand(2))


def test_elastic_draws():
    fb.manual_seed(4)
    displacement = T.ElasticTransform.get_params([2.0, 3.0], [0.0, 0.0], [4, 6])
    fb.manual_seed(4)
    x = (fb.rand(1, 1, 4, 6) * 2 - 1) * 2.0 / 6
    y = (fb.rand(1, 1, 4, 6) * 2 - 1) * 3.0 / 4
    assert displacement.equal(fb.stack([x[:, 0], y[:, 0]], dim=-1))


def test_fill_outside_and_at_the_border():
    white = fb.full((1, 1, 5, 5), 9.0)
    moved = F.affine(white, 0.0, [2, 0], 1.0, [0.0, 0.0], fill=4.0)
    assert moved[0, 0].tolist() == [[4, 4, 9, 9, 9]] * 5
    half = F.affine(white, 0.0, [0.5, 0], 1.0, [0.0, 0.0], T.InterpolationMode.BILINEAR)
    assert half[0, 0, 0].tolist() == [4.5, 9, 9, 9, 9]
    # with a fill, even of 0, the share of the picture at its border counts twice
    half = F.affine(white, 0.0, [0.5, 0], 1.0, [0.0, 0.0], T.InterpolationMode.BILINEAR, fill=0.0)
    assert half[0, 0, 0].tolist() == [2.25, 9, 9, 9, 9]
    with pytest.raises(ValueError, match="cannot broadcast to match the number of channels"):
        F.rotate(fb.rand(3, 4, 4), 10.0, fill=[1.0, 2.0])


def test_bytes_are_resized_as_pillow_does():
    image = picture(60, 83)
    tensor = F.pil_to_tensor(image)
    for mode in (T.InterpolationMode.BILINEAR, T.InterpolationMode.BICUBIC):
        for size in ((100, 90), (21, 40), (60, 20)):
            theirs = F.pil_to_tensor(F.resize(image, size, mode)).int()
            how = {"size": size, "mode": mode.value, "antialias": True, "align_corners": False}
            rounded = fb.nn.functional.interpolate(tensor[None].float(), **how)[0].round().clamp(0, 255)
            assert F.resize(tensor, size, mode).equal(rounded.to(fb.uint8))
            assert (F.resize(tensor, size, mode).int() - theirs).abs().max() <= 2
            native = fb.nn.functional.interpolate(tensor[None], **how)[0]
            difference = (native.int() - theirs).abs()
            assert difference.max() <= 2 and (difference > 0).float().mean() < 0.05
            assert v2.functional.resize(tensor, list(size), mode).equal(native)


def test_sizes_from_the_longer_side():
    assert F.new_size(40, 80, None, 20) == (10, 20)
    assert F.new_size(40, 80, [20], 30) == (15, 30)
    with pytest.raises(ValueError, match="max_size must be an integer when size is None, but got None"):
        F.new_size(40, 80, None, None)


def test_equalize_is_pillows():
    image = picture(31, 17, seed=3)
    assert F.equalize(F.pil_to_tensor(image)).equal(F.pil_to_tensor(F.equalize(image)))
    flat = fb.full((3, 4, 4), 7, dtype=fb.uint8)
    assert F.equalize(flat).equal(flat)
    with pytest.raises(
        TypeError, match=r"Only torch\.uint8 image tensors are supported, but found torch\.float32"
    ):
        F.equalize(fb.rand(3, 4, 4))
