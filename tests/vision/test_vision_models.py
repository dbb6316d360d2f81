"""Networks have torchvision's parameter names, initial values and results.

``golden/vision_models.json`` was written by torchvision 0.28: for each model the number of parameters and the
MD5 sum of the names and shapes in its state dict; for some the results of seeded networks on seeded noise.
"""

import copy
import hashlib
import inspect
import json
import pickle
import warnings
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models import ResNet18_Weights, ResNet50_Weights
from flambeau.vision.models._utils import IntermediateLayerGetter
from flambeau.vision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from flambeau.vision.models.vision_transformer import interpolate_embeddings

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vision_models.json").read_text())


def without_weights(name, **kwargs):
    builder = models.get_model_builder(name)
    if "weights_backbone" in inspect.signature(builder).parameters:
        kwargs["weights_backbone"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return builder(**kwargs)


@pytest.mark.parametrize("name", models.list_models())
def test_names_and_shapes(name):
    with fb.device("meta"):
        model = without_weights(name)
    count, digest = GOLDEN["state"][name]
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    lines = [f"{key} {list(value.shape)}" for key, value in model.state_dict().items()]
    assert hashlib.md5("\n".join(lines).encode()).hexdigest() == digest


FORWARD = {
    "deeplabv3_mobilenet_v3_large": ({"aux_loss": True}, (1, 3, 48, 48)),
    "deeplabv3_resnet50": ({}, (1, 3, 48, 48)),
    "densenet121": ({}, (1, 3, 32, 32)),
    "convnext_tiny": ({}, (1, 3, 64, 64)),
    "efficientnet_b0": ({}, (2, 3, 64, 64)),
    "efficientnet_v2_s": ({}, (1, 3, 64, 64)),
    "fcn_resnet50": ({"aux_loss": True}, (1, 3, 48, 48)),
    "googlenet": ({"init_weights": True, "transform_input": True}, (1, 3, 64, 64)),
    "inception_v3": ({"init_weights": True, "transform_input": True}, (1, 3, 96, 96)),
    "lraspp_mobilenet_v3_large": ({}, (1, 3, 48, 48)),
    "mnasnet0_5": ({}, (2, 3, 64, 64)),
    "mobilenet_v2": ({}, (2, 3, 64, 64)),
    "mobilenet_v3_large": ({}, (2, 3, 64, 64)),
    "mobilenet_v3_small": ({}, (2, 3, 64, 64)),
    "mc3_18": ({}, (1, 3, 4, 32, 32)),
    "r2plus1d_18": ({}, (1, 3, 4, 32, 32)),
    "r3d_18": ({}, (1, 3, 4, 32, 32)),
    "regnet_x_400mf": ({}, (2, 3, 64, 64)),
    "regnet_y_400mf": ({}, (2, 3, 64, 64)),
    "resnet18": ({}, (2, 3, 32, 32)),
    "resnext50_32x4d": ({}, (1, 3, 32, 32)),
    "shufflenet_v2_x0_5": ({}, (2, 3, 64, 64)),
    "squeezenet1_0": ({}, (1, 3, 64, 64)),
    "squeezenet1_1": ({}, (1, 3, 64, 64)),
    "swin_t": ({}, (1, 3, 64, 64)),
    "swin_v2_t": ({}, (1, 3, 80, 80)),
    "vit_b_32": ({"image_size": 64}, (2, 3, 64, 64)),
}


@pytest.mark.parametrize("name", FORWARD)
def test_initial_values_forward_and_backward(name):
    """The same seed gives torchvision's initial values; results and a gradient agree."""
    options, size = FORWARD[name]
    fb.manual_seed(0)
    segments = models.get_model_builder(name).__module__.startswith("flambeau.vision.models.segmentation")
    model = without_weights(name, num_classes=5 if segments else 10, **options).eval()
    if name.startswith("vit"):  # its last layer starts at zero
        nn.init.normal_(model.heads.head.weight)
    fb.manual_seed(1)
    out = model(fb.randn(*size))
    if isinstance(out, dict):
        out = fb.cat([value.flatten() for value in out.values()])
    out.square().sum().backward()
    golden = GOLDEN["forward"][name]
    out = out.detach().flatten()
    expected = fb.tensor(golden["out"])
    scale = expected.abs().max().item()
    fb.testing.assert_close(out[:: max(1, len(out) // 6)][:6], expected, rtol=1e-4, atol=1e-4 * scale)
    gradient = next(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    assert gradient.norm().item() == pytest.approx(golden["grad"], rel=1e-3)


def test_auxiliary_outputs():
    with fb.device("meta"):
        googlenet = models.googlenet(init_weights=False, num_classes=3)
        inception = models.inception_v3(init_weights=False, num_classes=3)
        out = googlenet(fb.empty(2, 3, 64, 64))
        assert out._fields == ("logits", "aux_logits2", "aux_logits1") and out.aux_logits1.shape == (2, 3)
        out = inception(fb.empty(2, 3, 299, 299))
        assert out._fields == ("logits", "aux_logits") and out.aux_logits.shape == (2, 3)
        assert inception.eval()(fb.empty(2, 3, 299, 299)).shape == (2, 3)


def test_lenet():
    model = models.lenet()
    assert sum(parameter.numel() for parameter in model.parameters()) == 61_706
    assert model(fb.randn(2, 1, 28, 28)).shape == (2, 10)


def test_densenet_saves_memory_with_the_same_gradients():
    gradients = []
    for memory_efficient in (False, True):
        fb.manual_seed(0)
        model = models.DenseNet(8, (2, 2), 8, num_classes=2, memory_efficient=memory_efficient).eval()
        model(fb.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)).sum().backward()
        gradients.append(model.features.conv0.weight.grad)
    fb.testing.assert_close(*gradients)


def test_mnasnet_takes_files_of_version_1():
    old = models.mnasnet0_5()
    state = old.state_dict()
    state._metadata[""]["version"] = 1
    new = models.mnasnet0_5()
    with pytest.raises(
        RuntimeError, match=r"size mismatch for layers\.0\.weight"
    ):  # version 1 has a wider stem
        new.load_state_dict(state)
    assert new.layers[0].out_channels == 32 and new.layers[8][0].layers[0].in_channels == 16


def test_maxvit_attends_and_checks_sizes():
    options = {"stem_channels": 8, "block_channels": [8, 16], "block_layers": [1, 2], "head_dim": 4}
    options |= {"stochastic_depth_prob": 0.1, "partition_size": 2, "num_classes": 3}
    model = models.MaxVit(input_size=(32, 32), **options)
    model(fb.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(
        ValueError, match=r"^Input size \(5, 5\) of block 1 is not divisible by partition size 2\."
    ):
        models.MaxVit(input_size=(40, 40), **options)


def test_positions_of_a_vision_transformer_fit_another_size():
    small, large = (
        models.VisionTransformer(size, 16, 1, 2, 8, 8, num_classes=2, conv_stem_configs=None)
        for size in (32, 64)
    )
    state = interpolate_embeddings(64, 16, small.state_dict(), reset_heads=True)
    assert state["encoder.pos_embedding"].shape == (1, 17, 8) and "heads.head.weight" not in state
    fb.testing.assert_close(state["encoder.pos_embedding"][:, :2], small.encoder.pos_embedding[:, :2])
    assert large.load_state_dict(state, strict=False).missing_keys == ["heads.head.weight", "heads.head.bias"]
    stem = [
        models.vision_transformer.ConvStemConfig(8, 3, 2),
        models.vision_transformer.ConvStemConfig(8, 3, 2),
    ]
    model = models.VisionTransformer(16, 4, 1, 2, 8, 8, num_classes=2, conv_stem_configs=stem)
    assert model(fb.randn(1, 3, 16, 16)).shape == (1, 2)


def test_register():
    assert models.list_models(include="res*", exclude="*18") == [
        "resnet101", "resnet152", "resnet34", "resnet50", "resnext101_32x8d", "resnext101_64x4d",
        "resnext50_32x4d",
    ]  # fmt: skip
    assert models.get_model_builder("ResNet18") is models.resnet18
    assert models.get_model_weights("resnet50") is ResNet50_Weights
    assert models.get_model_weights(models.resnet50) is ResNet50_Weights
    assert models.get_weight("ResNet50_Weights.IMAGENET1K_V2") is ResNet50_Weights.DEFAULT
    for call in (models.get_model, models.get_model_weights):
        with pytest.raises(ValueError, match=r"^Unknown model nothing$"):
            call("nothing")
    with pytest.raises(ValueError, match=r"Invalid weight name provided: 'ResNet50_Weights'."):
        models.get_weight("ResNet50_Weights")
    with pytest.raises(ValueError, match=r"The weight enum 'Foo' for the specific method couldn't be"):
        models.get_weight("Foo.BAR")


def test_weights_enum():
    weights = ResNet50_Weights.DEFAULT
    assert weights is ResNet50_Weights.IMAGENET1K_V2 and len(ResNet50_Weights) == 2
    assert repr(weights) == str(weights) == "ResNet50_Weights.IMAGENET1K_V2"
    assert weights.url == "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
    assert weights.meta["num_params"] == 25557032 and weights.meta["categories"][:2] == ["tench", "goldfish"]
    assert copy.deepcopy(weights) is weights and pickle.loads(pickle.dumps(weights)) is weights
    assert repr(weights.transforms()) == (
        "ImageClassification(\n    crop_size=[224]\n    resize_size=[232]\n    mean=[0.485, 0.456, 0.406]\n"
        "    std=[0.229, 0.224, 0.225]\n    interpolation=InterpolationMode.BILINEAR\n)"
    )
    assert weights.transforms()(fb.zeros(3, 300, 400, dtype=fb.uint8)).shape == (3, 224, 224)
    with pytest.raises(TypeError, match="expected ResNet18_Weights but received ResNet50_Weights"):
        models.resnet18(weights=weights)
    with pytest.raises(KeyError, match="XX"):
        models.resnet18(weights="XX")
    with pytest.raises(ValueError, match=r"'num_classes' expected value 1000 but got 10 instead."):
        models.resnet18(weights="DEFAULT", num_classes=10)


@pytest.mark.parametrize("name", models.list_models())
def test_facts_of_weights(name):
    for weights in models.get_model_weights(name):
        assert weights.url.startswith("https://download.pytorch.org/models/")
        assert weights.meta["num_params"] > 0 and callable(weights.transforms())


@pytest.fixture
def fetched(monkeypatch):
    """Weights come from here rather than from the network; what was asked for is noted."""
    calls = []
    with fb.device("meta"):
        state = models.resnet18().state_dict()

    def fetch(url, **options):
        calls.append((url, options))
        return state

    monkeypatch.setattr("flambeau.vision.models._api.load_state_dict_from_url", fetch)
    return calls


def test_weights_are_fetched_and_checked(fetched):
    with fb.device("meta"):
        for weights in ("DEFAULT", "ResNet18_Weights.IMAGENET1K_V1", ResNet18_Weights.DEFAULT):
            assert models.resnet18(weights=weights, progress=False).fc.out_features == 1000
    options = {"progress": False, "check_hash": True}
    assert fetched == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", options)] * 3


def test_old_ways_to_ask_for_weights(fetched):
    note = "Arguments other than a weight enum or `None` for 'weights' are deprecated since 0.13"
    with fb.device("meta"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models.resnet18(pretrained=True)
        models.resnet18(True, False)
        assert len(fetched) == 2
        models.resnet18(pretrained=False)
        assert len(fetched) == 2
    messages = [str(warning.message) for warning in caught]
    assert {warning.filename for warning in caught} == {__file__}
    assert messages[0].startswith("The parameter 'pretrained' is deprecated since 0.13")
    assert messages[1].startswith(note) and messages[1] == messages[3]
    assert "equivalent to passing `weights=ResNet18_Weights.IMAGENET1K_V1`. You can also use" in messages[1]
    assert messages[2].startswith("Using 'weights' and 'progress' as positional parameter(s) is deprecated")
    assert messages[5].startswith(note) and messages[5].endswith("passing `weights=None`.")


def test_weights_of_segmentation_networks(monkeypatch):
    builders = models.segmentation.fcn_resnet50, models.segmentation.deeplabv3_resnet50
    with fb.device("meta"):
        states = {"backbone": models.resnet50().state_dict()}
        for build in builders:
            states[build.__name__] = without_weights(build.__name__, aux_loss=True).state_dict()
        asked = []

        def fetch(url, **options):
            asked.append(url.rpartition("/")[2])
            return states["backbone" if "resnet50-" in asked[-1] else asked[-1].partition("_coco")[0]]

        monkeypatch.setattr("flambeau.vision.models._api.load_state_dict_from_url", fetch)
        for build in builders:
            assert build(weights="DEFAULT").aux_classifier is not None
            assert build(num_classes=3).aux_classifier is None
        with pytest.raises(ValueError, match="'aux_loss' expected value True but got False"):
            builders[0](weights="DEFAULT", aux_loss=False)
        with pytest.raises(ValueError, match="'num_classes' expected value 21 but got 3"):
            builders[0](weights="DEFAULT", num_classes=3)
    assert asked == [
        "fcn_resnet50_coco-1167a1af.pth",
        "resnet50-0676ba61.pth",
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        "resnet50-0676ba61.pth",
    ]
    assert models.list_models(models.segmentation, include="fcn*") == ["fcn_resnet101", "fcn_resnet50"]


def test_intermediate_layer_getter():
    with fb.device("meta"):
        getter = IntermediateLayerGetter(models.resnet18(), {"layer1": "feat1", "layer3": "feat2"})
        out = getter(fb.empty(1, 3, 224, 224))
    assert [(name, tuple(value.shape)) for name, value in out.items()] == [
        ("feat1", (1, 64, 56, 56)),
        ("feat2", (1, 256, 14, 14)),
    ]
    assert list(getter) == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"]
    with pytest.raises(ValueError, match="return_layers are not present in model"):
        IntermediateLayerGetter(models.lenet(), {"layer9": "x"})


def test_feature_extractor():
    with fb.device("meta"):
        model = models.resnet18()
        x = fb.empty(1, 3, 32, 32)
        nodes = {"layer3": "b", "layer1.0.relu_1": "a", "layer1.0.relu": "c"}
        out = create_feature_extractor(model, nodes)(x)
        assert [(name, tuple(value.shape)) for name, value in out.items()] == [
            ("c", (1, 64, 8, 8)),
            ("a", (1, 64, 8, 8)),
            ("b", (1, 256, 2, 2)),
        ]
        apart = create_feature_extractor(model, train_return_nodes=["layer1"], eval_return_nodes=["fc"])
        assert list(apart(x)) == ["layer1"] and list(apart.eval()(x)) == ["fc"]
        assert set(apart.state_dict()) == set(model.state_dict())
        assert "layer2.0.conv1" not in str(create_feature_extractor(model, ["layer1.0.add"]).graph)
    names = ["x", "conv1", "bn1", "relu", "maxpool", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu"]
    assert get_graph_node_names(model)[0][:12] == [
        *names, "layer1.0.conv2", "layer1.0.bn2", "layer1.0.add", "layer1.0.relu_1"
    ]  # fmt: skip
    assert get_graph_node_names(model)[1][-3:] == ["avgpool", "flatten", "fc"]
    with pytest.raises(ValueError, match=r"node: .nope. is not present in model\. Hint"):
        create_feature_extractor(model, ["nope"])
    with pytest.raises(ValueError, match="Either `return_nodes` or `train_return_nodes` and"):
        create_feature_extractor(model)
    with pytest.raises(ValueError, match="then both should be specified"):
        create_feature_extractor(model, train_return_nodes=["layer1"])
    with pytest.warns(UserWarning, match="in eval mode are not the same as those in train mode"):
        get_graph_node_names(fb.nn.Sequential(_OnlyInTraining()))


class _OnlyInTraining(fb.nn.Module):
    def forward(self, x):
        return x * 2 if self.training else x


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t"])
def test_networks_of_windows_are_traced(name):
    with fb.device("meta"):
        model = getattr(models, name)()
    assert len(get_graph_node_names(model, suppress_diff_warning=True)[0]) > 100
