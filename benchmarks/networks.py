"""Image and audio networks for the workloads, written with either package's `nn`."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def lenet(torch: ModuleType) -> Any:
    """LeNet on 32 x 32 pictures, as the tutorials write it."""
    nn, functional = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            x = functional.max_pool2d(functional.relu(self.conv1(x)), (2, 2))
            x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
            x = torch.flatten(x, 1)
            x = functional.relu(self.fc1(x))
            x = functional.relu(self.fc2(x))
            return self.fc3(x)

    return Net()


def cifar(torch: ModuleType) -> Any:
    """Three blocks of convolution, batch norm, relu and pooling for 32 x 32 pictures."""
    nn = torch.nn

    def block(a, b):
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(3, 32), *block(32, 64), *block(64, 128), nn.Flatten(), nn.Linear(2048, 10))


def resnet(torch: ModuleType, depth: int, classes: int = 10) -> Any:
    """ResNet-18 or ResNet-50 (He et al., "Deep Residual Learning for Image Recognition", 2015)."""
    nn = torch.nn

    def conv(a, b, k, stride=1):
        return [nn.Conv2d(a, b, k, stride, k // 2, bias=False), nn.BatchNorm2d(b)]

    class Block(nn.Module):
        def __init__(self, a, width, stride, bottleneck):
            super().__init__()
            out = width * 4 if bottleneck else width
            if bottleneck:
                body = [*conv(a, width, 1), nn.ReLU(inplace=True), *conv(width, width, 3, stride)]
                body += [nn.ReLU(inplace=True), *conv(width, out, 1)]
            else:
                body = [*conv(a, width, 3, stride), nn.ReLU(inplace=True), *conv(width, width, 3)]
            self.body = nn.Sequential(*body)
            self.short = nn.Sequential(*conv(a, out, 1, stride)) if stride > 1 or a != out else nn.Identity()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.body(x) + self.short(x))

    bottleneck = depth == 50
    layers = [*conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, blocks in enumerate([3, 4, 6, 3] if bottleneck else [2, 2, 2, 2]):
        width = 64 << stage
        for i in range(blocks):
            layers.append(Block(channels, width, 2 if stage and not i else 1, bottleneck))
            channels = width * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mobilenet(torch: ModuleType, classes: int = 10) -> Any:
    """MobileNetV2 (Sandler et al., "Inverted Residuals and Linear Bottlenecks", 2018)."""
    nn = torch.nn

    def conv(a, b, k, stride=1, groups=1):
        return [nn.Conv2d(a, b, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(b)]

    class Block(nn.Module):
        def __init__(self, a, b, stride, expand):
            super().__init__()
            wide = a * expand
            body = [*conv(a, wide, 1), nn.ReLU6(inplace=True)] if expand > 1 else []
            body += [*conv(wide, wide, 3, stride, wide), nn.ReLU6(inplace=True), *conv(wide, b, 1)]
            self.body, self.add = nn.Sequential(*body), stride == 1 and a == b

        def forward(self, x):
            return x + self.body(x) if self.add else self.body(x)

    layers, channels = [*conv(3, 32, 3, 2), nn.ReLU6(inplace=True)], 32
    for expand, b, times, stride in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]:
        for i in range(times):
            layers.append(Block(channels, b, stride if i == 0 else 1, expand))
            channels = b
    layers += [*conv(channels, 1280, 1), nn.ReLU6(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, classes))


def detector(torch: ModuleType) -> Any:
    """A small one-stage detector: backbone, neck of upsampled and joined features, two heads."""
    nn = torch.nn

    def conv(a, b, k, stride=1, activation=nn.SiLU):
        return nn.Sequential(nn.Conv2d(a, b, k, stride, k // 2, bias=False), nn.BatchNorm2d(b), activation())

    def leaky():
        return nn.LeakyReLU(0.1)

    class Split(nn.Module):
        """Half of the channels goes through a residual pair, the other half past it."""

        def __init__(self, a):
            super().__init__()
            self.past, self.through = conv(a, a // 2, 1), conv(a, a // 2, 1)
            self.pair = nn.Sequential(conv(a // 2, a // 2, 1), conv(a // 2, a // 2, 3))
            self.join = conv(a, a, 1)

        def forward(self, x):
            y = self.through(x)
            return self.join(torch.cat([y + self.pair(y), self.past(x)], 1))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(conv(3, 16, 3, 2, leaky), conv(16, 32, 3, 2, leaky), Split(32))
            self.stage8 = nn.Sequential(conv(32, 64, 3, 2), Split(64))
            self.stage16 = nn.Sequential(conv(64, 128, 3, 2), Split(128))
            self.pools = nn.MaxPool2d(5, 1, 2)
            self.after = conv(256, 128, 1)
            self.up = nn.Upsample(scale_factor=2, mode="nearest")
            self.fine = nn.Sequential(conv(192, 64, 1), Split(64))
            self.down, self.coarse = conv(64, 64, 3, 2), nn.Sequential(conv(192, 128, 1), Split(128))
            self.head8, self.head16 = nn.Conv2d(64, 75, 1), nn.Conv2d(128, 75, 1)

        def forward(self, x):
            a = self.stage8(self.stem(x))
            b = self.stage16(a)
            b = self.after(torch.cat([b, self.pools(b)], 1))
            a = self.fine(torch.cat([self.up(b), a], 1))
            b = self.coarse(torch.cat([self.down(a), b], 1))
            return self.head8(a), self.head16(b)

    return Net()


def detection_loss(torch: ModuleType, outputs: Any, targets: Any) -> Any:
    """Centres and sizes, objectness and classes: a sum of three kinds of losses over both heads."""
    functional = torch.nn.functional
    total = 0.0
    for out, (boxes, there, labels) in zip(outputs, targets, strict=True):
        n, _, h, w = out.shape
        p = out.view(n, 3, 25, h, w).permute(0, 1, 3, 4, 2)
        centres = (torch.sigmoid(p[..., :2]) - boxes[..., :2]) ** 2
        sizes = functional.smooth_l1_loss(p[..., 2:4], boxes[..., 2:], reduction="none")
        mask = there.unsqueeze(-1)
        box = ((centres + sizes) * mask).sum() / mask.sum()
        seen = functional.binary_cross_entropy_with_logits(p[..., 4], there)
        kinds = functional.cross_entropy(p[..., 5:][there > 0], labels[there > 0])
        total = total + 5.0 * box + seen + kinds
    return total


def audio(torch: ModuleType) -> Any:
    """Four blocks of 1-d convolution, batch norm, relu and pooling on raw sound (after M5, 2016)."""
    nn = torch.nn

    def block(a, b, k, stride=1, padding=0):
        return [nn.Conv1d(a, b, k, stride, padding), nn.BatchNorm1d(b), nn.ReLU(), nn.MaxPool1d(4)]

    layers = [
        *block(1, 32, 80, 16),
        *block(32, 32, 3, 1, 1),
        *block(32, 64, 3, 1, 1),
        *block(64, 64, 3, 1, 1),
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 35))
