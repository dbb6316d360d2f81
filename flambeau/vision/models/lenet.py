"""LeNet-5 for pictures of digits. (LeCun et al.: Gradient-based learning applied to document recognition,
1998)
"""

from __future__ import annotations

import flambeau as fb
from flambeau import nn

__all__ = ["LeNet", "lenet"]


class LeNet(nn.Module):
    """Two convolutions and three linear layers, with ReLU and max pooling as it is built today.

    Takes [N, channels, 28, 28] (padded to 32 by the first convolution) and gives [N, num_classes] logits.
    """

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(self.features(x).flatten(1))


def lenet(**kwargs: int) -> LeNet:
    """A LeNet."""
    return LeNet(**kwargs)
