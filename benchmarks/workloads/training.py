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
