"""Statistics, counting, differences and integrals: values of PyTorch 2.13."""

import math

import numpy as np
import pytest

import flambeau as fb

from .compare import same

A = fb.tensor([[3.0, 1, 2], [6, 5, 4]])
N = fb.tensor([1.0, math.nan, 3.0])
V = fb.tensor([1, 4, 9, 16])

CASES = [
    ("fb.nanmean(N)", 2.0),
    ("A.quantile(0.5)", 3.5),
    ("A.quantile(fb.tensor([0.25, 0.6]), dim=1)", [[1.5, 4.5], [2.2, 5.2]]),
    ("A.quantile(0.4, dim=0, keepdim=True, interpolation='nearest')", [[3.0, 1.0, 2.0]]),
    ("A.quantile(0.4, 1, interpolation='midpoint')", [1.5, 4.5]),
    ("N.nanquantile(0.5)", 2.0),
    ("N.quantile(0.5)", math.nan),
    ("fb.bincount(fb.tensor([1, 3, 1]))", [0, 2, 0, 1]),
    (
        "fb.bincount(fb.tensor([1, 3, 1]), fb.tensor([0.5, 1, 2]), minlength=5)",
        [0.0, 2.5, 0.0, 1.0, 0.0],
    ),
    ("fb.histc(A, 4)", [2.0, 1.0, 1.0, 2.0]),
    ("fb.histc(A, 3, 2, 5)", [1.0, 1.0, 2.0]),
    ("fb.histogram(A, 3)", [[2.0, 2.0, 2.0], [1.0, 2.666667, 4.333333, 6.0]]),
    (
        "fb.histogram(A, fb.tensor([0.0, 2, 6]), density=True)",
        [[0.08333334, 0.2083333], [0.0, 2.0, 6.0]],
    ),
    ("fb.histogramdd(A.T, [2, 2])", [[[0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]),
    ("fb.cov(A)", [[1.0, 0.5], [0.5, 1.0]]),
    ("fb.cov(A, correction=0, fweights=fb.tensor([1, 2, 1]))", [[0.6875, 0.25], [0.25, 0.5]]),
    ("fb.cov(A, aweights=fb.tensor([0.5, 1, 0.2]))", [[1.4375, 0.625], [0.625, 0.6875]]),
    ("fb.corrcoef(A)", [[1.0, 0.5], [0.5, 1.0]]),
    ("fb.diff(V)", [3, 5, 7]),
    ("fb.diff(V, n=2, prepend=fb.tensor([0]))", [2, 2, 2]),
    ("fb.diff(A, dim=0)", [[3.0, 4.0, 2.0]]),
    ("fb.gradient(V.float())", [[3.0, 4.0, 6.0, 7.0]]),
    (
        "fb.gradient(V.float(), spacing=(fb.tensor([0.0, 1, 3, 4]),), edge_order=2)",
        [[3.166667, 2.833333, 5.5, 8.500001]],
    ),
    ("fb.gradient(A, spacing=2.0, dim=1)", [[[-1.0, -0.25, 0.5], [-0.5, -0.5, -0.5]]]),
    ("fb.trapezoid(A)", [3.5, 10.0]),
    ("fb.trapezoid(A, fb.tensor([0.0, 1, 3]))", [5.0, 14.5]),
    ("fb.cumulative_trapezoid(A, dx=0.5)", [[1.0, 1.75], [2.75, 5.0]]),
    ("fb.segment_reduce(A.flatten(), 'max', lengths=fb.tensor([2, 1, 3]))", [3.0, 2.0, 6.0]),
    ("fb.segment_reduce(A.flatten(), 'mean', lengths=fb.tensor([2, 0, 4]))", [2.0, math.nan, 4.25]),
    (
        "fb.segment_reduce(A.flatten(), 'sum', lengths=fb.tensor([2, 0, 4]), initial=1.0)",
        [5.0, 1.0, 18.0],
    ),
    ("fb.logspace(0, 2, 3)", [1.0, 10.0, 100.0]),
    ("fb.logspace(0, 3, 4, base=2, dtype=fb.int64)", [1, 2, 4, 8]),
    ("fb.tril_indices(3, 3)", [[0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]]),
    ("fb.triu_indices(2, 3, 1)", [[0, 0, 1], [1, 2, 2]]),
    ("fb.fft.fftfreq(5, 0.5)", [0.0, 0.4, 0.8, -0.8, -0.4]),
    ("fb.fft.rfftfreq(4)", [0.0, 0.25, 0.5]),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: A.quantile(1.5), "must be in the range"),
        (lambda: A.int().quantile(0.5), "either float or double dtype"),
        (lambda: fb.bincount(fb.tensor([-1])), "1-d non-negative integral"),
        (lambda: fb.cov(fb.ones(1, 1, 1)), "two or fewer dimensions"),
        (lambda: fb.diff(fb.tensor(1)), "at least one-dimensional"),
        (lambda: fb.gradient(A, edge_order=3), "edge_order"),
    ],
)
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_sums_of_many_half_values(dtype):
    # more values than one thread takes: parts are joined
    x = fb.full((200_000,), 0.25, dtype=dtype)
    assert x.sum().item() == fb.tensor(50_000.0).to(dtype).item()
    assert x.mean().item() == 0.25
    assert x.view(400, 500).sum(0).tolist() == [100.0] * 500
    assert x.view(400, 500).sum(1).tolist() == [125.0] * 400
    assert x.nansum().item() == x.sum().item()


@pytest.mark.parametrize("n", [5, 33, 64, 100, 1000, 70_001])
def test_extremes_find_nan_everywhere(n):
    for place in {0, 1, n // 2, n - 2, n - 1}:
        x = fb.arange(float(n)) - n / 2
        assert (x.max().item(), x.min().item()) == (n - 1 - n / 2, -n / 2)
        assert x.norm(float("inf")).item() == max(n - 1 - n / 2, n / 2)
        x[place] = float("nan")
        for value in (x.max(), x.min(), x.amax(0), x.half().amin(0), x.double().max(), x.norm(float("inf"))):
            assert value.isnan().item()
        assert x.argmax().item() == place


@pytest.mark.parametrize("n", [10, 1000, 100_000])
def test_parts_join_to_the_whole(n):
    x = fb.arange(float(n)) % 97 - 40
    line = x.tolist()
    mean = sum(line) / n
    assert x.double().var(correction=0).item() == pytest.approx(sum((v - mean) ** 2 for v in line) / n)
    assert x.count_nonzero().item() == sum(v != 0 for v in line)
    assert (x > 3).sum().item() == sum(v > 3 for v in line)
    assert x.norm(1).item() == pytest.approx(sum(abs(v) for v in line), rel=1e-6)
    assert (x * 0 + 1).prod().item() == 1
    assert x.nansum().item() == sum(line)


def test_places_of_extremes_side_by_side():
    x = (fb.arange(60_000.0) * 7919 % 1009).view(200, 300)
    x[17, 5] = x[30, 5] = float("nan")
    best = x.argmax(0).tolist()
    rows = x.tolist()
    for c in range(300):
        column = [r[c] for r in rows]
        want = 17 if c == 5 else column.index(max(column))
        assert best[c] == want
    assert x.max(0)[1].tolist() == best


@pytest.mark.parametrize(
    "dtype",
    [fb.uint8, fb.int8, fb.int16, fb.int32, fb.int64, fb.float16, fb.bfloat16, fb.float32, fb.float64],
)
@pytest.mark.parametrize("shape", [(5, 7), (33, 300), (200, 3), (2, 4200)])
def test_folds_of_every_type_agree_with_plain_python(dtype, shape):
    rows, columns = shape
    low = 0 if dtype == fb.uint8 else -9
    table = [[(7 * i + 5 * j * j) % 19 + low for j in range(columns)] for i in range(rows)]
    x = fb.tensor(table).to(dtype)
    for y in (x, x.t().contiguous().t()):
        for dim, lines in ((1, table), (0, [list(c) for c in zip(*table, strict=True)])):
            if dtype not in (fb.float16, fb.bfloat16):  # they cannot hold every sum
                assert y.sum(dim).tolist() == [sum(line) for line in lines]
            assert y.amax(dim).tolist() == [max(line) for line in lines]
            assert y.amin(dim).tolist() == [min(line) for line in lines]
            assert y.argmax(dim).tolist() == [line.index(max(line)) for line in lines]
            assert y.argmin(dim).tolist() == [line.index(min(line)) for line in lines]
            assert y.count_nonzero(dim).tolist() == [sum(v != 0 for v in line) for line in lines]
            assert y.all(dim).tolist() == [all(line) for line in lines]


def test_folds_of_flags_and_complex_numbers():
    flags = fb.arange(1000) % 7 != 0
    assert flags.sum().item() == flags.count_nonzero().item() == 857
    assert not flags.all() and flags.any() and flags.view(100, 10).all(1).sum().item() == 0
    assert flags.long().max() == flags.max().item() and not flags.min()
    z = fb.tensor([3 + 4j, 0j, -5j])
    assert fb.linalg.vector_norm(z, 1).item() == 10 and fb.linalg.vector_norm(z, float("inf")).item() == 5
    assert fb.linalg.vector_norm(z, -float("inf")).item() == 0 and z.count_nonzero().item() == 2
    assert not z.all() and z.any() and z[::2].prod().item() == 20 - 15j
    assert fb.linalg.vector_norm(fb.zeros(0)).item() == 0


def test_running_folds_in_groups_and_blocks():
    x = (fb.arange(1001) * 37 % 101).float()
    whole = [int(v) for v in x.tolist()]
    totals, best, places = [], [], []
    for i, v in enumerate(whole):
        totals.append(v + (totals[-1] if totals else 0))
        new = not best or v >= best[-1]
        best.append(v if new else best[-1])
        places.append(i if new else places[-1])
    assert x.cumsum(0).tolist() == totals and x.int().cumsum(0).tolist() == totals
    assert x.clone().cumsum_(0).tolist() == totals
    values, indices = x.cummax(0)
    assert values.tolist() == best and indices.tolist() == places
    broken = x.clone()
    broken[500] = float("nan")
    values, indices = broken.cummax(0)
    assert values[:500].tolist() == best[:500] and values[500:].isnan().all()
    assert (indices[500:] == 500).all() and indices[499].item() == places[499]


def test_dot_of_many_numbers():
    a = fb.arange(200_001, dtype=fb.float64) % 5
    assert (a @ a).item() == 40_000 * 30 and fb.dot(a.float(), a.float()).item() == 40_000 * 30


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.int32, fb.bool])
@pytest.mark.parametrize("shape", [(70, 60, 40), (3, 5, 7000), (9, 3000, 4), (2, 3, 5)])
def test_folds_over_any_two_dimensions(shape, dtype):
    whole = np.random.default_rng(1).integers(0, 2 if dtype == fb.bool else 50, shape)
    x = fb.from_numpy(whole).to(dtype)
    for dims in ((0, 2), (0, 1), (1, 2), (0,), (1,), (2,)):
        assert np.array_equal(x.sum(dims).numpy(), whole.sum(dims))
        assert np.array_equal(x.sum(dims, dtype=fb.float32).numpy(), whole.sum(dims))
        assert np.array_equal(x.any(dims).numpy(), whole.any(dims))
        assert np.array_equal(fb.count_nonzero(x, dims).numpy(), np.count_nonzero(whole, dims))
        if dtype != fb.bool:
            assert np.array_equal(x.amax(dims).numpy(), whole.max(dims))
            mean = (whole.sum(dims) / (whole.size // whole.sum(dims).size)).astype(np.float32)
            assert np.array_equal(x.float().mean(dims).numpy(), mean)
    if dtype.is_floating_point:
        few = (whole == 7) & (np.arange(shape[2]) < 100)
        product = fb.where(fb.from_numpy(few), -2, 1).to(dtype).prod(2)
        assert np.array_equal(product.numpy(), (-2.0) ** few.sum(2))


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "complex64"])
def test_one_value_repeated(name):
    kind = getattr(fb, name)
    for source, shape in (
        (fb.tensor(3).to(kind), (5, 7)),
        (fb.arange(1, 8).to(kind).reshape(7, 1, 1), (7, 6, 5)),
        (fb.tensor(2).to(kind), (0, 4)),
    ):
        repeated = source.expand(shape)
        plain = repeated.contiguous()
        for dims in (0, 1, -1, (0, 1)):
            for keep in (False, True):
                got, want = repeated.sum(dims, keepdim=keep), plain.sum(dims, keepdim=keep)
                assert got.dtype == want.dtype and got.is_contiguous() and got.equal(want)
        if shape[0] and name != "complex64":
            assert repeated.amax(0).equal(plain.amax(0)) and repeated.argmin(0).equal(plain.argmin(0))
            assert repeated.prod(0).equal(plain.prod(0))
