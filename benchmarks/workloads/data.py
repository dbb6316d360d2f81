"""Data sets and loaders in memory."""

from __future__ import annotations

from benchmarks.workload import workload


def drain(loader):
    """Reads a loader once: the number of batches and the sum of the last one."""
    last = None
    count = 0
    for batch in loader:
        last = batch
        count += 1
    first = last[0] if isinstance(last, (list, tuple)) else last["x"]
    return [count, first]


@workload("data", "TensorDataset loader, 10000 samples", 5)
def tensor_dataset(torch):
    data = torch.utils.data
    rows = data.TensorDataset(torch.rand(10_000, 28, 28), torch.randint(0, 10, (10_000,)))
    loader = data.DataLoader(rows, batch_size=64)
    return lambda: drain(loader)


@workload("data", "TensorDataset loader, shuffled", 5)
def shuffled(torch):
    data = torch.utils.data
    rows = data.TensorDataset(torch.rand(10_000, 28, 28), torch.randint(0, 10, (10_000,)))
    loader = data.DataLoader(rows, batch_size=64, shuffle=True)

    def work():
        torch.manual_seed(1)
        return drain(loader)

    return work


@workload("data", "dict samples, 2000", 1.5)
def dict_samples(torch):
    class Rows(torch.utils.data.Dataset):
        def __init__(self):
            self.x, self.y = torch.rand(2000, 3, 32, 32), torch.randint(0, 10, (2000,))

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return {"x": self.x[i], "y": int(self.y[i])}

    loader = torch.utils.data.DataLoader(Rows(), batch_size=64)
    return lambda: drain(loader)


@workload("data", "tuple samples with arithmetic, 2000", 1.5)
def tuple_samples(torch):
    class Rows(torch.utils.data.Dataset):
        def __init__(self):
            self.x = torch.rand(2000, 1, 28, 28)

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return (self.x[i] - 0.5) / 0.25, i % 10

    loader = torch.utils.data.DataLoader(Rows(), batch_size=64)
    return lambda: drain(loader)
