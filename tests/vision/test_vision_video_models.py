"""Networks for films and for optical flow: the same seed gives torchvision's initial values and results.

The numbers were made by torchvision 0.28 with the lines of `build`, `film` and the tests.
"""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models.optical_flow import raft_large, raft_small
from flambeau.vision.models.video.mvit import MSBlockConfig, MViT

GOLDEN = {
    "mvit_1": ([-0.07902268, -0.2215277, 0.009743657, -0.05764756, -0.04397667, -0.03361812], 2.161104),
    "mvit_2": ([0.01429592, 0.1589968, 0.02780896, -0.0119184, 0.02892357, -0.07791808], 3.731463),
    "s3d": ([-0.02268953, 0.02053716, -0.02993632, 0.02673548, -0.01412471, -0.00611254], 2.169655e-07),
    "raft_small": ([0.4931771, 0.2343829, -1.36162, 0.02420619, 0.5666806, -2.16257], 179786.4),
    "raft_large": ([0.01813082, 0.1599192, -0.2194228, -0.07200634, 0.4991745, -0.204566], 8743.615),
    "swin3d_t": ([0.002170518, 0.146938, -0.11539, -0.03773334, -0.152155, -0.05025657], 1.845443),
}


def agrees(name, model, out):
    expected, norm = GOLDEN[name]
    out.square().sum().backward()
    gradient = next(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    out = out.detach().flatten()
    assert out[:: max(1, len(out) // 6)][:6].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-2)


def noise(*size):
    fb.manual_seed(1)
    return fb.randn(*size)


@pytest.mark.parametrize("version", [1, 2])
def test_mvit(version):
    second = version == 2
    pool = [3, 3, 3]
    some, one = (pool, [1, 1, 1]) if second else ([], [])
    settings = [
        MSBlockConfig(1, 16, 16 if second else 32, some, pool, one, [1, 4, 4]),
        MSBlockConfig(2, 16 if second else 32, 32, pool, pool, [1, 2, 2], [1, 2, 2]),
        MSBlockConfig(2, 32, 32, some, pool, one, [1, 1, 1] if second else [1, 2, 2]),
    ]
    fb.manual_seed(0)
    model = MViT((32, 48), 8, settings, second, not second, second, second, num_classes=10).eval()
    agrees(f"mvit_{version}", model, model(noise(2, 3, 8, 32, 48)))
    model.train()(noise(2, 3, 8, 32, 48))


def test_s3d():
    fb.manual_seed(0)
    model = models.video.s3d(num_classes=10).eval()
    model.avgpool = nn.Identity()
    agrees("s3d", model, model(noise(1, 3, 16, 32, 32)))


def test_swin3d():
    fb.manual_seed(0)
    model = models.video.swin3d_t(num_classes=10).eval()
    agrees("swin3d_t", model, model(noise(1, 3, 5, 70, 64)))


@pytest.mark.parametrize("build", [raft_small, raft_large])
def test_raft(build):
    fb.manual_seed(0)
    model = build().eval()
    first, second = noise(2, 1, 3, 128, 128).unbind()
    agrees(build.__name__, model, fb.stack(model(first, second, num_flow_updates=2)))
    with pytest.raises(ValueError, match="input image H and W should be divisible by 8"):
        model(first[..., :-1], second[..., :-1])
    with pytest.raises(ValueError, match="Feature maps are too small"):
        model(first[..., :120], second[..., :120])


def test_weights_of_networks_of_flow():
    weights = models.optical_flow.Raft_Large_Weights.DEFAULT
    assert weights.url.endswith("raft_large_C_T_SKHT_V2-ff5fadd5.pth")
    one, two = weights.transforms()(fb.zeros(3, 8, 8, dtype=fb.uint8), fb.ones(3, 8, 8))
    assert one.max() == -1 and two.min() == 1
