"""Whole training steps: forward, loss, backward, optimizer."""

from __future__ import annotations

from benchmarks.workload import workload


def step_of(torch, model, x, y, criterion, optimizer=None):
    """A training step of a classifier on one batch."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def work():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return work


def lenet(torch):
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


def lenet_step(batch, target):
    @workload("training", f"LeNet step, batch {batch}", target)
    def prepare(torch):
        x, y = torch.rand(batch, 1, 32, 32), torch.randint(0, 10, (batch,))
        return step_of(torch, lenet(torch), x, y, torch.nn.CrossEntropyLoss())


lenet_step(4, 1.2)
lenet_step(64, 1.8)


@workload("training", "MLP 784-512-512-10 step, batch 64", 2)
def mlp(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    x, y = torch.rand(64, 784), torch.randint(0, 10, (64,))
    return step_of(torch, model, x, y, nn.CrossEntropyLoss())


@workload("training", "MLP 784-512-512-10 step, batch 64, Adam", 2)
def mlp_adam(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    x, y = torch.rand(64, 784), torch.randint(0, 10, (64,))
    return step_of(torch, model, x, y, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()))


@workload("training", "CIFAR CNN with batch norm, batch 32", 1.2)
def cifar(torch):
    nn = torch.nn

    def block(a, b):
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]

    model = nn.Sequential(*block(3, 32), *block(32, 64), *block(64, 128), nn.Flatten(), nn.Linear(2048, 10))
    x, y = torch.rand(32, 3, 32, 32), torch.randint(0, 10, (32,))
    return step_of(torch, model, x, y, nn.CrossEntropyLoss())


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
    return step_of(torch, model, x, y, nn.CrossEntropyLoss())


@workload("training", "LSTM 64-128, 32 of 30 steps", 1)
def lstm(torch):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 10)

        def forward(self, x):
            return self.out(self.lstm(x)[0][:, -1])

    x, y = torch.rand(32, 30, 64), torch.randint(0, 10, (32,))
    return step_of(torch, Net(), x, y, nn.CrossEntropyLoss())


@workload("training", "transformer layer 128, 16 of 64 tokens", 1.2)
def transformer(torch):
    nn = torch.nn
    layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(128 * 64, 10))
    x, y = torch.rand(16, 64, 128), torch.randint(0, 10, (16,))
    return step_of(torch, model, x, y, nn.CrossEntropyLoss())
