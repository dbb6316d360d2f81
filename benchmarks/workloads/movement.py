"""Copying, indexing, sorting, random numbers and Fourier transforms."""

from __future__ import annotations

from benchmarks.workload import both_ways, of_size, workload

GROUP = "movement"
SMALL, MIDDLE, LARGE = 10_000, 1_000_000, 50_000_000


def row(name, make, sizes=(MIDDLE,), target=1.0):
    """One workload a size: `make(torch, a, b)`, of two random vectors, gives what is timed."""
    for size in sizes:
        of_size(GROUP, name, size, make, target)


row("clone", lambda torch, a, b: lambda: a.clone(), (SMALL, MIDDLE, LARGE))
row("zeros_like", lambda torch, a, b: lambda: torch.zeros_like(a), (SMALL, MIDDLE, LARGE))
row("full", lambda torch, a, b: lambda: torch.full((a.numel(),), 2.0))
row("arange", lambda torch, a, b: lambda: torch.arange(a.numel()))
row("linspace", lambda torch, a, b: lambda: torch.linspace(0, 1, a.numel()))
row("cat of two", lambda torch, a, b: lambda: torch.cat((a, b)), (SMALL, MIDDLE, LARGE))
row("stack of two", lambda torch, a, b: lambda: torch.stack((a, b)))
row("stack along the last", lambda torch, a, b: lambda: torch.stack((a, b), -1))
row("flip", lambda torch, a, b: lambda: a.flip(0))
row("roll", lambda torch, a, b: lambda: a.roll(1000))
row("repeat", lambda torch, a, b: lambda: a.repeat(3))
row("repeat_interleave", lambda torch, a, b: lambda: a.repeat_interleave(2))
row(
    "bfloat16 repeat_interleave",
    lambda torch, a, b: (lambda h: lambda: h.repeat_interleave(2))(a.bfloat16()),
)
row(
    "masked_scatter",
    lambda torch, a, b: (lambda m: lambda: a.masked_scatter(m, b))(a > b),
    (SMALL, MIDDLE),
)
row("pad", lambda torch, a, b: lambda: torch.nn.functional.pad(a, (10, 10)), (100_000, MIDDLE))
row("a[::2] copied", lambda torch, a, b: lambda: a[::2].clone())
row("a[mask]", lambda torch, a, b: (lambda m: lambda: a[m])(a > b), (SMALL, MIDDLE))
row("a[mask] = 0", lambda torch, a, b: (lambda m: lambda: a.__setitem__(m, 0.0))(a > b))
row("nonzero", lambda torch, a, b: (lambda m: lambda: m.nonzero())(a > b))
row("a[index]", lambda torch, a, b: (lambda i: lambda: a[i])((b * a.numel()).long()), (SMALL, MIDDLE))
row(
    "take",
    lambda torch, a, b: (lambda i: lambda: a.take(i))((b * a.numel()).long()),
    (SMALL, MIDDLE),
)


def put(torch, a, b):
    index, to = torch.randperm(a.numel()), torch.zeros(a.numel())

    def work():
        to[index] = a
        return to

    return work


row("a[index] = b", put)
row("index_fill", lambda torch, a, b: (lambda i: lambda: a.index_fill(0, i, 1.0))(torch.randperm(a.numel())))
row("index_copy", lambda torch, a, b: (lambda i: lambda: a.index_copy(0, i, b))(torch.randperm(a.numel())))
row("sort", lambda torch, a, b: lambda: torch.sort(a)[0], (SMALL, MIDDLE))
row("argsort", lambda torch, a, b: lambda: torch.argsort(a))
row("stable sort", lambda torch, a, b: lambda: torch.sort(a, stable=True)[0])
row("int64 sort", lambda torch, a, b: (lambda n: lambda: torch.sort(n)[0])((a * 1000).long()))
row("topk 10", lambda torch, a, b: lambda: torch.topk(a, 10)[0], (SMALL, MIDDLE))
row("topk 1000", lambda torch, a, b: lambda: torch.topk(a, 1000)[0])
row("median", lambda torch, a, b: lambda: a.median())
row("quantile", lambda torch, a, b: lambda: torch.quantile(a, 0.3))
row("kthvalue", lambda torch, a, b: lambda: torch.kthvalue(a, 1000)[0])
row("unique", lambda torch, a, b: lambda: torch.unique(a))
row("unique of whole numbers", lambda torch, a, b: (lambda n: lambda: torch.unique(n))((a * 1000).long()))
row(
    "unique with counts",
    lambda torch, a, b: (lambda n: lambda: list(torch.unique(n, return_inverse=True, return_counts=True)))(
        (a * 1000).long()
    ),
)
row(
    "unique_consecutive of all different",
    lambda torch, a, b: lambda: torch.unique_consecutive(a),
)
row(
    "unique_consecutive",
    lambda torch, a, b: (lambda n: lambda: torch.unique_consecutive(n))((a * 1000).long()),
)
row(
    "bincount of many",
    lambda torch, a, b: (lambda n: lambda: torch.bincount(n))((a * a.numel()).long()),
    (SMALL, MIDDLE),
)
row("searchsorted", lambda torch, a, b: (lambda s: lambda: torch.searchsorted(s, b))(a.sort()[0]))
row("bucketize", lambda torch, a, b: (lambda s: lambda: torch.bucketize(b, s))(a[:100].sort()[0]))
row("scatter_add", lambda torch, a, b: (lambda i: lambda: a.scatter_add(0, i, b))((b * 1000).long()))
row("index_add", lambda torch, a, b: (lambda i: lambda: a.index_add(0, i, b))((b * 1000).long()))


def seeded(name, make):
    """A workload of random numbers: every call starts from the same seed."""

    def prepare(torch, a, b):
        function = make(torch, a, b)

        def work():
            torch.manual_seed(1)
            return function()

        return work

    row(name, prepare)


seeded("rand", lambda torch, a, b: lambda: torch.rand(a.numel()))
seeded("randn", lambda torch, a, b: lambda: torch.randn(a.numel()))
seeded("randint", lambda torch, a, b: lambda: torch.randint(0, 100, (a.numel(),)))
seeded("randperm", lambda torch, a, b: lambda: torch.randperm(a.numel()))
seeded("bernoulli", lambda torch, a, b: lambda: torch.bernoulli(a))
seeded("exponential_", lambda torch, a, b: lambda: a.exponential_())
seeded("multinomial", lambda torch, a, b: lambda: torch.multinomial(a[:1000], 1000, replacement=True))
seeded("dropout", lambda torch, a, b: lambda: torch.nn.functional.dropout(a, 0.5))


def of_shape(name, shape, make, **more):
    """A workload on random floats of a shape."""

    @workload(GROUP, f"{name}, {'x'.join(str(n) for n in shape)}", **more)
    def prepare(torch):
        return make(torch, torch.rand(shape))


SQUARE = (1000, 1000)
of_shape("transposed copy", SQUARE, lambda torch, a: lambda: a.t().contiguous())
of_shape("transposed copy", (5000, 10_000), lambda torch, a: lambda: a.t().contiguous())
of_shape("permuted copy", (32, 64, 28, 28), lambda torch, a: lambda: a.permute(0, 2, 3, 1).contiguous())
of_shape("permuted copy", (32, 28, 28, 64), lambda torch, a: lambda: a.permute(0, 3, 1, 2).contiguous())
of_shape("heads first", (8, 128, 8, 64), lambda torch, a: lambda: a.transpose(1, 2).contiguous())
of_shape(
    "to channels_last", (32, 3, 64, 64), lambda torch, a: lambda: a.to(memory_format=torch.channels_last)
)
of_shape("a[:, :500] copied", SQUARE, lambda torch, a: lambda: a[:, :500].contiguous())
of_shape("cat(1) of two", SQUARE, lambda torch, a: lambda: torch.cat((a, a), 1))
of_shape("cat(1) of two", (100_000, 4), lambda torch, a: lambda: torch.cat((a, a), 1))
of_shape("expanded copy", (1000, 1), lambda torch, a: lambda: a.expand(1000, 1000).contiguous())
of_shape("sort(1)", SQUARE, lambda torch, a: lambda: torch.sort(a, 1)[0])
of_shape("sort(0)", SQUARE, lambda torch, a: lambda: torch.sort(a, 0)[0])
of_shape("topk(5) of rows", SQUARE, lambda torch, a: lambda: a.topk(5, 1)[0])
of_shape("flip(1)", SQUARE, lambda torch, a: lambda: a.flip(1))
of_shape("roll(1)", SQUARE, lambda torch, a: lambda: a.roll(3, 1))
of_shape("tril", SQUARE, lambda torch, a: lambda: a.tril())
of_shape("diag", SQUARE, lambda torch, a: lambda: a.diag())
of_shape("pad", (32, 3, 64, 64), lambda torch, a: lambda: torch.nn.functional.pad(a, (2, 2, 2, 2)))
of_shape(
    "reflect pad", (8, 3, 64, 64), lambda torch, a: lambda: torch.nn.functional.pad(a, (2,) * 4, "reflect")
)
of_shape("unfold", (8, 16, 32, 32), lambda torch, a: lambda: torch.nn.functional.unfold(a, 3))
of_shape(
    "windows both ways",
    SQUARE,
    lambda torch, a: both_ways(torch, a, lambda t: t.unfold(1, 3, 3)),
)
of_shape("pixel_shuffle", (8, 64, 32, 32), lambda torch, a: lambda: torch.nn.functional.pixel_shuffle(a, 2))
of_shape("kron", (32, 32), lambda torch, a: lambda: torch.kron(a, a))
of_shape("outer", (1000,), lambda torch, a: lambda: torch.outer(a, a))
of_shape("meshgrid", (1000,), lambda torch, a: lambda: list(torch.meshgrid(a, a, indexing="ij")))
of_shape("unbind and stack", (100, 100), lambda torch, a: lambda: torch.stack(a.unbind(0), 1))
of_shape("chunk and cat", SQUARE, lambda torch, a: lambda: torch.cat(a.chunk(10, 1), 0))


def along(name, make):
    """A workload on a matrix of 1000 x 1000 and rows of it in any order."""

    @workload(GROUP, f"{name}, 1000x1000")
    def prepare(torch):
        return make(torch, torch.rand(SQUARE), torch.randperm(1000))


along("a[index] = a", lambda torch, a, i: lambda: a.index_put((i,), a))
along("a[:, index]", lambda torch, a, i: lambda: a[:, i])
along("index_add(1)", lambda torch, a, i: lambda: a.index_add(1, i, a))
along("index_copy(1)", lambda torch, a, i: lambda: a.index_copy(1, i, a))
along("tril_indices", lambda torch, a, i: lambda: torch.tril_indices(1000, 1000))
along("scatter(0)", lambda torch, a, i: (lambda j: lambda: a.scatter(0, j, a))(a.argsort(0)))
along("avg_pool2d", lambda torch, a, i: lambda: torch.nn.functional.avg_pool2d(a[None], 3))


def indexed(name, make):
    """A workload on 2000 of 10000 rows of 128 floats."""

    @workload(GROUP, f"{name}, 2000 of 10000x128")
    def prepare(torch):
        return make(torch, torch.rand(10_000, 128), torch.randint(0, 10_000, (2000,)))


indexed("embedding", lambda torch, a, i: lambda: torch.nn.functional.embedding(i, a))
indexed("index_select", lambda torch, a, i: lambda: a.index_select(0, i))
indexed("a[index]", lambda torch, a, i: lambda: a[i])
indexed("index_select(1)", lambda torch, a, i: (lambda j: lambda: a.index_select(1, j))(i[:64] % 128))
indexed(
    "embedding both ways",
    lambda torch, a, i: both_ways(torch, a, lambda t: torch.nn.functional.embedding(i, t)),
)
indexed("index_select both ways", lambda torch, a, i: both_ways(torch, a, lambda t: t.index_select(0, i)))
indexed("a[index] both ways", lambda torch, a, i: both_ways(torch, a, lambda t: t[i]))
indexed("index_add", lambda torch, a, i: (lambda s: lambda: a.index_add(0, i, s))(torch.rand(2000, 128)))
indexed("embedding_bag", lambda torch, a, i: lambda: torch.nn.functional.embedding_bag(i.view(200, 10), a))
indexed("one_hot", lambda torch, a, i: (lambda j: lambda: torch.nn.functional.one_hot(j, 100))(i % 100))


@workload(GROUP, "gather, 1000x1000")
def gather(torch):
    a, which = torch.rand(1000, 1000), torch.randint(0, 1000, (1000, 1000))
    return lambda: a.gather(1, which)


@workload(GROUP, "gather, 100000x10")
def gather_short(torch):
    a, which = torch.rand(100_000, 10), torch.randint(0, 10, (100_000, 10))
    return lambda: a.gather(1, which)


@workload(GROUP, "gather(0), 1000x1000")
def gather_rows(torch):
    a, which = torch.rand(1000, 1000), torch.randint(0, 1000, (1000, 1000))
    return lambda: a.gather(0, which)


@workload(GROUP, "scatter, 1000x1000")
def scatter(torch):
    a, which = torch.rand(1000, 1000), torch.rand(1000, 1000).argsort(1)
    return lambda: a.scatter(1, which, a)


@workload(GROUP, "bool scatter, 10000")
def scatter_flags(torch):
    a, which = torch.rand(10_000) > 0.5, torch.randint(0, 10_000, (10_000,))
    return lambda: a.scatter(0, which, a)


@workload(GROUP, "scatter_add, 1000x1000")
def scatter_add(torch):
    a, which = torch.rand(1000, 1000), torch.randint(0, 1000, (1000, 1000))
    return lambda: a.scatter_add(1, which, a)


@workload(GROUP, "a[rows, columns], 1000x1000")
def pairs(torch):
    a, rows, columns = (
        torch.rand(1000, 1000),
        torch.randint(0, 1000, (10_000,)),
        torch.randint(0, 1000, (10_000,)),
    )
    return lambda: a[rows, columns]


@workload(GROUP, "grid_sample, 8x16x64x64")
def grid_sample(torch):
    x, grid = torch.rand(8, 16, 64, 64), torch.rand(8, 64, 64, 2) * 2 - 1
    return lambda: torch.nn.functional.grid_sample(x, grid, align_corners=False)


@workload(GROUP, "grid_sample both ways, 8x16x64x64")
def grid_sample_both(torch):
    grid = torch.rand(8, 64, 64, 2) * 2 - 1
    sample = torch.nn.functional.grid_sample
    return both_ways(torch, torch.rand(8, 16, 64, 64), lambda x: sample(x, grid, align_corners=False))


# ---------------------------------------------------------------- Fourier transforms
def fourier(name, shape, function, real=False):
    """A transform of random numbers."""

    @workload(GROUP, f"{name}, {'x'.join(str(n) for n in shape)}")
    def prepare(torch):
        x = torch.rand(shape) if real else torch.rand(shape, dtype=torch.complex64)
        return lambda: function(torch, x)


fourier("fft", (1024,), lambda torch, x: torch.fft.fft(x))
fourier("fft", (1000,), lambda torch, x: torch.fft.fft(x))
fourier("fft", (1009,), lambda torch, x: torch.fft.fft(x))
fourier("fft", (1_048_576,), lambda torch, x: torch.fft.fft(x))
fourier("fft", (1000, 1024), lambda torch, x: torch.fft.fft(x))
fourier("fft", (1000, 1000), lambda torch, x: torch.fft.fft(x))
fourier("fft2", (512, 512), lambda torch, x: torch.fft.fft2(x))
fourier("fft2", (480, 640), lambda torch, x: torch.fft.fft2(x))
fourier("rfft", (1000, 400), lambda torch, x: torch.fft.rfft(x), real=True)
fourier("rfft", (1000, 512), lambda torch, x: torch.fft.rfft(x), real=True)
fourier("irfft", (1000, 201), lambda torch, x: torch.fft.irfft(x))


@workload(GROUP, "stft, 160000 samples")
def stft(torch):
    x, window = torch.rand(160_000), torch.hann_window(400)
    return lambda: torch.stft(x, 400, 160, window=window, return_complex=True)
