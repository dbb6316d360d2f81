"""Tiny tensors: what a call costs."""

from __future__ import annotations

from benchmarks.workload import workload


@workload("overhead", "a + b, 10 floats", 5)
def add(torch):
    a, b = torch.rand(10), torch.rand(10)
    return lambda: a + b


@workload("overhead", "a * 2.0, 10 floats", 5)
def mul_number(torch):
    a = torch.rand(10)
    return lambda: a * 2.0


@workload("overhead", "a += b, 10 floats", 3)
def add_inplace(torch):
    a, b = torch.rand(10), torch.zeros(10)

    def work():
        nonlocal a
        a += b
        return a

    return work


@workload("overhead", "a[0]", 3)
def index(torch):
    a = torch.rand(10)
    return lambda: a[0]


@workload("overhead", "a[1:3, :]", 3)
def index_slice(torch):
    a = torch.rand(10, 10)
    return lambda: a[1:3, :]


@workload("overhead", "a.item()", 3)
def item(torch):
    a = torch.rand(())
    return lambda: a.item()


@workload("overhead", "a.sum(), 10 floats", 3)
def total(torch):
    a = torch.rand(10)
    return lambda: a.sum()


@workload("overhead", "trace, 3x4", 3)
def trace(torch):
    a = torch.rand(3, 4)
    return lambda: torch.trace(a)


@workload("overhead", "vstack, two 10 floats", 3)
def vstack(torch):
    a, b = torch.rand(10), torch.rand(10)
    return lambda: torch.vstack((a, b))


@workload("overhead", "hsplit into 2, 10x10", 3)
def hsplit(torch):
    a = torch.rand(10, 10)
    return lambda: torch.hsplit(a, 2)


@workload("overhead", "a.mean(0), 10x10", 3)
def mean_rows(torch):
    a = torch.rand(10, 10)
    return lambda: a.mean(0)


@workload("overhead", "a.view(2, 5)", 3)
def view(torch):
    a = torch.rand(10)
    return lambda: a.view(2, 5)


@workload("overhead", "a.t(), 3x4", 3)
def transpose(torch):
    a = torch.rand(3, 4)
    return lambda: a.t()


@workload("overhead", "a @ b, 10x10", 3)
def small_matmul(torch):
    a, b = torch.rand(10, 10), torch.rand(10, 10)
    return lambda: a @ b


@workload("overhead", "exp, 10 floats", 3)
def small_exp(torch):
    a = torch.rand(10)
    return lambda: torch.exp(a)


@workload("overhead", "a > 0.5, 10 floats", 3)
def compare(torch):
    a = torch.rand(10)
    return lambda: a > 0.5


@workload("overhead", "cat of two, 10 floats", 3)
def cat(torch):
    a, b = torch.rand(10), torch.rand(10)
    return lambda: torch.cat((a, b))


@workload("overhead", "zeros(10)", 3)
def zeros(torch):
    return lambda: torch.zeros(10)


@workload("overhead", "tensor([1.0, 2.0, 3.0])", 3)
def from_list(torch):
    return lambda: torch.tensor([1.0, 2.0, 3.0])


@workload("overhead", "(a*b).sum().backward()", 15)
def backward(torch):
    a, b = torch.rand(10, requires_grad=True), torch.rand(10)

    def work():
        a.grad = None
        (a * b).sum().backward()
        return a.grad

    return work


@workload("overhead", "1000 operations, forward and backward", 10)
def chain(torch):
    a = torch.rand(10, requires_grad=True)

    def work():
        a.grad = None
        x = a
        for _ in range(1000):
            x = x + 1.0
        x.sum().backward()
        return a.grad

    return work


@workload("overhead", "identity module", 4)
def identity(torch):
    class Identity(torch.nn.Module):
        def forward(self, x):
            return x

    m, x = Identity(), torch.rand(10)
    return lambda: m(x)


@workload("overhead", "Linear(10, 10)", 4)
def linear(torch):
    m, x = torch.nn.Linear(10, 10), torch.rand(1, 10)
    return lambda: m(x)


@workload("overhead", "linear regression, 100 steps of (w*x+b)", 6)
def regression_by_hand(torch):
    x = torch.rand(100)
    y = 3 * x + 1

    def work():
        w = torch.zeros(1, requires_grad=True)
        b = torch.zeros(1, requires_grad=True)
        for _ in range(100):
            loss = ((w * x + b - y) ** 2).mean()
            loss.backward()
            with torch.no_grad():
                w -= 0.1 * w.grad
                b -= 0.1 * b.grad
                w.grad.zero_()
                b.grad.zero_()
        return [w, b]

    return work


@workload("overhead", "linear regression, 100 steps of nn and optim", 6)
def regression_by_modules(torch):
    x = torch.rand(100, 1)
    y = 3 * x + 1

    def work():
        torch.manual_seed(0)
        model, criterion = torch.nn.Linear(1, 1), torch.nn.MSELoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        return [model.weight, model.bias]

    return work


@workload("overhead", "two-layer network 10-5-1, Adam, 100 steps", 6)
def tiny_network(torch):
    x, y = torch.rand(16, 10), torch.rand(16, 1)

    def work():
        torch.manual_seed(0)
        nn = torch.nn
        model = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1), nn.Sigmoid())
        optimizer, criterion = torch.optim.Adam(model.parameters(), lr=0.01), nn.BCELoss()
        for _ in range(100):
            optimizer.zero_grad()
            loss = criterion(model(x), (y > 0.5).float())
            loss.backward()
            optimizer.step()
        return loss

    return work
