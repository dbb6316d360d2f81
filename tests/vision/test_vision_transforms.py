"""Transforms of Pillow images and of tensors against each other, and against torch's interpolation."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as T
from flambeau.vision.transforms import InterpolationMode
from flambeau.vision.transforms import functional as F

pytest.importorskip("PIL")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def both(function):
    """The results for the same picture as a tensor and as a Pillow image, as arrays of integers."""
    picture = F.to_pil_image(PIXELS)
    tensor = fb.from_numpy(PIXELS.transpose(2, 0, 1).copy())
    return function(tensor).to(fb.int32), F.pil_to_tensor(function(picture)).to(fb.int32)


SAME = {
    "rotate": lambda i: F.rotate(i, 30),
    "rotate expand": lambda i: F.rotate(i, 30, expand=True),
    "rotate right angle": lambda i: F.rotate(i, 90, expand=True),
    "rotate centre": lambda i: F.rotate(i, 30, center=[5, 7], fill=[9, 8, 7]),
    "affine": lambda i: F.affine(i, 20, [3, 4], 1.2, [10, 5]),
    "brightness": lambda i: F.adjust_brightness(i, 1.3),
    "contrast": lambda i: F.adjust_contrast(i, 1.3),
    "saturation": lambda i: F.adjust_saturation(i, 0.3),
    "sharpness": lambda i: F.adjust_sharpness(i, 1.7),
    "gamma": lambda i: F.adjust_gamma(i, 1.7),
    "pad": lambda i: F.pad(i, [1, 2, 3, 4], 7),
    "pad reflect": lambda i: F.pad(i, 3, padding_mode="reflect"),
    "pad negative": lambda i: F.pad(i, [-2, 3, 1, -1]),
    "pad edge": lambda i: F.pad(i, [-2, 3, 1, -1], padding_mode="edge"),
    "centre crop": lambda i: F.center_crop(i, [50, 30]),
    "crop outside": lambda i: F.crop(i, -3, 5, 50, 80),
    "hflip": F.hflip,
    "vflip": F.vflip,
    "grey": lambda i: F.rgb_to_grayscale(i, 3),
    "invert": F.invert,
    "posterize": lambda i: F.posterize(i, 3),
    "solarize": lambda i: F.solarize(i, 100),
    "autocontrast": F.autocontrast,
    "equalize": F.equalize,
    "blur": lambda i: F.gaussian_blur(i, 5),
    "resize": lambda i: F.resize(i, [20, 30]),
    "enlarge": lambda i: F.resize(i, [70, 80]),
    "resize nearest": lambda i: F.resize(i, [40, 120], InterpolationMode.NEAREST),
}


@pytest.mark.parametrize("name", SAME)
def test_tensor_and_pil_agree(name):
    tensor, picture = both(SAME[name])
    assert tensor.shape == picture.shape
    assert (tensor - picture).abs().max().item() <= 1


def test_resize_is_torchs_interpolation():
    row = fb.tensor([[0.0, 1.0, 4.0, 9.0, 16.0, 25.0]]).reshape(1, 1, 6)
    # torch.nn.functional.interpolate(row[None], (1, n), mode=..., antialias=...) of torch 2.13
    expected = {
        ("bilinear", True, 3): [1.0, 7.0, 18.85714],
        ("bilinear", True, 8): [0.0, 0.625, 2.125, 4.625, 8.375, 13.375, 19.375, 25.0],
        ("bilinear", False, 3): [0.5, 6.5, 20.5],
        ("bilinear", False, 8): [0.0, 0.625, 2.125, 4.625, 8.375, 13.375, 19.375, 25.0],
        ("bicubic", True, 3): [0.41004, 6.53053, 19.97071],
        ("bicubic", True, 8): [-0.05224, 0.41628, 1.89062, 4.51562, 8.26562, 13.14062, 19.85033, 25.47015],
        ("bicubic", False, 3): [0.21875, 6.125, 21.15625],
        ("bicubic", False, 8): [-0.07178, 0.31006, 1.86133, 4.66602, 8.00586, 12.81836, 20.01221, 25.646],
    }
    for (mode, antialias, size), values in expected.items():
        got = F.resize(row, [1, size], InterpolationMode(mode), antialias=antialias)
        assert got.flatten().tolist() == pytest.approx(values, abs=1e-5)


def test_sizes():
    picture = fb.zeros(3, 40, 60)
    assert F.resize(picture, 20).shape == (3, 20, 30)
    assert F.resize(picture, 20, max_size=25).shape == (3, 16, 25)
    assert T.CenterCrop(10)(picture).shape == (3, 10, 10)
    assert [part.shape[-2:] for part in T.FiveCrop((5, 6))(picture)] == [(5, 6)] * 5
    assert len(T.TenCrop(4)(picture)) == 10
    assert F.get_image_size(picture) == [60, 40] and F.get_dimensions(picture) == [3, 40, 60]
    with pytest.raises(
        ValueError, match=r"Required crop size \(50, 50\) is larger than input image size \(40, 60\)"
    ):
        T.RandomCrop(50)(picture)


def test_to_tensor_and_back():
    picture = F.to_pil_image(PIXELS)
    tensor = T.ToTensor()(picture)
    assert tensor.dtype == fb.float32 and tensor.shape == (3, 40, 60) and tensor.max().item() <= 1
    assert tensor[1, 2, 3].item() == pytest.approx(PIXELS[2, 3, 1] / 255, abs=1e-7)
    assert np.array_equal(np.asarray(T.ToPILImage()(tensor)), PIXELS)
    assert T.ToTensor()(np.zeros((4, 5))).dtype == fb.float64
    assert T.ToTensor()(np.full((4, 5), 255, np.uint8)).flatten().unique().tolist() == [1.0]
    assert T.PILToTensor()(picture).dtype == fb.uint8
    for mode, dtype in (("L", fb.float32), ("1", fb.float32), ("I", fb.int32), ("F", fb.float32)):
        assert T.ToTensor()(picture.convert(mode)).dtype == dtype
    with pytest.raises(TypeError, match=r"pic should be PIL Image or ndarray. Got <class 'str'>"):
        T.ToTensor()("x")
    with pytest.raises(ValueError, match=r"pic should not have > 4 channels. Got 5 channels."):
        T.ToPILImage()(fb.zeros(5, 2, 2))


def test_normalize():
    x = fb.ones(3, 2, 2)
    y = T.Normalize((0.5, 0.0, 1.0), (0.5, 2.0, 4.0))(x)
    assert y[:, 0, 0].tolist() == [1.0, 0.5, 0.0] and x.sum().item() == 12
    T.Normalize(0.5, 0.5, inplace=True)(x)
    assert x.unique().tolist() == [1.0]
    for bad, kind, text in (
        (PIXELS, TypeError, "img should be Tensor Image"),
        (
            fb.ones(3, 2, 2, dtype=fb.uint8),
            TypeError,
            "Input tensor should be a float tensor. Got torch.uint8.",
        ),
        (fb.ones(2, 2), ValueError, "Expected tensor to be a tensor image of size"),
    ):
        with pytest.raises(kind, match=text):
            T.Normalize(0.5, 0.5)(bad)
    with pytest.raises(ValueError, match=r"std evaluated to zero after conversion to torch.float32"):
        T.Normalize(0.5, 0.0)(x)


def test_convert_image_dtype():
    x = fb.tensor([0, 128, 255], dtype=fb.uint8)
    assert T.ConvertImageDtype(fb.float32)(x).tolist() == pytest.approx([0, 128 / 255, 1])
    assert F.convert_image_dtype(fb.tensor([0.0, 0.5, 1.0]), fb.uint8).tolist() == [0, 127, 255]
    assert F.convert_image_dtype(x, fb.int16).tolist() == [0, 128 * 128, 255 * 128]
    assert F.convert_image_dtype(fb.tensor([32767], dtype=fb.int16), fb.uint8).tolist() == [255]
    with pytest.raises(RuntimeError, match=r"cannot be performed safely"):
        F.convert_image_dtype(fb.ones(1), fb.int32)


def test_hue_turns_colours():
    red = fb.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert F.adjust_hue(red, 1 / 3).flatten().tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    assert F.adjust_hue(red, -1 / 3).flatten().tolist() == pytest.approx([0, 0, 1], abs=1e-6)
    with pytest.raises(ValueError, match=r"hue_factor \(0.7\) is not in \[-0.5, 0.5\]"):
        F.adjust_hue(red, 0.7)


def test_random_transforms_draw_as_documented():
    """The numbers are drawn from the default generator in torchvision's order."""
    picture = fb.arange(3 * 8 * 8).reshape(3, 8, 8).float()
    fb.manual_seed(4)
    top, left = (int(fb.randint(0, 5, size=(1,)).item()) for _ in range(2))
    fb.manual_seed(4)
    assert fb.equal(T.RandomCrop(4)(picture), picture[:, top : top + 4, left : left + 4])
    for seed in range(6):
        fb.manual_seed(seed)
        flipped = (fb.rand(1) < 0.5).item()
        fb.manual_seed(seed)
        assert fb.equal(T.RandomHorizontalFlip()(picture), picture.flip(-1) if flipped else picture)
    fb.manual_seed(3)
    angle = float(fb.empty(1).uniform_(-10, 10).item())
    fb.manual_seed(3)
    assert T.RandomRotation.get_params([-10, 10]) == angle
    fb.manual_seed(2)
    order, factors = fb.randperm(4), [float(fb.empty(1).uniform_(0.6, 1.4).item()) for _ in range(2)]
    fb.manual_seed(2)
    drawn = T.ColorJitter.get_params((0.6, 1.4), None, (0.6, 1.4), None)
    assert fb.equal(drawn[0], order) and drawn[1:] == (factors[0], None, factors[1], None)


def test_random_erasing_and_resized_crop():
    fb.manual_seed(0)
    erased = T.RandomErasing(p=1, value=7)(fb.zeros(3, 20, 20))
    share = (erased == 7).float().mean().item()
    assert 0.01 < share < 0.4
    assert T.RandomErasing(p=1, value="random")(fb.zeros(3, 20, 20)).unique().numel() > 20
    assert T.RandomErasing(p=0)(fb.zeros(3, 20, 20)).sum().item() == 0
    assert T.RandomResizedCrop(5)(fb.zeros(3, 20, 30)).shape == (3, 5, 5)
    assert T.RandomPerspective(p=1)(fb.ones(3, 20, 30)).shape == (3, 20, 30)


def test_composition():
    fb.manual_seed(0)
    pipeline = T.Compose(
        [T.Resize(8), T.RandomApply([T.Grayscale(3)], p=1.0), T.ToTensor(), T.Lambda(lambda x: x + 1)]
    )
    assert pipeline(F.to_pil_image(PIXELS)).shape == (3, 8, 12)
    assert T.RandomChoice([T.Pad(1)])(fb.zeros(1, 2, 2)).shape == (1, 4, 4)
    assert T.RandomOrder([T.Pad(1), T.Pad(2)])(fb.zeros(1, 2, 2)).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (T.Resize(5), "Resize(size=5, interpolation=bilinear, max_size=None, antialias=True)"),
        (T.CenterCrop(3), "CenterCrop(size=(3, 3))"),
        (T.RandomCrop(32, padding=4), "RandomCrop(size=(32, 32), padding=4)"),
        (T.RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
        (
            T.RandomRotation(10),
            "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)",
        ),
        (T.ColorJitter(0.4), "ColorJitter(brightness=(0.6, 1.4), contrast=None, saturation=None, hue=None)"),
        (T.Normalize((0.5,), (0.2,)), "Normalize(mean=(0.5,), std=(0.2,))"),
        (
            T.Compose([T.ToTensor(), T.Pad(1)]),
            "Compose(\n    ToTensor()\n    Pad(padding=1, fill=0, padding_mode=constant)\n)",
        ),
    ],
)
def test_reprs(transform, text):
    assert repr(transform) == text


def test_without_pillow(monkeypatch):
    import builtins

    original = builtins.__import__
    import importlib

    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name, *a: (
            (_ for _ in ()).throw(ImportError(name)) if name.startswith("PIL") else original(name, *a)
        ),
    )
    with pytest.raises(ImportError, match=r"pip install pillow"):
        T.ToPILImage()(fb.zeros(1, 2, 2))
