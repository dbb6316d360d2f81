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


@workload("training", "LSTM language model, 20 of 35 steps", 1.2)
def language_model(torch):
    nn = torch.nn
    words, width = 2000, 200

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(words, width)
            self.lstm = nn.LSTM(width, width, num_layers=2)
            self.out = nn.Linear(width, words)

        def forward(self, x):
            return self.out(self.lstm(self.embedding(x))[0]).flatten(0, 1)

    x, y = torch.randint(0, words, (35, 20)), torch.randint(0, words, (700,))
    return step_of(torch, Net(), x, y, nn.CrossEntropyLoss())


@workload("training", "GRU both directions 64-96, 16 of 50 steps", 1.2)
def gru(torch):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(64, 96, batch_first=True, bidirectional=True), nn.Linear(192, 10)

        def forward(self, x):
            return self.out(self.gru(x)[0].mean(1))

    x, y = torch.rand(16, 50, 64), torch.randint(0, 10, (16,))
    return step_of(torch, Net(), x, y, nn.CrossEntropyLoss())


def bert(torch, layers=4, width=256, heads=4, words=3000, longest=128):
    """A small encoder of text as BERT builds it: embeddings, layers with gelu, a score for each word."""
    nn = torch.nn

    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(words, width), nn.Embedding(longest, width)
            self.norm = nn.LayerNorm(width)
            layer = nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.out = nn.Linear(width, words)

        def forward(self, x):
            places = torch.arange(x.shape[1])
            return self.out(self.encoder(self.norm(self.words(x) + self.places(places))))

    return Bert()


@workload("training", "BERT-mini step, 8 of 128 tokens", 1.2)
def bert_step(torch):
    model = bert(torch)
    x, y = torch.randint(0, 3000, (8, 128)), torch.randint(0, 3000, (1024,))
    score = torch.nn.CrossEntropyLoss()
    return step_of(
        torch,
        lambda tokens: model(tokens).flatten(0, 1),
        x,
        y,
        score,
        torch.optim.AdamW(model.parameters(), lr=1e-4),
    )
