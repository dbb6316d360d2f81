"""Sorting, selecting, searching and indexing, at sizes where other code runs than for a handful of values."""

import itertools
import math

import numpy as np
import pytest

import flambeau as fb

# Sizes on both sides of insertion, digits of 8 and of 11 bits, and several threads.
SIZES = [1, 2, 48, 49, 1000, 4095, 4097, 70_001]


def cases(n):
    """Lines of n values that are hard to order: many equal ones, both zeros, NaN, infinities."""
    whole = [(i * 7919) % 53 - 20 for i in range(n)]
    floats = [
        math.nan if v == -20 else -0.0 if v == 3 else 0.0 if v == 4 else -math.inf if v == 5 else v / 8
        for v in whole
    ]
    return {"whole": whole, "floats": floats, "wide": [v * 10**16 + v for v in whole]}


def key(v):
    return (1, 0.0) if v != v else (0, v)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(n, descending):
    for name, line in cases(n).items():
        # Python's sort keeps equal values in order, with reverse=True as well
        order = sorted(range(n), key=lambda i: key(line[i]), reverse=descending)
        values, indices = fb.sort(fb.tensor(line), stable=True, descending=descending)
        assert indices.tolist() == order, name
        assert [repr(v) for v in values.tolist()] == [repr(v) for v in fb.tensor(line)[indices].tolist()]


@pytest.mark.parametrize(
    "dtype", [fb.int8, fb.uint8, fb.int16, fb.int32, fb.float16, fb.bfloat16, fb.float64, fb.bool]
)
def test_sort_of_other_types(dtype):
    line = fb.tensor(cases(4097)["whole"]).to(dtype)
    values, indices = fb.sort(line, stable=True)
    plain = line.tolist()
    assert indices.tolist() == sorted(range(len(plain)), key=plain.__getitem__)
    assert values.dtype is dtype
    assert values.tolist() == sorted(plain)


def test_sort_along_the_first_dimension():
    x = fb.tensor(cases(300)["whole"]).view(100, 3)
    values, indices = x.sort(dim=0, stable=True)
    for column in range(3):
        line = x[:, column].tolist()
        assert indices[:, column].tolist() == sorted(range(100), key=line.__getitem__)
        assert values[:, column].tolist() == sorted(line)


def test_topk_among_equals():
    # golden: which of the equal values PyTorch 2.13 takes
    x = fb.tensor([(i * 7919) % 10 for i in range(400)])
    assert fb.topk(x, 3)[1].tolist() == [21, 1, 11]
    assert fb.topk(x, 12)[1].tolist() == [251, 351, 221, 81, 231, 71, 241, 61, 391, 41, 271, 281]


@pytest.mark.parametrize("n", [5, 300, 5000, 70_001])
@pytest.mark.parametrize("k", [1, 4])
def test_topk_and_kthvalue(n, k):
    x = fb.tensor([math.sin(i * 1.7) for i in range(n)], dtype=fb.float64)
    order = sorted(range(n), key=x.tolist().__getitem__)
    assert fb.topk(x, k, largest=False)[1].tolist() == order[:k]
    assert fb.topk(x, k)[1].tolist() == order[::-1][:k]
    assert fb.kthvalue(x, k)[1].item() == order[k - 1]
    assert fb.median(x, 0)[1].item() == order[(n - 1) // 2]


def test_median_and_nan():
    x = fb.tensor(cases(1000)["floats"])
    assert math.isnan(x.median().item())
    assert x.median(0)[1].item() == next(i for i, v in enumerate(x.tolist()) if v != v)
    rest = sorted(v for v in x.tolist() if v == v)
    assert x.nanmedian().item() == rest[(len(rest) - 1) // 2]


@pytest.mark.parametrize("scale", [1, 10**12])
def test_unique(scale):
    line = [v * scale for v in cases(5000)["whole"]]
    values, inverse, counts = fb.unique(fb.tensor(line), return_inverse=True, return_counts=True)
    assert values.tolist() == sorted(set(line))
    assert values[inverse].tolist() == line
    assert counts.tolist() == [line.count(v) for v in sorted(set(line))]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(n, right):
    row = sorted((i * 7919) % 31 for i in range(n))
    places = [*range(-1, 33), math.inf, math.nan]
    found = fb.searchsorted(fb.tensor(row, dtype=fb.float32), fb.tensor(places), right=right).tolist()
    before = (lambda v, x: x != x or v <= x) if right else (lambda v, x: x != x or v < x)
    assert found == [sum(before(v, x) for v in row) for x in places]


# ---------------------------------------------------------------- indexing
@pytest.mark.parametrize("n", [10, 5000, 70_000])
def test_indexing_reads_and_writes(n):
    x = fb.arange(n) * 3
    at = fb.tensor([(i * 7919) % n for i in range(n)])
    expected = [v * 3 for v in at.tolist()]
    assert x[at].tolist() == expected
    assert x[at - n].tolist() == expected
    assert x.take(at).tolist() == expected
    assert x.gather(0, at).tolist() == expected
    assert x.index_select(0, at).tolist() == expected
    y = fb.zeros(n, dtype=fb.int64)
    y[at] = x
    last = dict(zip(at.tolist(), x.tolist(), strict=True))  # of several writes the last stays
    assert y.tolist() == [last.get(i, 0) for i in range(n)]
    total = fb.zeros(n, dtype=fb.int64).index_add(0, at, x)
    assert total.tolist() == fb.zeros(n, dtype=fb.int64).scatter_add(0, at, x).tolist()
    assert total.sum().item() == x.sum().item()


@pytest.mark.parametrize("bad", [-5001, 5000])
def test_index_out_of_range_writes_nothing(bad):
    x, at = fb.zeros(5000), fb.arange(5000)
    at[4000] = bad
    with pytest.raises(IndexError, match=f"index {bad} is out of bounds for dimension 0 with size 5000"):
        x[at] = 1.0
    assert x.sum().item() == 0
    with pytest.raises(IndexError):
        x[at]
    with pytest.raises(RuntimeError, match=f"index {bad} is out of bounds"):
        x.gather(0, at)


def test_nonzero_of_many():
    x = fb.arange(60_000).view(3, 20_000) % 7 == 0
    expected = [[i // 20_000, i % 20_000] for i in range(0, 60_000, 7)]
    assert x.nonzero().tolist() == expected
    assert x.view(-1).nonzero().view(-1).tolist() == list(range(0, 60_000, 7))
    assert fb.tensor(True).nonzero().shape == (1, 0)


def test_index_add_of_rows():
    x, rows = fb.ones(4, 3, 2), fb.arange(18.0).view(3, 3, 2)
    got = x.index_add(0, fb.tensor([1, 3, 1]), rows, alpha=2)
    assert got[1].tolist() == (1 + 2 * (rows[0] + rows[2])).tolist()
    assert got[3].tolist() == (1 + 2 * rows[1]).tolist()
    assert got[0].tolist() == [[1, 1]] * 3
    assert fb.zeros(4, 3).index_add(1, fb.tensor([2, 0]), fb.ones(4, 2)).tolist() == [[1, 0, 1]] * 4


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("n", [1, 100, 513, 3000, 20_000])
def test_median_and_kthvalue_of_few_different_numbers(n, dtype):
    for most in (1, 3, 100, 30_000):
        x = (
            np.random.default_rng(n)
            .integers(0, min(most, 250 if dtype == "uint8" else most), n)
            .astype(dtype)
        )
        order = np.argsort(x, kind="stable")
        t = fb.tensor(x)
        value, place = t.median(0)
        assert value.item() == x[order[(n - 1) // 2]] and place.item() == order[(n - 1) // 2]
        for k in {1, n // 3 + 1, n}:
            value, place = t.kthvalue(k)
            assert value.item() == x[order[k - 1]] and place.item() == order[k - 1]


@pytest.mark.parametrize("ends", [[], [-(2**63), 2**63 - 1], [-(2**40)], [2**31, 2**33]])
def test_median_of_small_numbers_of_either_sign(ends):
    x = np.r_[np.random.default_rng(5).integers(-400, 400, 3000), np.array(ends, np.int64)]
    order = np.argsort(x, kind="stable")
    t = fb.tensor(x)
    assert t.median().item() == t.nanmedian().item() == x[order[(x.size - 1) // 2]]
    for k in (1, 2, 1500, x.size - 1, x.size):
        value, place = t.kthvalue(k)
        assert [value.item(), place.item()] == [x[order[k - 1]], order[k - 1]]


@pytest.mark.parametrize("length", [2, 3, 4, 5])
@pytest.mark.parametrize("descending", [False, True])
def test_lines_of_few(length, descending):
    """Equal values keep their order, NaN is the greatest, -0.0 is 0.0, whichever of few stands where."""
    lines = list(itertools.product([0.0, -0.0, 1.5, math.nan], repeat=length))
    keys = [[math.inf if math.isnan(v) else v for v in line] for line in lines]
    expected = [sorted(range(length), key=lambda i: -line[i] if descending else line[i]) for line in keys]
    for dtype in (fb.float32, fb.float64):
        x = fb.tensor(lines, dtype=dtype)
        assert fb.sort(x, dim=1, descending=descending, stable=True).indices.tolist() == expected
        across = fb.sort(x.t(), dim=0, descending=descending, stable=True)
        assert across.indices.t().tolist() == expected


@pytest.mark.parametrize("length", [49, 130, 5000])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.int64])
def test_lines_in_order_already(length, dtype):
    """Rising, falling, and either with equal values or one that stands elsewhere."""
    rising = list(range(length))
    stairs = [i // 3 for i in rising]
    last = [*rising[1:], 0]
    for line in (rising, stairs, last):
        for values in (line, line[::-1], [-v for v in line]):
            x = fb.tensor(values).to(dtype)
            for descending in (False, True):
                order = sorted(range(length), key=lambda i: -values[i] if descending else values[i])
                found = fb.sort(x, stable=True, descending=descending)
                assert found.indices.tolist() == order
                assert found.values.equal(x[fb.tensor(order)])
