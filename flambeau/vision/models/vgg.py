"""VGG networks. arXiv:1409.1556"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._api import WeightsEnum, construct, model, published
from ._utils import initialize_convolutions

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

VGG11_Weights = published("VGG11_Weights", __name__)
VGG11_BN_Weights = published("VGG11_BN_Weights", __name__)
VGG13_Weights = published("VGG13_Weights", __name__)
VGG13_BN_Weights = published("VGG13_BN_Weights", __name__)
VGG16_Weights = published("VGG16_Weights", __name__)
VGG16_BN_Weights = published("VGG16_BN_Weights", __name__)
VGG19_Weights = published("VGG19_Weights", __name__)
VGG19_BN_Weights = published("VGG19_BN_Weights", __name__)

_WIDTHS = (64, 128, 256, 512, 512)


def _plan(*counts: int) -> list[int | str]:
    """Channels of the convolutions of each block, and "M" for the pooling that ends it."""
    return [step for width, n in zip(_WIDTHS, counts, strict=True) for step in [width] * n + ["M"]]


# PyTorch's names for the plans of 11, 13, 16 and 19 layers with weights
cfgs = {
    "A": _plan(1, 1, 2, 2, 2),
    "B": _plan(2, 2, 2, 2, 2),
    "D": _plan(2, 2, 3, 3, 3),
    "E": _plan(2, 2, 4, 4, 4),
}
_LETTERS = {11: "A", 13: "B", 16: "D", 19: "E"}


class VGG(nn.Module):
    """Blocks of 3 × 3 convolutions, then three linear layers."""

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            initialize_convolutions(self, linear_std=0.01)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))


def make_layers(cfg: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions (channels) and poolings ("M") of a plan."""
    layers: list[nn.Module] = []
    channels = 3
    for step in cfg:
        if isinstance(step, str):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, step, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(step))
        layers.append(nn.ReLU(inplace=True))
        channels = step
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool, weights: WeightsEnum | None, progress: bool, **kwargs: Any) -> VGG:
    if weights is not None:
        kwargs["init_weights"] = False
    return construct(
        VGG, make_layers(cfgs[_LETTERS[depth]], batch_norm), weights=weights, progress=progress, **kwargs
    )


@model(VGG11_Weights)
def vgg11(*, weights: VGG11_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 11 layers."""
    return _vgg(11, False, weights, progress, **kwargs)


@model(VGG11_BN_Weights)
def vgg11_bn(*, weights: VGG11_BN_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 11 layers and batch normalization."""
    return _vgg(11, True, weights, progress, **kwargs)


@model(VGG13_Weights)
def vgg13(*, weights: VGG13_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 13 layers."""
    return _vgg(13, False, weights, progress, **kwargs)


@model(VGG13_BN_Weights)
def vgg13_bn(*, weights: VGG13_BN_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 13 layers and batch normalization."""
    return _vgg(13, True, weights, progress, **kwargs)


@model(VGG16_Weights)
def vgg16(*, weights: VGG16_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 16 layers."""
    return _vgg(16, False, weights, progress, **kwargs)


@model(VGG16_BN_Weights)
def vgg16_bn(*, weights: VGG16_BN_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 16 layers and batch normalization."""
    return _vgg(16, True, weights, progress, **kwargs)


@model(VGG19_Weights)
def vgg19(*, weights: VGG19_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 19 layers."""
    return _vgg(19, False, weights, progress, **kwargs)


@model(VGG19_BN_Weights)
def vgg19_bn(*, weights: VGG19_BN_Weights | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG with 19 layers and batch normalization."""
    return _vgg(19, True, weights, progress, **kwargs)
