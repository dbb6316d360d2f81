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


WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_short_rows_in_order(width, dtype):
    for rows in (1, 3, 40):
        x = numbers((rows, width), dtype, width)
        t = torch.tensor(x)
        order = np.argsort(x, 1, kind="stable")
        values, places = t.sort(1)
        assert np.array_equal(places.numpy(), order)
        assert np.array_equal(values.numpy(), np.take_along_axis(x, order, 1))
        middle = order[:, (width - 1) // 2]
        assert np.array_equal(t.median(1)[1].numpy(), middle)
        assert np.array_equal(t.kthvalue((width + 1) // 2, 1)[1].numpy(), middle)
        descending = -np.sort(-x.astype("float64"), 1)
        for k in (1, min(5, width), width):
            values, places = t.topk(k, 1)
            assert np.array_equal(values.numpy(), descending[:, :k].astype(dtype))
            assert np.array_equal(np.take_along_axis(x, places.numpy(), 1), values.numpy())
            assert all(len(set(row)) == k for row in places.tolist())
        counts = [np.unique(row, return_counts=True) for row in x]
        assert t.mode(1)[0].tolist() == [int(values[count.argmax()]) for values, count in counts]


def test_short_rows_in_order_with_nan():
    x = torch.tensor([[2.0, math.nan, 1.0, math.nan, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    assert x.sort(1)[1].tolist() == [[4, 2, 0, 1, 3], [4, 3, 2, 1, 0]]
    assert x.median(1)[1].tolist() == [1, 2] and x.nanmedian(1)[1].tolist() == [2, 2]
    wide = torch.full((2, 60), math.nan)
    wide[0, 7] = 1.0
    assert wide.topk(3, 1, largest=False)[0].isnan().tolist() == [[False, True, True], [True] * 3]


@pytest.mark.parametrize("width", WIDTHS)
def test_short_rows_of_probabilities(width):
    for rows in (1, 2, 3, 7, 8, 9, 21):
        x = np.random.default_rng(width).normal(0, 3, (rows, width))
        g = np.random.default_rng(rows).normal(0, 1, (rows, width))
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        by_p, by_log = p * (g - (g * p).sum(1, keepdims=True)), g - p * g.sum(1, keepdims=True)
        for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 2e-5), (torch.bfloat16, 0.04)):
            for of, result, gradient in (("softmax", p, by_p), ("log_softmax", np.log(p), by_log)):
                t = torch.tensor(x, dtype=dtype).requires_grad_()
                y = getattr(t, of)(1)
                y.backward(torch.tensor(g, dtype=dtype))
                assert np.allclose(y.detach().double().numpy(), result, rtol=tolerance, atol=tolerance)
                assert np.allclose(t.grad.double().numpy(), gradient, rtol=tolerance, atol=3 * tolerance)
        t = torch.tensor(x).requires_grad_()
        target = np.random.default_rng(rows).integers(0, width, rows)
        target[0] = 0
        loss = torch.nn.functional.cross_entropy(t, torch.tensor(target), reduction="sum", ignore_index=-1)
        loss.backward()
        assert np.isclose(loss.item(), -np.log(p[np.arange(rows), target]).sum())
        assert np.allclose(t.grad.numpy(), p - np.eye(width)[target])


def test_short_rows_of_probabilities_without_numbers():
    x = torch.zeros(9, 5)
    x[2, 1], x[3], x[4, 0] = math.nan, -math.inf, -math.inf
    y = x.softmax(1)
    assert y.isnan().any(1).tolist() == [False, False, True, True] + [False] * 5
    assert y[4].tolist() == [0.0, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("width", WIDTHS)
def test_short_rows_counted_and_tested(width):
    for rows in (1, 5, 40, 1100):
        x = np.random.default_rng(width).integers(0, 256, (rows, width))
        x *= np.random.default_rng(rows).random((rows, width)) < 0.97
        for dtype in ("uint8", "int8", "bool", "int16", "int32", "int64", "float32", "float64"):
            y = x.astype(dtype)
            t, turned = torch.tensor(y), torch.tensor(np.ascontiguousarray(y.T))
            for dim, of in ((1, t), (0, turned)):
                assert np.array_equal(of.sum(dim).double().numpy(), y.astype("float64").sum(1))
                assert np.array_equal(of.any(dim).numpy(), y.any(1))
                assert np.array_equal(of.all(dim).numpy(), y.all(1))
                assert np.array_equal(of.count_nonzero(dim).numpy(), np.count_nonzero(y, 1))
                if dtype != "bool":
                    assert np.array_equal(of.amax(dim).numpy(), y.max(1))
                    assert np.array_equal(of.argmin(dim).numpy(), y.argmin(1))
                    product = of.prod(dim)
                    if "int" in dtype:
                        assert np.array_equal(product.numpy(), y.astype("int64").prod(1))


@pytest.mark.parametrize("width", [1, 2, 3, 10, 16, 17, 63, 64, 65, 200])
def test_short_running_folds(width):
    for rows in (1, 3, 400):
        x = numbers((rows, width), "int64", width) % 3
        for dtype in (torch.int64, torch.int32, torch.uint8, torch.float64, torch.float32, torch.bfloat16):
            t = torch.tensor(x).to(dtype)
            assert np.array_equal(t.cumsum(1).double().numpy()[:, :60], x.cumsum(1)[:, :60])
            values, places = t.cummax(1)
            assert np.array_equal(values.double().numpy(), np.maximum.accumulate(x, 1))
            last = np.where(x == np.maximum.accumulate(x, 1), np.arange(width), 0)
            assert np.array_equal(places.numpy(), np.maximum.accumulate(last, 1))
            values, places = t.cummin(1)
            assert np.array_equal(values.double().numpy(), np.minimum.accumulate(x, 1))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        values, places = torch.tensor([[1.0, math.nan, 3.0, math.nan, 0.0]] * 3, dtype=dtype).cummax(1)
        assert places.tolist() == [[0, 1, 1, 3, 3]] * 3
        assert values.isnan().tolist() == [[False, True, True, True, True]] * 3


def test_largest_of_half_numbers():
    for dtype in (torch.bfloat16, torch.float16):
        for n in (31, 64, 1000, 5003):
            x = torch.tensor(np.random.default_rng(n).normal(0, 1, n)).to(dtype)
            assert x.max().item() == max(x.tolist()) and x.min().item() == min(x.tolist())
            for place in (0, 1, n // 2, n - 1):
                nan = x.clone()
                nan[place] = math.nan
                assert nan.max().isnan().item() and nan.min().isnan().item()
                big = x.clone()
                big[place] = math.inf
                assert big.max().item() == math.inf


def test_sums_down_half_columns():
    for dtype, tolerance in ((torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
        for rows, columns in ((1000, 40), (4097, 9), (513, 100)):
            x = torch.tensor(np.random.default_rng(rows).uniform(0, 1, (rows, columns))).to(dtype)
            assert np.allclose(x.sum(0).double().numpy(), x.double().numpy().sum(0), rtol=tolerance)


def test_products_of_complex_rows():
    for width in (3, 50, 64, 65, 130, 1001):
        x = np.exp(1j * np.random.default_rng(width).uniform(0, 6, (33, width)))
        for dtype, tolerance in (("complex64", 1e-4), ("complex128", 1e-12)):
            assert np.allclose(torch.tensor(x.astype(dtype)).prod(1).numpy(), x.prod(1), rtol=tolerance)


def test_distances_of_any_number_of_rows():
    for rows in (1, 7, 8, 9, 31, 33, 47, 48, 49, 97):
        x = np.random.default_rng(rows).normal(0, 1, (rows, 13))
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            for p, of in (
                (1, lambda d: np.abs(d).sum(-1)),
                (2, lambda d: np.sqrt((d * d).sum(-1))),
                (math.inf, lambda d: np.abs(d).max(-1)),
            ):
                t = torch.tensor(x, dtype=dtype)
                wanted = of(x[:5, None] - x[None])
                options = {"compute_mode": "donot_use_mm_for_euclid_dist"}
                assert np.allclose(
                    torch.cdist(t[:5], t, p, **options).double().numpy(),
                    wanted,
                    rtol=tolerance,
                    atol=tolerance,
                )


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
def test_places_of_bytes_and_short_rows(dtype):
    """Gathered and scattered: rows of a few elements, a part of larger ones, and one long row."""
    x = numbers((6, 40, 9), dtype, 1)
    at = np.random.default_rng(2).integers(0, 9, (6, 30, 5))
    t, i = torch.tensor(x), torch.tensor(at)
    np.testing.assert_array_equal(t.gather(2, i).numpy(), np.take_along_axis(x[:, :30], at, 2))
    np.testing.assert_array_equal(
        t[::2, ::2].gather(2, i[::2, :20]).numpy(), np.take_along_axis(x[::2, ::2], at[::2, :20], 2)
    )
    order = np.argsort(np.random.default_rng(3).random((6, 40, 9)), 2)
    want = np.empty_like(x)
    np.put_along_axis(want, order, x, 2)
    np.testing.assert_array_equal(t.scatter(2, torch.tensor(order), t).numpy(), want)
    line, to = numbers((9000,), dtype, 4), np.random.default_rng(5).permutation(9000)
    want = np.empty_like(line)
    want[to] = line
    long, places = torch.tensor(line), torch.tensor(to)
    np.testing.assert_array_equal(long.scatter(0, places, long).numpy(), want)
    np.testing.assert_array_equal(long.take(places - 9000).numpy(), line[to])
    with pytest.raises(IndexError, match="out of range: tried to access index 9000"):
        long.take(torch.tensor([*range(600), 9000]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_softmax_of_long_rows(dtype):
    x = torch.randn(3, 5001).to(getattr(torch, dtype))
    a = np.exp(x.double().numpy())
    want = a / a.sum(1, keepdims=True)
    np.testing.assert_allclose(torch.softmax(x, 1).double().numpy(), want, rtol=5e-3, atol=1e-7)
