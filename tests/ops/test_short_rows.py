"""Few values for each of many results; short runs moved, repeated or turned: against NumPy."""

import itertools
import math

import numpy as np
import pytest

import flambeau as torch

NUMBERS = ["float64", "float32", "int64", "int32", "int16", "uint8", "int8"]


def numbers(shape, dtype, seed=0):
    """Whole numbers from 0 to 99, some of them equal."""
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("length", [7, 16, 17, 33, 50, 127, 128, 196, 1000, 1024])
@pytest.mark.parametrize("rows", [1, 5, 16, 37])
def test_products_and_extremes_of_rows(rows, length):
    x = np.random.default_rng(length).uniform(0.9, 1.1, (rows, length))
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        y = x.astype(dtype)
        t = torch.tensor(y)
        product = y.prod(1, dtype="float64")
        assert np.allclose(t.prod(1).numpy(), product, rtol=tolerance, atol=0)
        assert np.allclose(t.t().contiguous().prod(0).numpy(), product, rtol=tolerance, atol=0)
        assert np.array_equal(t.amax(1).numpy(), y.max(1))
        for place in (0, length // 2, length - 1):  # one of them no number
            nan = t.clone()
            nan[rows // 2, place] = math.nan
            least = nan.amin(1)
            assert least.isnan().tolist() == [r == rows // 2 for r in range(rows)]
            assert nan.prod(1).isnan().tolist() == least.isnan().tolist()
    z = x + 1j * x[:, ::-1]
    for dtype, tolerance in (("complex64", 1e-5), ("complex128", 1e-13)):
        y = torch.tensor(z.astype(dtype))
        assert np.allclose(y.sum(1).numpy(), z.sum(1), rtol=tolerance)


def test_extremes_of_rows_with_infinities():
    for rows in (3, 40):
        x = torch.full((rows, 70), -math.inf)
        assert x.amax(1).tolist() == [-math.inf] * rows
        assert (-x).amin(1).tolist() == [math.inf] * rows
        assert torch.full((rows, 70), -(2**63)).amax(1).tolist() == [-(2**63)] * rows


@pytest.mark.parametrize("step", [2, 3])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_folds_of_numbers_apart(dtype, step):
    for n in (1, 7, 8, 9, 1000, 5001):
        x = numbers((n * step,), dtype)[::step]
        t = torch.tensor(numbers((n * step,), dtype))[::step]
        assert t.amax().item() == x.max() and t.amin().item() == x.min()
        assert t.sum().item() == x.sum(dtype="int64")


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("length", [2, 10, 15, 16, 31, 32, 33, 50, 63, 64, 65, 129, 1030])
def test_folds_of_short_rows(dtype, length):
    x = numbers((3000, length), dtype)
    t = torch.tensor(x)
    assert np.array_equal(t.amax(1).numpy(), x.max(1))
    assert np.array_equal(t.amin(1).numpy(), x.min(1))
    assert np.array_equal(t.argmax(1).numpy(), x.argmax(1))
    assert np.array_equal(t.argmin(1).numpy(), x.argmin(1))
    assert np.array_equal(t.sum(1).numpy().astype("float64"), x.sum(1, dtype="float64"))
    assert np.array_equal((t > 50).any(1).numpy(), (x > 50).any(1))
    assert np.array_equal((t > 50).all(1).numpy(), (x > 50).all(1))
    assert np.array_equal(t.count_nonzero(1).numpy(), np.count_nonzero(x, 1))
    values, places = t.max(1)
    assert np.array_equal(values.numpy(), x.max(1)) and np.array_equal(places.numpy(), x.argmax(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3000, 10), (10, 3000), (50, 40), (7, 300)])
@pytest.mark.parametrize("dim", [0, 1])
def test_extremes_of_half_types(dtype, shape, dim):
    x = numbers(shape, "float32")
    t = torch.tensor(x).to(dtype)
    assert t.amax(dim).dtype == dtype
    assert np.array_equal(t.amax(dim).float().numpy(), x.max(dim))
    assert np.array_equal(t.amin(dim).float().numpy(), x.min(dim))
    assert np.array_equal(t.argmax(dim).numpy(), x.argmax(dim))
    assert np.array_equal(t.min(dim)[1].numpy(), x.argmin(dim))
    t[3, 5] = math.nan
    at = 5 if dim == 0 else 3
    assert t.amax(dim)[at].isnan() and t.argmin(dim)[at] == (3 if dim == 0 else 5)


def test_short_rows_that_do_not_lie_together():
    x = numbers((2000, 3, 8), "int64")
    t = torch.tensor(x)
    assert np.array_equal(t[:, 1, ::2].amax(1).numpy(), x[:, 1, ::2].max(1))
    assert np.array_equal(t.permute(1, 0, 2).amin(2).numpy(), x.transpose(1, 0, 2).min(2))
    assert np.array_equal(t[::3, 2].argmax(1).numpy(), x[::3, 2].argmax(1))
    assert np.array_equal(t[:1].expand(2000, 3, 8).amax(2).numpy(), np.broadcast_to(x[:1], x.shape).max(2))
    y = numbers((4000, 3), "float64") / 64
    assert np.allclose(torch.tensor(y).prod(1).numpy(), y.prod(1), rtol=1e-14)
    z = y.astype("float32")
    assert np.allclose(torch.tensor(z).prod(1).numpy(), z.prod(1), rtol=1e-6)
    c = z[:, 0] + 1j * z[:, 1]
    assert np.allclose(torch.tensor(np.stack([c, c], 1)).prod(1).numpy(), c * c, rtol=1e-6)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(("size", "step"), [(3, 1), (5, 2), (4, 4)])
def test_folds_of_windows(dtype, size, step):
    x = numbers((40, 120), dtype)
    windows = np.lib.stride_tricks.sliding_window_view(x, size, 1)[:, ::step]
    t = torch.tensor(x).unfold(1, size, step)
    assert np.array_equal(
        t.sum(-1).numpy(), windows.sum(-1, dtype=np.float64).astype(t.sum(-1).numpy().dtype)
    )
    assert np.array_equal(t.amax(-1).numpy(), windows.max(-1))


@pytest.mark.parametrize(("size", "step"), [(3, 1), (3, 3), (2, 5), (7, 2), (30, 4), (40, 1)])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gradient_of_windows(size, step, dim):
    x = torch.zeros(41, 42, 43, dtype=torch.float64, requires_grad=True)
    w = x.unfold(dim, size, step)
    g = numbers(tuple(w.shape), "float64")
    w.backward(torch.tensor(g))
    wanted = np.zeros(x.shape)
    lines, parts = np.moveaxis(wanted, dim, 0), np.moveaxis(g, dim, 0)
    for k in range(parts.shape[0]):
        lines[k * step : k * step + size] += np.moveaxis(parts[k], -1, 0)
    assert np.array_equal(x.grad.numpy(), wanted)


def test_gradient_of_windows_of_a_number():
    x = torch.tensor(2.0, requires_grad=True)
    x.unfold(0, 1, 1).backward(torch.tensor([3.0]))
    assert x.grad.item() == 3 and x.grad.shape == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("count", [0, 1, 5, 64, 65, 100])
def test_isin(dtype, count):
    x, known = numbers(5000, "int64"), numbers(count, "int64", 1)
    t, k = (torch.tensor(v).to(getattr(torch, dtype)) for v in (x, known))
    assert np.array_equal(torch.isin(t, k).numpy(), np.isin(x, known))
    assert np.array_equal(torch.isin(t, k, invert=True).numpy(), np.isin(x, known, invert=True))
    assert np.array_equal(torch.isin(t.view(50, 100).t(), k).numpy(), np.isin(x.reshape(50, 100).T, known))


def test_isin_of_rounded_numbers_and_nan():
    h = torch.tensor([0.1, 0.2, math.nan, -0.0], dtype=torch.float16)
    assert torch.isin(h, 0.1).tolist() == [True, False, False, False]
    assert torch.isin(h, torch.tensor([math.nan, 0.0], dtype=torch.float16)).tolist() == [
        False,
        False,
        False,
        True,
    ]
    assert torch.isin(0.5, torch.tensor([0.5, 1.0])).item() is True
    with pytest.raises(RuntimeError, match="Unsupported input type encountered for isin"):
        torch.isin(torch.tensor([1j]), torch.tensor([1j]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "complex128"])
def test_masked_scatter(dtype):
    x, source = numbers((70, 30), dtype), numbers(2000, dtype, 1)
    for part in (0, 50, 100):
        mask = numbers((70, 30), "int64", 2) < part
        if mask.sum() > source.size:
            source = numbers(2100, dtype, 3)
        wanted = x.copy()
        wanted[mask] = source[: mask.sum()]
        got = torch.tensor(x).masked_scatter(torch.tensor(mask), torch.tensor(source))
        assert np.array_equal(got.numpy(), wanted)
    row = torch.tensor(numbers(30, "int64", 4) < 50)
    assert torch.tensor(x).masked_scatter(row, torch.tensor(x)).shape == (70, 30)
    with pytest.raises(RuntimeError, match="Number of elements of source < number of ones in mask"):
        torch.zeros(3).masked_scatter(torch.tensor([True, True, False]), torch.ones(1))


@pytest.mark.parametrize("dtype", [*NUMBERS, "float16", "complex64", "complex128", "bool"])
@pytest.mark.parametrize("times", [2, 3, 8, 17, 64])
def test_values_repeated(dtype, times):
    x = numbers(1500, dtype)
    assert np.array_equal(torch.tensor(x).repeat_interleave(times).numpy(), x.repeat(times))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("shape", [(32, 32), (20, 33), (5, 16), (3, 100)])
def test_products_of_all_pairs(dtype, shape):
    x, y = numbers(shape, dtype) % 10, numbers((32, 32), dtype, 1) % 10
    assert np.array_equal(torch.kron(torch.tensor(x), torch.tensor(y)).numpy(), np.kron(x, y))
    assert np.array_equal(torch.kron(torch.tensor(y), torch.tensor(x)).numpy(), np.kron(y, x))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("length", [3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257])
def test_reversed_and_rolled_rows(dtype, length):
    x = numbers((9, length), dtype)
    t = torch.tensor(x)
    assert np.array_equal(t.flip(1).numpy(), x[:, ::-1])
    assert np.array_equal(t[:, 1:].flip(1).numpy(), x[:, 1:][:, ::-1])
    assert np.array_equal(t.flip(0, 1).numpy(), x[::-1, ::-1])
    assert np.array_equal(t.reshape(-1).flip(0).numpy(), x.reshape(-1)[::-1])
    for shift in (1, 2, length - 1):
        assert np.array_equal(t.roll(shift, 1).numpy(), np.roll(x, shift, 1))
        assert np.array_equal(t.roll(shift).numpy(), np.roll(x, shift))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_means_of_columns(dtype):
    x = numbers((3, 70_000), dtype)
    assert np.allclose(torch.tensor(x).mean(0).numpy(), x.mean(0, dtype="float64"), rtol=1e-6)
    assert torch.zeros(0, 5).mean(0).isnan().all() and torch.zeros(5, 0).mean(0).shape == (0,)


@pytest.mark.parametrize("with_replacement", [False, True])
@pytest.mark.parametrize("r", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_combinations(n, r, with_replacement):
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    got = torch.combinations(torch.arange(n) * 3, r, with_replacement)
    assert got.shape[1] == r and got.tolist() == [list(row) for row in choose(range(0, 3 * n, 3), r)]


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool", "complex128"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(3000, 10), (500, 1), (1, 40), (7, 5), (40, 63), (40, 64), (30, 700)]
)
def test_reading_and_writing_short_lines(dtype, rows, columns):
    x = numbers((rows, columns), dtype)
    t, rng = torch.tensor(x), np.random.default_rng(5)
    at = rng.integers(0, columns, (rows, columns))
    assert np.array_equal(t.gather(1, torch.tensor(at)).numpy(), np.take_along_axis(x, at, 1))
    for dim, size in ((0, rows), (1, columns)):
        for count in (1, 3, 80):
            some = rng.integers(0, size, count)
            assert np.array_equal(t.index_select(dim, torch.tensor(some)).numpy(), x.take(some, dim))
    if dtype != "bool":
        wanted = x.copy()
        np.add.at(wanted, (np.arange(rows)[:, None], at), x)
        assert np.array_equal(t.scatter_add(1, torch.tensor(at), t).numpy(), wanted)
    at[-1, -1] = columns
    for wrong in (columns, -1):
        at[-1, -1] = wrong
        with pytest.raises(RuntimeError, match="out of bounds"):
            t.gather(1, torch.tensor(at))
        with pytest.raises(RuntimeError, match="out of bounds"):
            t.scatter(1, torch.tensor(at), t)


@pytest.mark.parametrize("width", [1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 255, 256, 257, 1023, 1024, 1025])
def test_rows_of_bytes(width):
    x = numbers((40, width), "uint8")
    some = np.random.default_rng(6).integers(0, 40, 100)
    assert np.array_equal(torch.tensor(x)[torch.tensor(some)].numpy(), x[some])
    assert np.array_equal(torch.tensor(x).index_select(0, torch.tensor(some)).numpy(), x[some])
    padded = torch.nn.functional.pad(torch.tensor(x), (1, 2), value=7).numpy()
    assert np.array_equal(padded, np.pad(x, ((0, 0), (1, 2)), constant_values=7))
    assert np.array_equal(torch.tensor(x)[:, 1:].contiguous().numpy(), x[:, 1:])
