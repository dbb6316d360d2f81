"""Training steps of networks on pictures and sound."""

from __future__ import annotations

from benchmarks import networks
from benchmarks.workload import workload


def step_of(torch, model, criterion, optimizer=None):
    """A training step; `criterion` computes the loss."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def work():
        optimizer.zero_grad()
        loss = criterion()
        loss.backward()
        optimizer.step()
        return loss

    return work


def classifier(name, make, shape, classes, target):
    """A training step of a classifier on random pictures."""

    @workload("training", name, target)
    def prepare(torch):
        model, x, y = make(torch), torch.rand(shape), torch.randint(0, classes, (shape[0],))
        return step_of(torch, model, lambda: torch.nn.functional.cross_entropy(model(x), y))

    return prepare


classifier("LeNet step, batch 4", networks.lenet, (4, 1, 32, 32), 10, 1.2)
classifier("LeNet step, batch 64", networks.lenet, (64, 1, 32, 32), 10, 1.8)
cifar = classifier("CIFAR CNN with batch norm, batch 32", networks.cifar, (32, 3, 32, 32), 10, 1.2)
resnet18 = classifier(
    "ResNet-18 step, 8x3x64x64", lambda torch: networks.resnet(torch, 18), (8, 3, 64, 64), 10, 1.2
)
classifier("MobileNetV2 step, 8x3x64x64", networks.mobilenet, (8, 3, 64, 64), 10, 1.2)
classifier("audio CNN step, 16x1x8000", networks.audio, (16, 1, 8000), 35, 1.2)


@workload("training", "residual block, 8x64x32x32", 1.2)
def residual(torch):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.b1 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
            self.c2, self.b2 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)

        def forward(self, x):
            y = torch.relu(self.b1(self.c1(x)))
            return torch.relu(self.b2(self.c2(y)) + x)

    model = nn.Sequential(Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    x, y = torch.rand(8, 64, 32, 32), torch.randint(0, 10, (8,))
    return step_of(torch, model, lambda: nn.functional.cross_entropy(model(x), y))


@workload("training", "YOLO-style detector step, 4x3x160x160", 1.2)
def detector(torch):
    model, x = networks.detector(torch), torch.rand(4, 3, 160, 160)
    targets = []
    for size in (20, 10):
        cells = (4, 3, size, size)
        there = (torch.rand(cells) > 0.9).float()
        targets.append((torch.rand(*cells, 4), there, torch.randint(0, 20, cells)))
    return step_of(torch, model, lambda: networks.detection_loss(torch, model(x), targets))
