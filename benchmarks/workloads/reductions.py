"""Sums, extremes, norms, normalisation and running sums."""

from __future__ import annotations

from benchmarks.workload import both_ways, of_size, workload

GROUP = "reductions"
SMALL, MIDDLE, LARGE = 10_000, 1_000_000, 50_000_000


def row(name, make, sizes=(MIDDLE,), target=1.0):
    """One workload a size: `make(torch, a, b)`, of two random vectors, gives what is timed."""
    for size in sizes:
        of_size(GROUP, name, size, make, target)


row("sum", lambda torch, a, b: lambda: a.sum(), (SMALL, MIDDLE, LARGE))
row("mean", lambda torch, a, b: lambda: a.mean(), (SMALL, MIDDLE))
row("max", lambda torch, a, b: lambda: a.max(), (SMALL, MIDDLE, LARGE))
row("amin", lambda torch, a, b: lambda: a.amin())
row("argmax", lambda torch, a, b: lambda: a.argmax(), (SMALL, MIDDLE))
row("var", lambda torch, a, b: lambda: a.var(), (SMALL, MIDDLE))
row("std", lambda torch, a, b: lambda: a.std())
row("norm", lambda torch, a, b: lambda: a.norm(), (SMALL, MIDDLE))
# PyTorch adds the squares in float32 and is 0.2 % off here
of_size(GROUP, "norm", LARGE, lambda torch, a, b: lambda: a.norm(), tolerance=5e-3)
row("norm, p=1", lambda torch, a, b: lambda: a.norm(1))
row("norm, p=3", lambda torch, a, b: lambda: a.norm(3))
row("prod", lambda torch, a, b: lambda: (a * 0 + 1).prod())
row("logsumexp", lambda torch, a, b: lambda: a.logsumexp(0))
row("any", lambda torch, a, b: (lambda m: lambda: m.any())(a > 2))
row("all", lambda torch, a, b: (lambda m: lambda: m.all())(a < 2))
row("count_nonzero", lambda torch, a, b: (lambda m: lambda: m.count_nonzero())(a > b))
row("sum of a mask", lambda torch, a, b: (lambda m: lambda: m.sum())(a > b))
row("dot", lambda torch, a, b: lambda: a @ b)
row("allclose", lambda torch, a, b: lambda: torch.allclose(a, a))
row("equal", lambda torch, a, b: (lambda c: lambda: torch.equal(a, c))(a.clone()))
row("cumsum", lambda torch, a, b: lambda: a.cumsum(0), (SMALL, MIDDLE, LARGE))
row("int64 cumsum", lambda torch, a, b: (lambda n: lambda: n.cumsum(0))((a * 9).long()), (100_000, MIDDLE))
row("cumprod", lambda torch, a, b: (lambda c: lambda: c.cumprod(0))(a * 0 + 1))
row("logcumsumexp", lambda torch, a, b: lambda: a.logcumsumexp(0))
row("cummax", lambda torch, a, b: lambda: a.cummax(0)[0])
row("aminmax", lambda torch, a, b: lambda: list(torch.aminmax(a)))
row("histc", lambda torch, a, b: lambda: torch.histc(a, 100, 0, 1))
row("cosine_similarity", lambda torch, a, b: lambda: torch.cosine_similarity(a, b, 0))
row("float16 sum", lambda torch, a, b: (lambda h: lambda: h.sum())(a.half() * 0.01))
row("bfloat16 sum", lambda torch, a, b: (lambda h: lambda: h.sum())(a.bfloat16() * 0.01))
row("bfloat16 max", lambda torch, a, b: (lambda h: lambda: h.max())(a.bfloat16()))
row("int64 sum", lambda torch, a, b: (lambda n: lambda: n.sum())((a * 100).long()))
row("int64 max", lambda torch, a, b: (lambda n: lambda: n.max())((a * 100).long()))
row("float64 sum", lambda torch, a, b: (lambda d: lambda: d.sum())(a.double()))
row("complex64 sum", lambda torch, a, b: (lambda z: lambda: z.sum())(torch.complex(a, b)))
row("bincount", lambda torch, a, b: (lambda n: lambda: torch.bincount(n))((a * 1000).long()))


def of_shape(name, shape, make, **more):
    """A workload on random floats of a shape."""

    @workload(GROUP, f"{name}, {'x'.join(str(n) for n in shape)}", **more)
    def prepare(torch):
        return make(torch, torch.rand(shape))


SQUARE, ROWS, COLUMNS, HUGE, CUBE = (1000, 1000), (100_000, 10), (10, 100_000), (5000, 10_000), (64, 128, 128)
for shape in (SQUARE, ROWS, COLUMNS, HUGE):
    of_shape("sum(0)", shape, lambda torch, a: lambda: a.sum(0))
    of_shape("sum(1)", shape, lambda torch, a: lambda: a.sum(1))
of_shape("sum(1)", CUBE, lambda torch, a: lambda: a.sum(1))
of_shape("sum((0, 2))", CUBE, lambda torch, a: lambda: a.sum((0, 2)))
of_shape("mean((2, 3))", (32, 64, 28, 28), lambda torch, a: lambda: a.mean((2, 3)))
of_shape("mean(1)", SQUARE, lambda torch, a: lambda: a.mean(1))
of_shape("argmax(1)", SQUARE, lambda torch, a: lambda: a.argmax(1))
of_shape("argmax(1)", ROWS, lambda torch, a: lambda: a.argmax(1))
of_shape("float16 amin(1)", ROWS, lambda torch, a: (lambda h: lambda: h.amin(1))(a.half()))
of_shape("bfloat16 argmax(1)", ROWS, lambda torch, a: (lambda h: lambda: h.argmax(1))(a.bfloat16()))
of_shape("int64 sum(1)", ROWS, lambda torch, a: (lambda n: lambda: n.sum(1))((a * 100).long()))
of_shape("sum of windows", SQUARE, lambda torch, a: lambda: a.unfold(1, 3, 1).sum(-1))
MIDDLING = (20_000, 50)
of_shape("amax(1)", MIDDLING, lambda torch, a: lambda: a.amax(1))
of_shape("float64 prod(1)", MIDDLING, lambda torch, a: (lambda d: lambda: d.prod(1))(a.double() + 0.5))
of_shape("int64 sum(1)", MIDDLING, lambda torch, a: (lambda n: lambda: n.sum(1))((a * 100).long()))
of_shape("int64 median(1)", SQUARE, lambda torch, a: (lambda n: lambda: n.median(1)[0])((a * 100).long()))
of_shape("argmax(0)", SQUARE, lambda torch, a: lambda: a.argmax(0))
of_shape("max(0)", SQUARE, lambda torch, a: lambda: a.max(0)[0])
of_shape("max(1)", SQUARE, lambda torch, a: lambda: a.max(1)[0])
of_shape("amax(0)", SQUARE, lambda torch, a: lambda: a.amax(0))
of_shape("amax(1)", SQUARE, lambda torch, a: lambda: a.amax(1))
of_shape("var(0)", SQUARE, lambda torch, a: lambda: a.var(0))
of_shape("std(1)", SQUARE, lambda torch, a: lambda: a.std(1))
of_shape("norm(dim=1)", SQUARE, lambda torch, a: lambda: a.norm(dim=1))
of_shape("norm(dim=0)", SQUARE, lambda torch, a: lambda: a.norm(dim=0))
of_shape("logsumexp(1)", SQUARE, lambda torch, a: lambda: a.logsumexp(1))
of_shape("prod(1)", SQUARE, lambda torch, a: lambda: (a * 0 + 1).prod(1))
of_shape("any(1)", SQUARE, lambda torch, a: (lambda m: lambda: m.any(1))(a > 2))
of_shape("median(1)", SQUARE, lambda torch, a: lambda: a.median(1)[0])
of_shape("cumsum(0)", SQUARE, lambda torch, a: lambda: a.cumsum(0))
of_shape("cumsum(1)", SQUARE, lambda torch, a: lambda: a.cumsum(1))
of_shape("normalize", SQUARE, lambda torch, a: lambda: torch.nn.functional.normalize(a, dim=1))
for shape in (SQUARE, ROWS):
    of_shape("softmax(1)", shape, lambda torch, a: lambda: torch.softmax(a, 1))
    of_shape("log_softmax(1)", shape, lambda torch, a: lambda: torch.log_softmax(a, 1))
of_shape("softmax(0)", SQUARE, lambda torch, a: lambda: torch.softmax(a, 0))
of_shape("layer_norm", SQUARE, lambda torch, a: lambda: torch.nn.functional.layer_norm(a, (1000,)))
of_shape("cdist", (500, 64), lambda torch, a: lambda: torch.cdist(a, a + 1))
of_shape("sum of the transpose", SQUARE, lambda torch, a: lambda: a.t().sum())
of_shape("max of the transpose", SQUARE, lambda torch, a: lambda: a.t().amax())
of_shape("pdist", (500, 64), lambda torch, a: lambda: torch.pdist(a))
of_shape("cdist, p=inf", (500, 64), lambda torch, a: lambda: torch.cdist(a, a + 1, p=float("inf")))
of_shape("cdist, p=1", (500, 64), lambda torch, a: lambda: torch.cdist(a, a + 1, p=1))
of_shape(
    "adaptive_max_pool1d to 1", SQUARE, lambda torch, a: lambda: torch.nn.functional.adaptive_max_pool1d(a, 1)
)


@workload(GROUP, "bfloat16 softmax(1), 100x32000", tolerance=1e-2)
def softmax_of_words(torch):
    a = torch.rand(100, 32_000).bfloat16()
    return lambda: torch.softmax(a, 1)


# ---------------------------------------------------------------- forward and backward
def both(name, shape, function, tolerance=1e-3):
    """Forward and backward of a function of random floats."""

    @workload(GROUP, f"{name} both ways, {'x'.join(str(n) for n in shape)}", tolerance=tolerance)
    def prepare(torch):
        return both_ways(torch, torch.rand(shape), function(torch, *shape))


def layer_norm(torch, rows, width):
    w, b = torch.rand(width, requires_grad=True), torch.rand(width, requires_grad=True)
    return lambda x: torch.nn.functional.layer_norm(x, (width,), w, b)


def cross_entropy(torch, rows, classes):
    target = torch.randint(0, classes, (rows,))
    return lambda x: torch.nn.functional.cross_entropy(x, target)


both("softmax", (256, 1000), lambda torch, *shape: lambda x: torch.softmax(x, 1))
both("log_softmax", (256, 1000), lambda torch, *shape: lambda x: torch.log_softmax(x, 1))
both("layer_norm", (256, 1000), layer_norm)
both("layer_norm", (4096, 256), layer_norm)
both("cross_entropy", (256, 1000), cross_entropy)
both("cross_entropy", (64, 10), cross_entropy)
both("group_norm", (32, 64, 784), lambda torch, *shape: lambda x: torch.nn.functional.group_norm(x, 8))
both("sum(0)", SQUARE, lambda torch, *shape: lambda x: x.sum(0))
both("var(1)", SQUARE, lambda torch, *shape: lambda x: x.var(1))
both("logsumexp(1)", SQUARE, lambda torch, *shape: lambda x: x.logsumexp(1))
both("cumsum(1)", SQUARE, lambda torch, *shape: lambda x: x.cumsum(1))
both("norm(dim=1)", SQUARE, lambda torch, *shape: lambda x: x.norm(dim=1))
both("max(1)", SQUARE, lambda torch, *shape: lambda x: x.max(1)[0])


def halves(name, dtype, make):
    """A workload on a matrix of 1000 x 1000 of a half type."""

    @workload(GROUP, f"{dtype} {name}, 1000x1000", tolerance=1e-2)
    def prepare(torch):
        return make(torch, torch.rand(1000, 1000).to(getattr(torch, dtype)))


for dtype in ("float16", "bfloat16"):
    halves("sum(0)", dtype, lambda torch, a: lambda: a.sum(0))
    halves("sum(1)", dtype, lambda torch, a: lambda: a.sum(1))
    halves("cumsum(1)", dtype, lambda torch, a: lambda: a.cumsum(1))
    halves("softmax(1)", dtype, lambda torch, a: lambda: torch.softmax(a, 1))
    halves("layer_norm", dtype, lambda torch, a: lambda: torch.nn.functional.layer_norm(a, (1000,)))
