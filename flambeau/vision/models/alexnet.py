"""AlexNet in the one-tower form of arXiv:1404.5997."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._api import construct, model, published

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]

AlexNet_Weights = published("AlexNet_Weights", __name__)


class AlexNet(nn.Module):
    """Five convolutions and three linear layers; takes [N, 3, H, W] with H and W from 63 on."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))


@model(AlexNet_Weights)
def alexnet(*, weights: AlexNet_Weights | None = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """AlexNet."""
    return construct(AlexNet, weights=weights, progress=progress, **kwargs)
