"""Networks have torchvision's parameter names and numbers of parameters."""

import io

import pytest

import flambeau as fb
from flambeau.vision import models, utils

PARAMETERS = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "mobilenet_v2": 3_504_872,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "lenet": 61_706,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name):
    with fb.device("meta"):
        model = models.get_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


def test_names():
    with fb.device("meta"):
        resnet, mobile = models.resnet50(), models.mobilenet_v2()
        vgg, alex = models.vgg11_bn(), models.alexnet()
    names = set(resnet.state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.downsample.1.weight",
        "layer4.2.conv3.weight",
        "fc.bias",
    } <= names
    assert len(names) == 320
    names = list(mobile.state_dict())
    assert names[0] == "features.0.0.weight" and "features.1.conv.0.1.running_var" in names
    assert {"features.18.0.weight", "features.2.conv.2.weight", "classifier.1.bias"} <= set(names)
    assert {"features.1.running_mean", "classifier.6.weight"} <= set(vgg.state_dict())
    assert {"features.10.bias", "classifier.1.weight"} <= set(alex.state_dict())


@pytest.mark.parametrize(
    ("name", "size"), [("lenet", (1, 28, 28)), ("resnet18", (3, 32, 32)), ("mobilenet_v2", (3, 32, 32))]
)
def test_forward_and_backward(name, size):
    fb.manual_seed(0)
    model = models.get_model(name, num_classes=4)
    out = model(fb.randn(2, *size))
    assert out.shape == (2, 4)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_unknown_models_and_weights():
    assert "resnet18" in models.list_models()
    with pytest.raises(ValueError, match=r"Unknown model nothing"):
        models.get_model("nothing")
    with pytest.raises(NotImplementedError, match=r"load_state_dict"):
        models.resnet18(weights="DEFAULT")


def test_make_grid():
    images = fb.arange(5.0).reshape(5, 1, 1, 1).expand(5, 3, 2, 3)
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=9)
    assert grid.shape == (3, 7, 13)
    assert grid[0, 1].tolist() == [9, 0, 0, 0, 9, 1, 1, 1, 9, 2, 2, 2, 9]
    assert grid[0, 4].tolist() == [9, 3, 3, 3, 9, 4, 4, 4, 9, 9, 9, 9, 9]
    assert utils.make_grid(images, normalize=True).max().item() == 1
    assert utils.make_grid([fb.zeros(1, 4, 4)] * 2).shape == (3, 8, 14)
    with pytest.raises(TypeError, match=r"tensor or list of tensors expected"):
        utils.make_grid("x")


def test_save_image(tmp_path):
    image = pytest.importorskip("PIL.Image")
    utils.save_image(fb.full((3, 4, 5), 0.5), tmp_path / "a.png")
    with image.open(tmp_path / "a.png") as saved:
        assert saved.size == (5, 4) and saved.getpixel((0, 0)) == (128, 128, 128)
    buffer = io.BytesIO()
    utils.save_image(fb.zeros(2, 1, 4, 4), buffer, format="png", padding=0)
    assert buffer.getvalue().startswith(b"\x89PNG")
