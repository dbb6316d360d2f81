"""Transforms, borders, copies and samplings in shapes that take each of their ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import flambeau as fb

# multiples of 8 (vectors along a line), others (lines side by side), large primes, lines taken apart
LENGTHS = (7, 60, 64, 74, 104, 150, 200, 320, 512, 1000, 1009, 2018, 4104, 8192, 10007, 20000)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("rows", [1, 3])
def test_transforms_of_every_length(n, rows):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((rows, n)) + 1j * rng.standard_normal((rows, n))
    real, half = x.real.copy(), x[:, : n // 2 + 1].copy()
    for kind, error in ((np.complex64, 1e-6), (np.complex128, 1e-14)):
        t, r, h = (
            fb.from_numpy(a.astype(k)) for a, k in ((x, kind), (real, kind(0).real.dtype), (half, kind))
        )
        pairs = (
            (fb.fft.fft(t), np.fft.fft(x)),
            (fb.fft.ifft(t), np.fft.ifft(x)),
            (fb.fft.rfft(r), np.fft.rfft(real)),
            (fb.fft.irfft(h, n=n), np.fft.irfft(half, n=n)),
            (fb.fft.fft(t.T.contiguous(), dim=0).T, np.fft.fft(x)),
            (fb.fft.rfft(r.T.contiguous(), dim=0).T, np.fft.rfft(real)),
        )
        for got, want in pairs:
            scale = np.sqrt((np.abs(want) ** 2).mean())
            assert np.abs(got.numpy() - want).max() < error * np.log2(2 * n) * scale


@pytest.mark.parametrize("shape", [(33, 65), (16, 16), (3, 40, 17), (2, 20, 3, 31), (5, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.complex64, np.complex128])
def test_copies_of_every_layout(shape, dtype):
    a = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    t = fb.from_numpy(a)
    order = tuple(reversed(range(a.ndim)))
    last = (0, *range(2, a.ndim), 1)
    np.testing.assert_array_equal(t.permute(order).contiguous().numpy(), a.transpose(order))
    np.testing.assert_array_equal(t.permute(last).contiguous().numpy(), a.transpose(last))
    np.testing.assert_array_equal(t[..., 1:-1].contiguous().numpy(), a[..., 1:-1])
    np.testing.assert_array_equal(t[1:, ..., ::2].contiguous().numpy(), a[1:, ..., ::2])
    np.testing.assert_array_equal(t.flip(-1).numpy(), a[..., ::-1])
    np.testing.assert_array_equal(t.flip(0, -1).numpy(), a[::-1, ..., ::-1])
    into = fb.zeros(shape[::-1], dtype=t.dtype)
    into.permute(order).copy_(t)
    np.testing.assert_array_equal(into.numpy(), a.transpose(order))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_copies_of_few_long_lines(dtype):
    a = np.arange(200_003).astype(dtype)
    t = fb.from_numpy(a)
    assert np.array_equal(t.flip(0).numpy(), a[::-1])
    assert np.array_equal(t.expand(3, -1).contiguous().numpy(), np.broadcast_to(a, (3, a.size)))
    assert np.array_equal(
        t[:400].reshape(400, 1).expand(-1, 100).contiguous().numpy(), np.repeat(a[:400, None], 100, 1)
    )
    assert np.array_equal(fb.nn.functional.pad(t, (3, 5)).numpy(), np.pad(a, (3, 5)))
    square = a[:160_000].reshape(400, 400)
    assert np.array_equal(fb.from_numpy(square).diag().numpy(), np.diag(square))
    assert np.array_equal(fb.from_numpy(square)[:, 7].contiguous().numpy(), square[:, 7])


@pytest.mark.parametrize("shape", [(30,), (7, 40), (40, 7), (5, 6, 33), (3, 1, 4)])
def test_gather_along_every_dimension(shape):
    rng = np.random.default_rng(3)
    a = rng.standard_normal(shape).astype(np.float32)
    for dim in range(len(shape)):
        size = [max(1, n - 1) for n in shape]
        size[dim] = 600
        index = rng.integers(0, shape[dim], size)
        want = np.take_along_axis(
            a[tuple(slice(n if d == dim else size[d]) for d, n in enumerate(shape))], index, dim
        )
        turned = fb.from_numpy(index.T.copy()).permute(*range(len(shape) - 1, -1, -1))
        for x in (fb.from_numpy(a), fb.from_numpy(a.T.copy()).permute(*range(len(shape) - 1, -1, -1))):
            assert np.array_equal(x.gather(dim, fb.from_numpy(index)).numpy(), want)
            assert np.array_equal(x.gather(dim, turned).numpy(), want)
        index.flat[-1] = shape[dim]
        with pytest.raises(
            RuntimeError, match=f"index {shape[dim]} is out of bounds for dimension {dim} with size"
        ):
            fb.from_numpy(a).gather(dim, fb.from_numpy(index))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_of_every_length(mode):
    rng = np.random.default_rng(5)
    weight = rng.integers(-8, 9, (50, 19)).astype(np.float32)
    starts = [0, 0, 1, 3, 6, 10, 15, 15, 24]
    index, scale = rng.integers(0, 50, 40), rng.integers(1, 5, 40).astype(np.float32)
    bags = [slice(b, e) for b, e in zip(starts, [*starts[1:], 40], strict=True)]
    bag = fb.nn.functional.embedding_bag
    got = bag(fb.tensor(index), fb.from_numpy(weight), fb.tensor(starts), mode=mode)
    want = [weight[index[b]].sum(0) / (max(1, b.stop - b.start) if mode == "mean" else 1) for b in bags]
    assert np.array_equal(got.numpy(), np.array(want))
    if mode == "sum":
        got = bag(
            fb.tensor(index),
            fb.from_numpy(weight),
            fb.tensor(starts),
            mode=mode,
            per_sample_weights=fb.tensor(scale),
        )
        want = [(weight[index[b]] * scale[b, None]).sum(0) for b in bags]
        assert np.array_equal(got.numpy(), np.array(want))
    index[17] = 50
    with pytest.raises(
        RuntimeError, match="Index 17 of input takes value 50 which is not in the valid range"
    ):
        bag(fb.tensor(index), fb.from_numpy(weight), fb.tensor(starts), mode=mode)


@pytest.mark.parametrize("place", [0, 1499, 2999, 3000, 3999])
def test_bags_look_at_every_index(place):
    index, weight = fb.arange(4000) % 50, fb.randn(50, 3)
    starts = fb.arange(0, 3001, 10)  # the last thousand indices are in no bag
    fb.nn.functional.embedding_bag(index, weight, starts, include_last_offset=True)
    index[place] = -1
    with pytest.raises(
        RuntimeError, match=f"Index {place} of input takes value -1 which is not in the valid"
    ):
        fb.nn.functional.embedding_bag(index, weight, starts, include_last_offset=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 19, 33, 64, 101])
def test_bags_of_every_width(width, dtype):
    rng = np.random.default_rng(width)
    kind = getattr(fb, dtype)
    weight = fb.from_numpy(rng.integers(-8, 9, (40, width)).astype(np.float32))
    scale = fb.from_numpy(rng.integers(1, 4, 60).astype(np.float32))
    starts, index = [0, 0, 1, 9, 20, 60], rng.integers(0, 40, 60)
    index[9:20] = 7  # a bag of nothing but padding
    bag = fb.nn.functional.embedding_bag
    for padding in (None, 7):
        for mode, factors in (("sum", None), ("sum", scale), ("mean", None), ("max", None)):
            got = bag(
                fb.tensor(index), weight.to(kind), fb.tensor(starts), mode=mode, padding_idx=padding,
                per_sample_weights=None if factors is None else factors.to(kind), include_last_offset=True,
            )  # fmt: skip
            table, times = weight.double().numpy(), np.ones(60) if factors is None else factors.numpy()
            want = np.zeros((5, width))
            for k, (begin, end) in enumerate(itertools.pairwise(starts)):
                at = [i for i in range(begin, end) if index[i] != padding]
                if not at:
                    continue
                rows = table[index[at]] * times[at, None]
                want[k] = getattr(rows, mode)(0)
            want = fb.from_numpy(want).to(kind)
            assert fb.equal(got, want) or fb.allclose(got.float(), want.float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16])
def test_counts_of_whole_numbers(dtype):
    numbers = np.random.default_rng(7).integers(0, 100, 70_001).astype(dtype)
    assert np.array_equal(fb.from_numpy(numbers).bincount().numpy(), np.bincount(numbers))
    assert fb.from_numpy(numbers[:0]).bincount(minlength=3).tolist() == [0, 0, 0]
    if dtype != np.uint8:
        numbers[-1] = -1
        with pytest.raises(RuntimeError, match="bincount only supports 1-d non-negative integral inputs"):
            fb.from_numpy(numbers).bincount()


def test_roll_of_a_long_vector():
    a = np.arange(300_001, dtype=np.int32)
    for shift in (1, 1000, -7, 299_999):
        np.testing.assert_array_equal(fb.from_numpy(a).roll(shift).numpy(), np.roll(a, shift))


@pytest.mark.parametrize("shape", [(40, 3), (40, 16), (40, 64), (9, 5, 4, 32)])
def test_a_value_for_each_short_strip(shape):
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape).astype(np.float32)
    for column in (a[..., :1], a[..., :1, :]):
        np.testing.assert_array_equal((fb.from_numpy(a) * fb.from_numpy(column)).numpy(), a * column)
    x, y = a[:2, ..., :3].reshape(-1, 3), a[:4, ..., :2].reshape(-1, 2)
    np.testing.assert_array_equal(fb.kron(fb.from_numpy(x), fb.from_numpy(y)).numpy(), np.kron(x, y))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "constant"])
@pytest.mark.parametrize("pad", [(2, 1, 0, 3), (3, 3, 1, 1), (0, 0, 2, 2)])
def test_borders_and_their_gradients(mode, pad):
    a = np.arange(2 * 3 * 5 * 6, dtype=np.float64).reshape(2, 3, 5, 6)
    widths = ((0, 0), (0, 0), (pad[2], pad[3]), (pad[0], pad[1]))
    name = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    x = fb.from_numpy(a).requires_grad_()
    got = fb.nn.functional.pad(x, pad, mode)
    np.testing.assert_array_equal(got.detach().numpy(), np.pad(a, widths, name))
    weight = np.random.default_rng(0).standard_normal(got.shape)
    (got * fb.from_numpy(weight)).sum().backward()
    want = np.zeros(a.size + 1)  # the last one collects what belongs to the constant
    places = np.pad(
        np.arange(a.size).reshape(a.shape),
        widths,
        name,
        **({"constant_values": -1} if mode == "constant" else {}),
    )
    np.add.at(want, places.ravel(), weight.ravel())
    np.testing.assert_allclose(x.grad.numpy().ravel(), want[:-1], atol=1e-12)


def test_negative_widths_and_values():
    a = fb.arange(6.0).reshape(2, 3)
    assert fb.nn.functional.pad(a, (-1, 2, 1, -1), value=7.0).tolist() == [[7, 7, 7, 7], [1, 2, 7, 7]]
    assert fb.nn.functional.pad(a.bool(), (1, 0)).tolist() == [
        [False, False, True, True],
        [False, True, True, True],
    ]


SAMPLED = [
    -0.07,
    -1.2,
    0.08,
    0.0,
    4.13,
    4.8,
    0.68,
    0.0,
]
BY_PICTURE = [
    0.0,
    0.0,
    -1.44,
    0.0,
    -0.0539,
    0.0,
    -0.96,
    0.0136,
    -0.0441,
    0.0,
    0.0,
    0.0024,
    0.0,
    0.0,
    5.76,
    0.0,
    3.1801,
    0.0,
    3.84,
    0.1156,
    2.6019,
    0.0,
    0.0,
    0.0204,
]
BY_PLACE = [
    97.496,
    17.052,
    7.2,
    21.6,
    -18.75198,
    0.456,
    0.0,
    0.0,
]


def test_grid_sample_by_hand():
    x = (fb.arange(24.0).reshape(1, 2, 3, 4) * 0.5 - 3).requires_grad_()
    places = fb.tensor([[[[-0.9, 0.3], [0.25, -0.4]], [[1.2, 0.1], [-0.3, 1.4]]]])
    for grid in (places, places.clone().requires_grad_()):
        x.grad = None
        y = fb.nn.functional.grid_sample(x, grid, align_corners=False)
        (y * y).sum().backward()
        np.testing.assert_allclose(y.detach().numpy().ravel(), SAMPLED, atol=2e-5)
        np.testing.assert_allclose(x.grad.numpy().ravel(), BY_PICTURE, atol=2e-5)
    np.testing.assert_allclose(grid.grad.numpy().ravel(), BY_PLACE, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3, 8, 13])
def test_grid_sample_without_gradients(channels, mode, padding, align):
    """In one pass; other ways with a gradient of the places or of the picture."""
    fb.manual_seed(1)
    x, grid = fb.randn(2, channels, 9, 14), fb.rand(2, 11, 13, 2) * 5 - 2.5
    grid[0, 0, :4] = fb.tensor([[1e30, 0], [0, -float("inf")], [-1, 1], [1, -1]])
    plain = fb.nn.functional.grid_sample(x, grid, mode, padding, align)
    finite = fb.ones(2, 1, 11, 13).bool()
    finite[0, 0, 0, :2] = padding == "zeros"
    for picture, places in ((x.clone().requires_grad_(), grid), (x, grid.clone().requires_grad_())):
        other = fb.nn.functional.grid_sample(picture, places, mode, padding, align).detach()
        same = fb.isclose(plain, other, rtol=1e-4, atol=1e-4) | ~finite
        assert same.all(), (plain - other)[~same]


@pytest.mark.parametrize("channels", [1, 2, 5, 16, 37])
def test_grid_sample_of_any_number_of_channels(channels):
    rng = np.random.default_rng(channels)
    a, g = rng.standard_normal((2, channels, 6, 7)), rng.uniform(-1.3, 1.3, (2, 9, 8, 2))
    results = []
    for kind in (fb.float32, fb.float64):
        x, grid = (fb.from_numpy(v).to(kind).requires_grad_() for v in (a, g))
        y = fb.nn.functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        y.square().sum().backward()
        results.append([v.detach().double().numpy() for v in (y, x.grad, grid.grad)])
    for one, two in zip(*results):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-3)


def test_diagonals_and_products_of_all_pairs():
    a, v = fb.arange(6.0).reshape(2, 3), fb.arange(3.0, requires_grad=True)
    assert fb.kron(a, v).tolist() == [[0, 0, 0, 0, 1, 2, 0, 2, 4], [0, 3, 6, 0, 4, 8, 0, 5, 10]]
    assert fb.kron(fb.tensor(2.0), fb.tensor(3)).item() == 6 and a.kron(fb.zeros(0)).shape == (2, 0)
    square = np.random.default_rng(2).standard_normal((32, 32))
    assert np.array_equal(
        fb.kron(fb.from_numpy(square), fb.from_numpy(square)).numpy(), np.kron(square, square)
    )
    assert v.diag(-1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]]
    assert a.diag(1).tolist() == [1, 5] and fb.zeros(0, 3).diag().shape == (0,)
    (fb.kron(a, v).sum() + v.diag(2).sum()).backward()
    assert v.grad.tolist() == [16, 16, 16]
    with pytest.raises(RuntimeError, match=r"diag\(\): Supports 1D or 2D tensors. Got 3D"):
        fb.zeros(2, 2, 2).diag()


@pytest.mark.parametrize("n", [1, 7, 64, 65, 200_003])
def test_ranges_of_every_length(n):
    for dtype in (fb.int64, fb.int32, fb.int16, fb.uint8):
        want = (5 - 3 * np.arange(n)).astype(str(dtype).removeprefix("torch."))
        if dtype in (fb.int64, fb.int32) or n == 1:  # the bounds are numbers of the type
            assert np.array_equal(fb.arange(5, 5 - 3 * n, -3, dtype=dtype).numpy(), want)
    assert np.array_equal(fb.arange(n, dtype=fb.float32).numpy(), np.arange(n, dtype=np.float32))
    eighths = fb.arange(-1, -1 + n / 8, 0.125, dtype=fb.float64).numpy()
    assert np.array_equal(eighths, np.arange(n) / 8 - 1)
    assert np.array_equal(
        fb.arange(0, min(n, 255), dtype=fb.uint8).numpy(), np.arange(min(n, 255), dtype=np.uint8)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16])
@pytest.mark.parametrize("shape", [(70, 65), (64, 64), (33, 400), (3, 100, 40), (40, 31)])
def test_operands_that_lie_across(shape, dtype):
    a = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    b = np.ascontiguousarray(a.swapaxes(-1, -2)[..., ::-1, :])
    got = fb.from_numpy(a) + fb.from_numpy(b).transpose(-1, -2)
    assert np.array_equal(got.numpy(), a + b.swapaxes(-1, -2))
    assert np.array_equal((fb.from_numpy(a) > fb.from_numpy(b).mT).numpy(), a > b.swapaxes(-1, -2))


def test_block_diag_of_nothing_and_of_mixed_types():
    assert fb.block_diag().shape == (1, 0)
    mixed = fb.block_diag(fb.tensor(True), fb.tensor([1 + 2j]).conj(), fb.zeros(0, 1))
    assert mixed.dtype == fb.complex64
    assert mixed.tolist() == [[1, 0, 0], [0, 1 - 2j, 0]]


def test_index_reduce_out_of_range():
    for how in ("amax", "mean"):
        with pytest.raises(IndexError, match=r"^index out of range in self"):
            fb.zeros(3).index_reduce(0, fb.tensor([5]), fb.ones(1), how)
    whole = fb.zeros(3, 2, dtype=fb.int64)
    ones = fb.ones(3, 2, dtype=fb.int64)
    assert whole.index_reduce(1, fb.tensor([0, 1]), ones, "mean").sum() == 0
    assert whole.index_reduce(1, fb.tensor([0, 0]), ones, "mean", include_self=False).tolist() == [[1, 0]] * 3


@pytest.mark.parametrize("dtype", [fb.int64, fb.float64, fb.complex64, fb.float32])
@pytest.mark.parametrize("shape", [(2100, 9), (9, 2100), (70, 130), (65, 8), (100, 101)])
def test_large_turned_copies(shape, dtype):
    x = fb.arange(shape[0] * shape[1] * 2).to(dtype).reshape(2, *shape)
    wanted = np.ascontiguousarray(x.numpy().transpose(0, 2, 1))
    assert np.array_equal(x.mT.contiguous().numpy(), wanted)
    assert np.array_equal(fb.empty_like(x.mT, memory_format=fb.contiguous_format).copy_(x.mT).numpy(), wanted)
    assert np.array_equal(x.permute(2, 0, 1).contiguous().numpy(), x.numpy().transpose(2, 0, 1))


@pytest.mark.parametrize("dim", [0, 1])
def test_half_values_are_added_by_places_that_lie_apart(dim):
    rng = np.random.default_rng(dim)
    values = fb.from_numpy(rng.integers(-4, 5, (60, 10)).astype(np.float32))
    size = values.shape[dim]
    spread = fb.from_numpy(rng.integers(0, size, (60, 20)))[:, ::2]
    one = fb.from_numpy(rng.integers(0, size, (60, 1))).expand(60, 10)
    row = fb.from_numpy(rng.integers(0, size, (1, 10))).expand(60, 10)
    for index in (spread, spread.contiguous(), one, row, spread[:50, :7]):
        want = values.scatter_add(dim, index, values)
        assert fb.equal(values.half().scatter_add(dim, index, values.half()).float(), want)
    far = spread.clone()
    far[31, 4] = size
    with pytest.raises(RuntimeError, match="out of bounds"):
        values.half().scatter_add(dim, far, values.half())


@pytest.mark.parametrize("dtype", [fb.int64, fb.float64])
def test_the_greatest_few_of_long_lines_of_eight_bytes(dtype):
    numbers = np.random.default_rng(3).permutation(5000) - 2500
    for n in (700, 1000, 5000):
        for largest in (False, True):
            got, at = fb.from_numpy(numbers[:n]).to(dtype).topk(9, largest=largest)
            want = np.sort(numbers[:n])
            assert got.tolist() == (want[::-1] if largest else want)[:9].tolist()
            assert numbers[:n][at.numpy()].tolist() == got.tolist()


def test_scatter_reduce_takes_the_short_names_of_extremes():
    at, values = fb.tensor([0, 0, 1, 1]), fb.tensor([3, 1, 2, 5])
    for short, name in (("min", "amin"), ("max", "amax")):
        for include_self in (True, False):
            start = fb.tensor([2, 9, 9])
            one = start.scatter_reduce(0, at, values, short, include_self=include_self)
            other = start.scatter_reduce(0, at, values, name, include_self=include_self)
            assert one.tolist() == other.tolist()
    with pytest.raises(
        RuntimeError, match="Expected reduce to be one of prod, mean, amax or amin but got min"
    ):
        fb.zeros(3).index_reduce(0, at, values.float(), "min")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_values_onto_few_places_of_a_long_line(threads):
    before = fb.get_num_threads()
    fb.set_num_threads(threads)
    try:
        index = 5000 + (fb.arange(100_000) * 7919) % 300
        values = (fb.arange(100_000) % 17).double()
        wanted = np.zeros(200_000)
        np.add.at(wanted, index.numpy(), values.numpy())
        line = fb.zeros(200_000, dtype=fb.float64)
        assert np.array_equal(line.scatter_add(0, index, values).numpy(), wanted)
        assert np.array_equal(line.index_add(0, index, values).numpy(), wanted)
        largest = line.scatter_reduce(0, index, values, "amax")
        assert largest.max() == 16 and int(largest.count_nonzero()) == 300
        with pytest.raises((RuntimeError, IndexError), match="out of"):
            line.scatter_add(0, index + 199_000, values)
    finally:
        fb.set_num_threads(before)
