"""Arithmetic, reductions and movement of larger tensors."""

from __future__ import annotations

from benchmarks.workload import workload


def of_size(name, n, target, make, **more):
    """One workload on `n` random floats: `make(torch, a, b)` gives what is timed."""

    @workload("elementwise", f"{name}, {n:.0e}".replace("e+0", "e"), target, **more)
    def prepare(torch):
        return make(torch, torch.rand(n), torch.rand(n))


for size, target in ((10_000, 1), (1_000_000, 1), (50_000_000, 3)):
    of_size("add", size, target, lambda torch, a, b: lambda: a + b)
for size in (10_000, 1_000_000):
    of_size("mul by a number", size, 1, lambda torch, a, b: lambda: a * 2.0)
    of_size("sum", size, 1, lambda torch, a, b: lambda: a.sum())
for size, target in ((10_000, 1), (1_000_000, 2.5)):
    of_size("exp", size, target, lambda torch, a, b: lambda: torch.exp(a))
    of_size("tanh", size, target, lambda torch, a, b: lambda: torch.tanh(a))
of_size("div", 1_000_000, 1, lambda torch, a, b: lambda: a / b)
of_size("sqrt", 1_000_000, 1, lambda torch, a, b: lambda: torch.sqrt(a))
of_size("log", 1_000_000, 1, lambda torch, a, b: lambda: torch.log(a))
of_size("sigmoid", 1_000_000, 1, lambda torch, a, b: lambda: torch.sigmoid(a))
of_size("gelu", 1_000_000, 1, lambda torch, a, b: lambda: torch.nn.functional.gelu(a))
of_size("relu", 1_000_000, 1, lambda torch, a, b: lambda: torch.relu(a))
of_size("a > b", 1_000_000, 1, lambda torch, a, b: lambda: a > b)
of_size("where", 1_000_000, 1, lambda torch, a, b: (lambda c: lambda: torch.where(c, a, b))(a > b))
of_size("clamp", 1_000_000, 1, lambda torch, a, b: lambda: a.clamp(0.2, 0.8))
of_size("mean", 1_000_000, 1, lambda torch, a, b: lambda: a.mean())
of_size("max", 1_000_000, 1, lambda torch, a, b: lambda: a.max())
of_size("argmax", 1_000_000, 1, lambda torch, a, b: lambda: a.argmax())
of_size("var", 1_000_000, 1, lambda torch, a, b: lambda: a.var())
of_size("norm", 1_000_000, 1, lambda torch, a, b: lambda: a.norm())
of_size("cumsum", 1_000_000, 1, lambda torch, a, b: lambda: a.cumsum(0))
of_size("sort", 1_000_000, 1, lambda torch, a, b: lambda: torch.sort(a)[0])
of_size("topk 10", 1_000_000, 1, lambda torch, a, b: lambda: torch.topk(a, 10)[0])
of_size("cat of two", 1_000_000, 1, lambda torch, a, b: lambda: torch.cat((a, b)))
of_size("clone", 1_000_000, 1, lambda torch, a, b: lambda: a.clone())
of_size("to float64", 1_000_000, 1, lambda torch, a, b: lambda: a.double())
of_size("a[mask]", 1_000_000, 1, lambda torch, a, b: (lambda c: lambda: a[c])(a > b))
of_size("zeros_like", 1_000_000, 1, lambda torch, a, b: lambda: torch.zeros_like(a))


def of_matrix(name, target, make):
    """One workload on a matrix of 1000 x 1000 random floats."""

    @workload("elementwise", f"{name}, 1000x1000", target)
    def prepare(torch):
        return make(torch, torch.rand(1000, 1000))


of_matrix("sum(0)", 1, lambda torch, a: lambda: a.sum(0))
of_matrix("sum(1)", 1, lambda torch, a: lambda: a.sum(1))
of_matrix("mean(1)", 1, lambda torch, a: lambda: a.mean(1))
of_matrix("argmax(1)", 1, lambda torch, a: lambda: a.argmax(1))
of_matrix("max(0)", 1, lambda torch, a: lambda: a.max(0)[0])
of_matrix("softmax(1)", 1, lambda torch, a: lambda: torch.softmax(a, 1))
of_matrix("log_softmax(1)", 1, lambda torch, a: lambda: torch.log_softmax(a, 1))
of_matrix("layer_norm", 1, lambda torch, a: lambda: torch.nn.functional.layer_norm(a, (1000,)))
of_matrix("transposed copy", 1, lambda torch, a: lambda: a.t().contiguous())
of_matrix("a + row", 1, lambda torch, a: (lambda row: lambda: a + row)(a[0].clone()))
of_matrix("a + column", 1, lambda torch, a: (lambda column: lambda: a + column)(a[:, :1].clone()))
of_matrix("cumsum(1)", 1, lambda torch, a: lambda: a.cumsum(1))
of_matrix("sort(1)", 1, lambda torch, a: lambda: torch.sort(a, 1)[0])


def both_ways(torch, x, function):
    """Forward and backward of a function of x."""
    x = x.requires_grad_()
    seed = torch.rand_like(function(x).detach())

    def work():
        x.grad = None
        function(x).backward(seed)
        return x.grad

    return work


@workload("elementwise", "softmax both ways, 256x1000")
def softmax_both(torch):
    return both_ways(torch, torch.rand(256, 1000), lambda x: torch.softmax(x, 1))


@workload("elementwise", "layer_norm both ways, 256x1000")
def layer_norm_both(torch):
    w, b = torch.rand(1000, requires_grad=True), torch.rand(1000, requires_grad=True)
    return both_ways(torch, torch.rand(256, 1000), lambda x: torch.nn.functional.layer_norm(x, (1000,), w, b))


@workload("elementwise", "cross_entropy both ways, 256x1000")
def cross_entropy_both(torch):
    target = torch.randint(0, 1000, (256,))
    return both_ways(torch, torch.rand(256, 1000), lambda x: torch.nn.functional.cross_entropy(x, target))


@workload("elementwise", "embedding, 2000 of 10000x128")
def embedding(torch):
    table, which = torch.rand(10_000, 128), torch.randint(0, 10_000, (2000,))
    return lambda: torch.nn.functional.embedding(which, table)


@workload("elementwise", "index_select, 2000 of 10000x128")
def index_select(torch):
    table, which = torch.rand(10_000, 128), torch.randint(0, 10_000, (2000,))
    return lambda: table.index_select(0, which)


@workload("elementwise", "gather, 1000x1000")
def gather(torch):
    a, which = torch.rand(1000, 1000), torch.randint(0, 1000, (1000, 1000))
    return lambda: a.gather(1, which)


@workload("elementwise", "rand, 1e6")
def random_uniform(torch):
    def work():
        torch.manual_seed(1)
        return torch.rand(1_000_000)

    return work


@workload("elementwise", "randn, 1e6")
def random_normal(torch):
    def work():
        torch.manual_seed(1)
        return torch.randn(1_000_000)

    return work


@workload("elementwise", "dropout, 1e6")
def dropout(torch):
    a = torch.rand(1_000_000)

    def work():
        torch.manual_seed(1)
        return torch.nn.functional.dropout(a, 0.5)

    return work
