"""SqueezeNet. arXiv:1602.07360"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._api import construct, model, published

__all__ = [
    "SqueezeNet",
    "SqueezeNet1_0_Weights",
    "SqueezeNet1_1_Weights",
    "squeezenet1_0",
    "squeezenet1_1",
]

SqueezeNet1_0_Weights = published("SqueezeNet1_0_Weights", __name__)
SqueezeNet1_1_Weights = published("SqueezeNet1_1_Weights", __name__)

# after the stem: (squeezed, expanded channels) of a fire module, or a pooling layer
_LAYOUTS: dict[str, tuple[tuple[int, int] | str, ...]] = {
    "1_0": (
        "pool", (16, 64), (16, 64), (32, 128),
        "pool", (32, 128), (48, 192), (48, 192), (64, 256),
        "pool", (64, 256),
    ),
    "1_1": (
        "pool", (16, 64), (16, 64),
        "pool", (32, 128), (32, 128),
        "pool", (48, 192), (48, 192), (64, 256), (64, 256),
    ),
}  # fmt: skip
_STEMS = {"1_0": (96, 7), "1_1": (64, 3)}


class Fire(nn.Module):
    """Squeeze by a 1 × 1 convolution, expand by 1 × 1 and 3 × 3 ones side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        small = self.expand1x1_activation(self.expand1x1(x))
        return fb.cat([small, self.expand3x3_activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """A network of fire modules, `version` "1_0" or the cheaper "1_1"."""

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _LAYOUTS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        channels, kernel = _STEMS[version]
        features: list[nn.Module] = [nn.Conv2d(3, channels, kernel, stride=2), nn.ReLU(inplace=True)]
        for part in _LAYOUTS[version]:
            if part == "pool":
                features.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            else:
                squeezed, expanded = part
                features.append(Fire(channels, squeezed, expanded, expanded))
                channels = 2 * expanded
        self.features = nn.Sequential(*features)
        last = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.flatten(self.classifier(self.features(x)), 1)


@model(SqueezeNet1_0_Weights)
def squeezenet1_0(
    *, weights: SqueezeNet1_0_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.0."""
    return construct(SqueezeNet, "1_0", weights=weights, progress=progress, **kwargs)


@model(SqueezeNet1_1_Weights)
def squeezenet1_1(
    *, weights: SqueezeNet1_1_Weights | None = None, progress: bool = True, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.1."""
    return construct(SqueezeNet, "1_1", weights=weights, progress=progress, **kwargs)
