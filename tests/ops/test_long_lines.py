"""Lines long enough to be shared out over threads, or to go through blocks of registers, against NumPy."""

import math

import numpy as np
import pytest

import flambeau as torch

LONG = 70_001
RANDOM = np.random.default_rng(3)


def same(result, expected, **tolerance):
    given = result.numpy()
    assert given.shape == expected.shape
    if tolerance:
        np.testing.assert_allclose(given, expected, **tolerance)
    else:
        np.testing.assert_array_equal(given, expected)


# ---------------------------------------------------------------- writing by position
@pytest.mark.parametrize("low, high", [(0, LONG), (-LONG, LONG), (0, 50)])
def test_the_last_value_for_a_place_stays(low, high):
    index, values = RANDOM.integers(low, high, LONG), RANDOM.random(LONG, dtype=np.float32)
    expected = np.zeros(LONG, np.float32)
    for i, v in zip(index.tolist(), values.tolist()):
        expected[i] = v
    at, from_ = torch.from_numpy(index), torch.from_numpy(values)
    to = torch.zeros(LONG)
    to[at] = from_
    same(to, expected)
    same(torch.zeros(LONG).put_(at, from_), expected)
    if low == 0:
        same(torch.zeros(LONG).scatter_(0, at, from_), expected)
        same(torch.zeros(LONG).index_copy_(0, at, from_), expected)


def test_adding_to_places():
    index, values = RANDOM.integers(0, 300, LONG), RANDOM.integers(-9, 9, LONG).astype(np.float32)
    expected = np.zeros(300, np.float32)
    np.add.at(expected, index, values)
    at, from_ = torch.from_numpy(index), torch.from_numpy(values)
    same(torch.zeros(300).index_add_(0, at, from_), expected)
    same(torch.zeros(300).index_add_(0, at, from_, alpha=-2), -2 * expected)
    same(torch.zeros(300).scatter_add_(0, at, from_), expected)
    same(torch.zeros(300).index_put_((at,), from_, accumulate=True), expected)
    same(torch.zeros(300).put_(at, from_, accumulate=True), expected)
    expected = np.full(300, -np.inf, np.float32)
    np.maximum.at(expected, index, values)
    same(torch.full((300,), -math.inf).scatter_reduce_(0, at, from_, "amax"), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
@pytest.mark.parametrize("step", [1, 3])
def test_adding_to_few_places(dtype, step):
    """Each thread has places of its own; numbers that are exact give the same sums in any order."""
    index, values = RANDOM.integers(0, 40, 2 * LONG), RANDOM.integers(-50, 50, 2 * LONG * step).astype(dtype)
    at, from_ = torch.from_numpy(index), torch.from_numpy(values)[::step]
    expected = np.zeros(64, dtype)
    np.add.at(expected, index, values[::step])
    same(torch.zeros(64, dtype=from_.dtype).scatter_add_(0, at, from_), expected)
    same(torch.zeros(64, dtype=from_.dtype).index_add_(0, at, from_), expected)
    mean = torch.zeros(64, dtype=from_.dtype).scatter_reduce_(0, at, from_, "mean")
    counts = np.bincount(index, minlength=64) + 1
    same(
        mean.double(),
        np.floor_divide(expected, counts)
        if step and dtype in (np.int64, np.int32)
        else (expected / counts.astype(dtype)).astype(np.float64),
        rtol=1e-6,
        atol=1e-12,
    )
    again = torch.full((64,), 7, dtype=from_.dtype).scatter_reduce_(0, at, from_, "amax", include_self=False)
    assert again[40:].tolist() == [7] * 24
    assert again[:40].tolist() == [values[::step][index == k].max() for k in range(40)]
    signs = torch.full((64,), -0.0).scatter_add_(0, at, torch.full((2 * LONG,), -0.0))
    assert torch.signbit(signs).all()
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.zeros(39, dtype=from_.dtype).scatter_add(0, at, from_)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float64])
def test_running_extremes_with_many_equals(dtype):
    numbers = RANDOM.integers(0, 5, 5000)
    numbers[:100] = np.sort(numbers[:100])
    x = torch.from_numpy(numbers).to(dtype)
    for call, expected in (
        (torch.cummax, np.maximum.accumulate(numbers)),
        (torch.cummin, np.minimum.accumulate(numbers)),
    ):
        values, places = call(x, 0)
        same(values.long(), expected)
        where = np.where(numbers == expected, np.arange(len(numbers)), 0)  # the last of equal ones
        same(places, np.maximum.accumulate(where))


def test_error_function_of_doubles():
    x = np.concatenate([RANDOM.normal(size=999), np.linspace(-7, 7, 1001), 10.0 ** np.arange(-320, 3)])
    given = torch.erf(torch.from_numpy(x)).numpy()
    exact = np.array([math.erf(v) for v in x])
    assert (np.abs(given - exact) <= 2.5 * np.spacing(np.abs(exact))).all()
    ends = torch.erf(
        torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 0.5], dtype=torch.float64)
    ).tolist()
    assert ends[2:4] == [1, -1] and math.isnan(ends[4]) and math.copysign(1, ends[1]) == -1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float16", "bfloat16", "bool"])
@pytest.mark.parametrize("shape, dim", [((9000,), 0), ((700, 20), 1), ((700, 3), 0), ((700, 40), 0)])
def test_adding_narrow_numbers_to_places(dtype, shape, dim):
    size = shape[dim]
    many = np.broadcast_to(RANDOM.integers(0, size, size).reshape([-1] + [1] * (len(shape) - 1 - dim)), shape)
    values, expected = RANDOM.integers(0, 3, shape), np.zeros(shape, np.int64)
    np.add.at(expected, tuple(many if d == dim else k for d, k in enumerate(np.indices(shape))), values)
    x, at = torch.from_numpy(values).to(getattr(torch, dtype)), torch.from_numpy(many.copy())
    expected = (expected != 0) if dtype == "bool" else expected
    nothing = torch.zeros(shape, dtype=x.dtype)
    same(nothing.scatter_add(dim, at, x).double(), expected.astype(np.float64))
    same(nothing.index_add(dim, at.select(1 - dim, 0) if len(shape) > 1 else at, x).double(), expected * 1.0)


@pytest.mark.parametrize("wrong", [-1, 5000])
@pytest.mark.parametrize("shape", [(5000,), (200, 20), (20, 200)])
def test_places_that_are_none(wrong, shape):
    x = torch.zeros(shape)
    for dim in range(len(shape)):
        at = torch.zeros(shape, dtype=torch.int64)
        at[(-1,) * len(shape)] = wrong
        for call in (x.scatter_add, x.scatter):
            with pytest.raises(RuntimeError, match="out of bounds"):
                call(dim, at, x)
        with pytest.raises(RuntimeError, match=f"index {wrong} is out of bounds for dimension {dim}"):
            x.gather(dim, at)


@pytest.mark.parametrize("dim", [0, 1])
def test_slices_and_columns(dim):
    x, values = RANDOM.random((300, 200), dtype=np.float32), RANDOM.random((300, 200), dtype=np.float32)
    index = RANDOM.integers(0, x.shape[dim], x.shape[dim])
    copied, added = x.copy(), x.astype(np.float64)
    for k, i in enumerate(index.tolist()):
        place = (i, slice(None)) if dim == 0 else (slice(None), i)
        source = values[k] if dim == 0 else values[:, k]
        copied[place] = source
        added[place] += source
    a, at, b = torch.from_numpy(x), torch.from_numpy(index), torch.from_numpy(values)
    same(a.index_copy(dim, at, b), copied)
    same(a.index_add(dim, at, b), added.astype(np.float32), rtol=1e-5)
    written = a.clone()
    written[(at,) if dim == 0 else (slice(None), at)] = b
    same(written, copied)
    same(a.index_select(dim, at), x.take(index, dim))
    same(a[(slice(None),) * dim + (at,)], x.take(index, dim))


@pytest.mark.parametrize("source", ["tensor", "number"])
def test_scatter_down_columns(source):
    index = RANDOM.integers(0, 90, (2, 70, 37))
    values = (
        RANDOM.random(index.shape, dtype=np.float32) if source == "tensor" else np.full(index.shape, 2.5, "f")
    )
    expected = np.zeros((2, 90, 37), np.float32)
    for p in range(2):
        for r in range(70):
            expected[p, index[p, r], np.arange(37)] = values[p, r]
    given = torch.from_numpy(values) if source == "tensor" else 2.5
    same(torch.zeros(2, 90, 37).scatter(1, torch.from_numpy(index), given), expected)
    with pytest.raises(RuntimeError, match="index 90 is out of bounds for dimension 1 with size 90"):
        torch.zeros(2, 90, 37).scatter(1, torch.from_numpy(index + (index == 5) * 85), given)


def test_filling_slices():
    a = torch.zeros(3, 40, 5)
    a.index_fill_(1, torch.tensor([-1, 3, 3]), 7)
    assert a.sum((0, 2)).nonzero().flatten().tolist() == [3, 39]
    assert a.sum() == 2 * 15 * 7
    whole = torch.zeros(LONG, dtype=torch.int64).index_fill(0, torch.arange(LONG - 1, -LONG, -2), -4)
    assert (whole == -4).all()
    same(
        torch.zeros(4, 3).t().index_fill_(0, torch.tensor([1]), 2),
        np.array([[0.0] * 4, [2] * 4, [0] * 4], "f"),
    )
    with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 0 with size 3"):
        torch.zeros(3).index_fill_(0, torch.tensor([0, 3]), 1)


def test_counts_of_many_numbers():
    numbers = RANDOM.integers(0, 60_000, LONG)
    expected = np.bincount(numbers)
    for dtype in (torch.int64, torch.int32):
        same(torch.bincount(torch.from_numpy(numbers).to(dtype)), expected)


def test_unique_neighbours():
    numbers = np.repeat(RANDOM.integers(0, 4, LONG // 3), 3)
    values, inverse, counts = torch.unique_consecutive(torch.from_numpy(numbers), True, True)
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    same(values, numbers[starts])
    same(counts, np.diff(np.r_[starts, numbers.size]))
    same(values[inverse], numbers)
    long_runs = np.r_[np.arange(300), np.full(500, 7), np.arange(300), np.full(70, 2)]
    for dtype in (np.int64, np.int32, np.float64):
        values, counts = torch.unique_consecutive(torch.from_numpy(long_runs.astype(dtype)), False, True)
        same(values, np.r_[np.arange(300), 7, np.arange(300), 2].astype(dtype))
        same(counts, np.r_[np.ones(300), 500, np.ones(300), 70].astype(np.int64))
    ones = torch.unique_consecutive(torch.ones(LONG * 2), return_inverse=True, return_counts=True)
    assert ones[0].tolist() == [1.0] and ones[1].sum() == 0 and ones[2].tolist() == [LONG * 2]
    assert [
        t.tolist() for t in torch.unique_consecutive(torch.tensor([], dtype=torch.int64), True, True)
    ] == [[]] * 3


# ---------------------------------------------------------------- running sums, folds, copies
@pytest.mark.parametrize(
    "dtype", ["int32", "int64", "float32", "float64", "float16", "bfloat16", "complex64"]
)
@pytest.mark.parametrize("width", [15, 16, 257, 600])
def test_running_folds_of_many_columns(dtype, width):
    numbers = RANDOM.integers(-3, 4, (2, 40, width))
    x = torch.from_numpy(numbers).to(getattr(torch, dtype))
    same(x.cumsum(1).to(torch.complex128), numbers.cumsum(1).astype(np.complex128))
    signs = torch.from_numpy(np.sign(numbers) + (numbers == 0)).to(x.dtype)
    same(signs.cumprod(1).to(torch.complex128), (np.sign(numbers) + (numbers == 0)).cumprod(1) + 0j)
    if dtype.startswith("float"):
        expected = np.logaddexp.accumulate(numbers.astype(np.float64), axis=1)
        found = x.logcumsumexp(1).double().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5 if dtype != "float16" else 1e-2)


def test_running_sum_along_one_element_of_any_stride():
    x = torch.arange(32.0).as_strided((1, 2, 16), (999, 16, 1))
    same(x.cumsum(0), x.numpy())
    same(x.cumsum(1)[0, 1], np.arange(16) * 2 + 16)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float16"])
def test_running_sums_of_a_long_line(dtype):
    numbers = RANDOM.integers(0, 2, LONG * 2).astype(dtype)
    if dtype == "float16":
        numbers = numbers[:1500]
    result = torch.from_numpy(numbers).cumsum(0)
    assert result.dtype == (getattr(torch, dtype) if dtype.startswith("float") else torch.int64)
    same(result.double(), numbers.astype(np.float64).cumsum())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "uint32"])
@pytest.mark.parametrize("shape", [(1300,), (40, 1300), (1300, 40), (900, 3)])
def test_running_sums_wrap_around(dtype, shape):
    numbers = RANDOM.integers(0, 100, shape).astype(dtype)
    x = torch.from_numpy(numbers)
    for dim in range(len(shape)):
        same(x.cumsum(dim, dtype=x.dtype), numbers.cumsum(dim, dtype=dtype))
        same(x.cumprod(dim, dtype=x.dtype), numbers.cumprod(dim, dtype=dtype))
        turned = x.t().cumsum(len(shape) - 1 - dim, dtype=x.dtype)
        same(turned, numbers.cumsum(dim, dtype=dtype).T)


def test_running_sums_of_half_rows():
    rows = RANDOM.integers(-1, 2, (3, 1300)).astype(np.float16)
    same(torch.from_numpy(rows).cumsum(1), rows.cumsum(1, dtype=np.float32).astype(np.float16))
    same(torch.from_numpy(rows).t().cumsum(0), rows.T.cumsum(0, dtype=np.float32).astype(np.float16))


def test_folds_of_turned_tensors():
    x = RANDOM.integers(-50, 50, (60, 70, 80)).astype(np.float32)
    a = torch.from_numpy(x).permute(2, 0, 1)
    assert a.sum().item() == x.sum() and a.amax().item() == x.max() and a.any().item()
    same(a.sum((0, 1)), x.sum((0, 2)))
    assert a.argmax().item() == x.transpose(2, 0, 1).argmax()
    expanded = torch.from_numpy(x[0, 0]).expand(500, 80)
    assert expanded.sum().item() == 500 * x[0, 0].sum()


@pytest.mark.parametrize("shift", [1, 3, 12, 64])
def test_copies_that_straddle_lines(shift):
    x = RANDOM.random(LONG, dtype=np.float32)
    a = torch.from_numpy(x)
    same(torch.nn.functional.pad(a, (shift, 2)), np.pad(x, (shift, 2)))
    same(a.repeat(3), np.tile(x, 3))
    same(torch.cat((a[shift:], a[:shift])), np.r_[x[shift:], x[:shift]])
    same(a[shift:].clone(), x[shift:])


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64", "uint8", "bool"])
def test_to_halves(dtype):
    x = (RANDOM.random(1003) * 200).astype(dtype)
    same(torch.from_numpy(x).half(), x.astype(np.float32).astype(np.float16))
    same(torch.from_numpy(x).bfloat16().float(), torch.from_numpy(x).float().bfloat16().float().numpy())


# ---------------------------------------------------------------- distances, pooling, triangles
@pytest.mark.parametrize("p", [0, 1, 2, math.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances(p, dtype):
    a, b = (RANDOM.integers(-3, 4, shape).astype(dtype) for shape in ((2, 75, 150), (2, 301, 150)))
    apart = a[:, :, None] - b[:, None]
    expected = np.linalg.norm(apart.astype(np.float64), p, -1).astype(dtype)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    mode = "donot_use_mm_for_euclid_dist"
    same(torch.cdist(x, y, p, mode), expected, rtol=1e-6)
    same(torch.cdist(x.requires_grad_(), y, p, mode).detach(), expected, rtol=1e-6)
    rows = b[0]
    first, second = np.triu_indices(len(rows), 1)
    expected = np.linalg.norm((rows[first] - rows[second]).astype(np.float64), p, -1).astype(dtype)
    same(torch.pdist(torch.from_numpy(rows), p), expected, rtol=1e-6)


def test_distances_keep_nan():
    a, b = torch.tensor([[1.0, math.nan], [1.0, 2.0]]), torch.zeros(40, 2)
    for p in (1, 2, math.inf):
        result = torch.cdist(a, b, p, "donot_use_mm_for_euclid_dist")
        assert result[0].isnan().all() and not result[1].isnan().any()
    assert torch.cdist(torch.zeros(3, 0), torch.zeros(2, 0), 1).tolist() == [[0.0, 0.0]] * 3
    assert torch.pdist(torch.zeros(1, 4)).shape == (0,)


def test_pooling_one_large_picture():
    x = RANDOM.integers(0, 99, (1, 240, 240)).astype(np.float32)
    windows = x.reshape(1, 80, 3, 80, 3)
    a = torch.from_numpy(x)
    same(torch.nn.functional.avg_pool2d(a, 3), windows.mean((2, 4)), rtol=1e-6)
    values, where = torch.nn.functional.max_pool2d(a.double(), 3, return_indices=True)
    same(values, windows.max((2, 4)).astype(np.float64))
    same(a.double().flatten()[where.flatten()], windows.max((2, 4)).astype(np.float64).ravel())


@pytest.mark.parametrize(
    "rows, columns, offset", [(4, 3, 0), (3, 5, 1), (3, 5, -2), (4, 2, 9), (4, 2, -9), (0, 3, 0)]
)
def test_triangles(rows, columns, offset):
    for ours, theirs in ((torch.tril_indices, np.tril_indices), (torch.triu_indices, np.triu_indices)):
        same(
            ours(rows, columns, offset),
            np.stack(theirs(rows, offset, columns)).astype(np.int64).reshape(2, -1),
        )
    assert torch.tril_indices(3, 3, dtype=torch.int32).dtype == torch.int32


# ---------------------------------------------------------------- functions in registers
def test_inverse_error_function():
    x = np.r_[-0.999999, np.linspace(-0.99, 0.99, 61), 1 - 1e-12]
    y = torch.erfinv(torch.from_numpy(x))
    same(torch.erf(y[:-1]), x[:-1], rtol=1e-14)
    same(torch.erfc(y[-1:]), 1 - x[-1:], rtol=1e-9)
    single = torch.erfinv(torch.from_numpy(x[:-1].astype(np.float32)))
    expected = torch.erfinv(torch.from_numpy(x[:-1].astype(np.float32).astype(np.float64)))
    same(single.double(), expected.numpy(), rtol=6e-7)
    assert torch.erfinv(torch.tensor([1.0, -1.0, 0.0])).tolist() == [math.inf, -math.inf, 0.0]
    assert torch.erfinv(torch.tensor([1.5, math.nan])).isnan().all()


def test_gamma_functions():
    x = np.r_[0.01, 0.5, np.linspace(0.9, 3.1, 45), 7.9, 8.1, 1e3, 1e30, -0.5, -2.25].astype(np.float32)
    exact = torch.from_numpy(x.astype(np.float64))
    same(torch.lgamma(torch.from_numpy(x)).double(), torch.lgamma(exact).numpy(), rtol=2e-7)
    same(torch.digamma(torch.from_numpy(x)).double(), torch.digamma(exact).numpy(), rtol=2e-7, atol=1e-9)
    edges = torch.tensor([1.0, 2.0, 0.0, math.inf, -3.0])
    assert torch.lgamma(edges).tolist() == [0.0, 0.0, math.inf, math.inf, math.inf]
    for dtype in (torch.float32, torch.float64):
        assert not torch.lgamma(torch.ones(9, dtype=dtype)).signbit().any()  # 0, not -0
    assert torch.digamma(torch.tensor([0.0, -0.0, math.inf])).tolist() == [-math.inf, math.inf, math.inf]
    assert torch.digamma(torch.tensor([-1.0, math.nan])).isnan().all()


def test_neighbours():
    numbers = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3.4028235e38, math.inf, -math.inf, math.nan, 5.0]
    x = np.array([a for a in numbers for _ in numbers])
    y = np.array(numbers * len(numbers))
    for dtype in ("float32", "float64"):
        a, b = x.astype(dtype), y.astype(dtype)
        result, expected = (
            torch.nextafter(torch.from_numpy(a), torch.from_numpy(b)).numpy(),
            np.nextafter(a, b),
        )
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(np.signbit(result[result == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_in_registers(dtype):
    z = (RANDOM.normal(size=53) + 1j * RANDOM.normal(size=53)).astype(dtype)
    z[:4] = [0, -1, complex(-1, -0.0), 1j]
    a = torch.from_numpy(z)
    same(a.angle(), np.angle(z), rtol=1e-6)
    same(a.conj().resolve_conj(), z.conj())
    length, turn = np.abs(z), np.angle(z)
    same(
        torch.polar(torch.from_numpy(length), torch.from_numpy(turn)),
        length * np.exp(1j * turn),
        rtol=2e-6,
        atol=1e-6,
    )
    same(a[::2].angle(), np.angle(z[::2]), rtol=1e-6)


# ---------------------------------------------------------------- whole registers and what is left over
@pytest.mark.parametrize("n", [1, 31, 32, 33, 67, 1000])
def test_comparisons_write_every_byte(n):
    for dtype in (np.float32, np.float64):
        a, b = RANDOM.integers(0, 3, (2, n)).astype(dtype)
        a[::5] = np.nan
        x, y = torch.from_numpy(a), torch.from_numpy(b)
        same(x > y, a > b)
        same(x == y, a == b)
        same(x.isnan(), np.isnan(a))


@pytest.mark.parametrize("n", [1, 33, 1000])
def test_products_of_bytes_wrap(n):
    for dtype in (np.uint8, np.int8):
        a, b = RANDOM.integers(0, 256, (2, n)).astype(np.uint8).view(dtype)
        same(torch.from_numpy(a) * torch.from_numpy(b), a * b)
        same(torch.from_numpy(a[::2].copy())[:] * 3, a[::2] * dtype(3))


def test_bool_to_other_types():
    a = RANDOM.integers(0, 2, 1003).astype(bool)
    for dtype in (np.float32, np.float64, np.int64, np.int16, np.uint8):
        same(torch.from_numpy(a).to(getattr(torch, np.dtype(dtype).name)), a.astype(dtype))
    any_byte = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).view(torch.bool)
    assert any_byte.to(torch.float32).tolist() == [0, 1, 1, 1]


def test_clamp_keeps_what_is_no_number():
    a = RANDOM.standard_normal(1003).astype(np.float32)
    a[::7] = np.nan
    same(torch.from_numpy(a).clamp(-0.5, 0.5), np.clip(a, np.float32(-0.5), np.float32(0.5)))
    assert torch.from_numpy(a).clamp(math.nan, 0.5).isnan().all()
    same(torch.nn.functional.leaky_relu(torch.from_numpy(a), 0.1), np.where(a > 0, a, a * np.float32(0.1)))


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.complex128])
def test_masked_scatter_and_runs(dtype):
    n = LONG
    a, source = RANDOM.integers(0, 3, (2, n)).astype(dtype)
    mask = RANDOM.integers(0, 2, n).astype(bool)
    expected = a.copy()
    expected[mask] = source[: mask.sum()]
    same(torch.from_numpy(a).masked_scatter(torch.from_numpy(mask), torch.from_numpy(source)), expected)
    if dtype is np.complex128:
        return
    new = np.r_[True, a[1:] != a[:-1]]
    values, inverse, counts = torch.unique_consecutive(torch.from_numpy(a), True, True)
    same(values, a[new])
    same(inverse, np.cumsum(new) - 1)
    same(counts, np.diff(np.r_[np.flatnonzero(new), n]))
    same(torch.unique_consecutive(torch.from_numpy(np.zeros(n, dtype))), np.zeros(1, dtype))


# ---------------------------------------------------------------- folds that take a shorter way
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("n", [31, 257, 4097, LONG])
def test_both_extremes(dtype, n):
    numbers = RANDOM.integers(3, 120, n).astype(dtype)
    for low, high in ((0, n - 1), (n - 1, 0), (n // 2, n // 3)):
        given = numbers.copy()
        given[low], given[high] = 1, 125
        x = torch.from_numpy(given)
        assert [v.item() for v in torch.aminmax(x)] == [1, 125]
        assert [x.amin().item(), x.amax().item()] == [1, 125]
        assert [v.tolist() for v in torch.aminmax(x.view(1, n), dim=1)] == [[1], [125]]


@pytest.mark.parametrize(
    "shape, dim", [((4096,), 0), ((2001,), 0), ((64, 64), 0), ((64, 66), 1), ((16, 3, 64), 2)]
)
def test_products_of_complex_numbers(shape, dim):
    turns = np.exp(2j * np.pi * RANDOM.random(shape))
    x = torch.from_numpy(turns.astype(np.complex64))
    same(x.prod(dim), turns.prod(dim), atol=1e-4)
    same(x.prod(dim, keepdim=True), turns.prod(dim, keepdims=True), atol=1e-4)
    same(x.prod(), turns.prod(), atol=1e-4)
    same(x.transpose(0, -1).prod(0), turns.swapaxes(0, -1).prod(0), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_halves_without_nan(dtype):
    x = torch.arange(4000).remainder(7).to(dtype).view(4, 1000)
    assert x.nansum(1).tolist() == x.float().sum(1).to(dtype).tolist()
    x[2, 5], x[3, 0], x[3, 1] = math.nan, math.inf, math.nan
    assert x.nansum(1).tolist() == x.float().nansum(1).to(dtype).tolist()
    assert x.nansum().item() == math.inf


@pytest.mark.parametrize(
    "left, right", [((32, 32), (32, 32)), ((40, 2), (50, 20)), ((2, 3, 20), (4, 5, 6)), ((20,), (3, 4))]
)
def test_kronecker_products(left, right):
    a, b = RANDOM.random(left, dtype=np.float32), RANDOM.random(right, dtype=np.float32)
    x, y = torch.from_numpy(a).requires_grad_(), torch.from_numpy(b).requires_grad_()
    same(torch.kron(x, y).detach(), np.kron(a, b))
    torch.kron(x, y).sum().backward()
    same(x.grad, np.full(left, b.sum()), rtol=1e-5)
    same(y.grad, np.full(right, a.sum()), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_histogram_of_edges_and_what_is_outside(dtype):
    edges = torch.from_numpy(np.array([-1, 0, 0.5, 2], dtype))
    x = torch.from_numpy(np.array([-1, 0, 0.5, 2, 2, 2.5, -3, math.nan, math.inf, -math.inf, 1], dtype))
    assert torch.histogram(x, edges).hist.tolist() == [1, 1, 4]
    weight = torch.arange(11).to(x.dtype)
    assert torch.histogram(x, edges, weight=weight).hist.tolist() == [0, 1, 2 + 3 + 4 + 10]
    open_end = torch.from_numpy(np.array([0, 2, math.inf], dtype))
    assert torch.histogram(x, open_end).hist.tolist() == [3, 4]
