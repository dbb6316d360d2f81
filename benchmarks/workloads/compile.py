"""``flambeau.compile`` beside PyTorch's eager mode; the eager twins stand next to each row.

PyTorch runs them uncompiled: its compiler needs a C++ compiler on the machine and seconds for each function.
"""

from __future__ import annotations

from benchmarks.workload import both_ways, workload


def chain(torch):
    def ten(x, y):
        return torch.tanh((x * 2 + y).exp() * 0.1 - x).relu() * y / (x * x + 1) + 0.5

    return ten


def hand_made_norm(torch):
    def norm(x, w, b):
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w + b

    return norm


def gelu_mlp(torch):
    nn = torch.nn
    return nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256), nn.GELU())


def bert_mini(torch):
    nn = torch.nn

    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(8000, 256), nn.Embedding(128, 256)
            self.norm, self.drop = nn.LayerNorm(256), nn.Dropout(0.1)
            layer = nn.TransformerEncoderLayer(256, 4, 1024, 0.1, "gelu", batch_first=True)
            self.layers = nn.TransformerEncoder(layer, 4)
            self.out = nn.Linear(256, 2)

        def forward(self, ids):
            places = torch.arange(ids.shape[1])
            x = self.drop(self.norm(self.words(ids) + self.places(places)))
            return self.out(self.layers(x)[:, 0])

    return Bert()


def compiled(torch, function):
    """The function, compiled where it is flambeau that runs."""
    return torch.compile(function) if torch.__name__ == "flambeau" else function


def warm(work):
    for _ in range(10):
        work()
    return work


def enter(name, target, prepare, tolerance=1e-3):
    """One row compiled and one eager."""

    @workload("compile", f"{name}, compiled", target, tolerance=tolerance)
    def with_compile(torch):
        return warm(prepare(torch, lambda f: compiled(torch, f)))

    @workload("compile", f"{name}, eager", 1, tolerance=tolerance)
    def without(torch):
        return warm(prepare(torch, lambda f: f))


def chain_forward(torch, make):
    f, x, y = make(chain(torch)), torch.rand(1_000_000), torch.rand(1_000_000)
    return lambda: f(x, y)


def chain_both_ways(torch, make):
    f, y = make(chain(torch)), torch.rand(1_000_000)
    return both_ways(torch, torch.rand(1_000_000), lambda x: f(x, y))


def norm_forward(torch, make):
    f, x, w, b = make(hand_made_norm(torch)), torch.rand(4096, 256), torch.rand(256), torch.rand(256)
    return lambda: f(x, w, b)


def norm_both_ways(torch, make):
    f, w, b = make(hand_made_norm(torch)), torch.rand(256), torch.rand(256)
    return both_ways(torch, torch.rand(4096, 256), lambda x: f(x, w, b))


def mlp_forward(torch, make):
    f, x = make(gelu_mlp(torch)), torch.rand(128, 256)

    def work():
        with torch.no_grad():
            return f(x)

    return work


def mlp_both_ways(torch, make):
    f = make(gelu_mlp(torch))
    return both_ways(torch, torch.rand(128, 256), f)


def bert_forward(torch, make):
    f, ids = make(bert_mini(torch).eval()), torch.randint(0, 8000, (8, 64))

    def work():
        with torch.no_grad():
            return f(ids)

    return work


def bert_step(torch, make):
    model = bert_mini(torch)
    f, ids, y = make(model), torch.randint(0, 8000, (8, 64)), torch.randint(0, 2, (8,))
    criterion, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.AdamW(model.parameters(), lr=1e-4)

    def work():
        optimizer.zero_grad()
        loss = criterion(f(ids), y)
        loss.backward()
        optimizer.step()
        return loss

    return work


enter("chain of 10 on 1e6", 3, chain_forward)
enter("chain of 10 on 1e6, both ways", 3, chain_both_ways)
enter("layer norm by hand 4096x256", 3, norm_forward)
enter("layer norm by hand 4096x256, both ways", 3, norm_both_ways)
enter("gelu MLP 256-1024-256", 1.2, mlp_forward)
enter("gelu MLP 256-1024-256, both ways", 1.2, mlp_both_ways)
enter("BERT-mini 8x64", 1.2, bert_forward)
enter("BERT-mini step 8x64", 1.2, bert_step, tolerance=0.3)
