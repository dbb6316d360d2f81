"""Kernels where registers, windows and rows end: lengths around a register, ties, NaN, borders alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb
import flambeau.nn.functional as F

LENGTHS = [1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 129, 511, 513, 2047, 2049, 5000]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", [fb.uint8, fb.int8, fb.int16, fb.bool])
def test_extremes_and_tests_of_narrow_types(dtype, n):
    x = fb.tensor(np.random.default_rng(n).integers(0, 100, n)).to(dtype)
    values = x.numpy()
    if dtype is not fb.bool:
        assert (x.max().item(), x.min().item()) == (values.max(), values.min())
        assert (
            (-x if dtype is not fb.uint8 else 255 - x).max().item() == (-values).max()
            if dtype is not fb.uint8
            else True
        )
    for place in {0, n // 2, n - 1}:
        one = fb.zeros(n, dtype=dtype)
        one[place] = 1
        assert one.any().item() and not fb.zeros(n, dtype=dtype).any().item()
        assert one.max().item() == 1
        none = fb.ones(n, dtype=dtype)
        none[place] = 0
        assert fb.ones(n, dtype=dtype).all().item() and not none.all().item()
        assert none.min().item() == 0


@pytest.mark.parametrize(
    "dtype", [fb.float32, fb.float64, fb.int32, fb.int64, fb.float16, fb.bfloat16, fb.uint8]
)
@pytest.mark.parametrize("n", [3, 16, 23, 24, 25, 31, 50, 64, 70])
def test_places_in_short_rows(dtype, n):
    values = np.random.default_rng(n).integers(0, 5, (40, n))
    x = fb.tensor(values).to(dtype)
    assert np.array_equal(x.argmax(1).numpy(), values.argmax(1))
    assert np.array_equal(x.argmin(1).numpy(), values.argmin(1))
    largest, where = x.max(1)
    assert np.array_equal(largest.double().numpy(), values.max(1))
    assert np.array_equal(np.take_along_axis(values, where.numpy()[:, None], 1)[:, 0], values.max(1))
    if dtype.is_floating_point:
        x[5, n // 2] = math.nan
        x[5, n - 1] = math.nan
        assert x.argmax(1)[5].item() == n // 2 == x.argmin(1)[5].item()


@pytest.mark.parametrize("n", LENGTHS)
def test_conversions_by_way_of_float(n):
    whole = np.random.default_rng(n).integers(0, 256, n)
    for source in (fb.uint8, fb.int16, fb.int64, fb.bool):
        x = fb.tensor(whole).to(source)
        for half in (fb.float16, fb.bfloat16):
            y = x.to(half)
            assert np.array_equal(y.float().numpy(), x.numpy().astype(np.float32))
            for back in (fb.uint8, fb.int32, fb.int64):
                assert np.array_equal(y.to(back).numpy(), x.to(back).numpy())
    exact = np.random.default_rng(n).normal(size=n) * 1e3
    assert np.array_equal(fb.tensor(exact).half().numpy(), exact.astype(np.float32).astype(np.float16))
    assert np.array_equal(
        fb.tensor(exact).float().to(fb.uint8).numpy(),
        exact.astype(np.float32).astype(np.int64).astype(np.uint8),
    )


def test_floats_beyond_32_bits_as_bytes():
    x = fb.tensor([3e9, -3e9, 2.0**40 + 2.0**20, 1e30] * 9)
    assert x.to(fb.uint8).tolist() == [0] * 36


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", [fb.uint8, fb.int16, fb.float16, fb.float32, fb.int64])
def test_one_value_many_times(dtype, n):
    assert np.array_equal(fb.full((n,), 3, dtype=dtype).numpy(), np.full(n, 3))
    column = fb.arange(5).to(dtype)[:, None]
    assert np.array_equal(column.expand(5, n).contiguous().numpy(), np.repeat(np.arange(5)[:, None], n, 1))
    row = fb.arange(n).to(dtype)
    assert np.array_equal((row * column).numpy(), (row.numpy() * column.numpy()).astype(row.numpy().dtype))
    assert np.array_equal(row[::3].clone().numpy(), row.numpy()[::3])


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_frexp(dtype):
    tiny = fb.finfo(dtype).smallest_normal / 4
    values = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.75,
        8.0,
        tiny,
        -tiny,
        fb.finfo(dtype).max,
        math.inf,
        -math.inf,
        math.nan,
    ] * 3
    x = fb.tensor(values, dtype=dtype)
    mantissa, exponent = fb.frexp(x)
    assert exponent.dtype is fb.int32 and mantissa.dtype is dtype
    for v, m, e in zip(x.double().tolist(), mantissa.double().tolist(), exponent.tolist()):
        wanted = (v, 0) if not math.isfinite(v) else math.frexp(v)
        assert (m == wanted[0] or (m != m and v != v)) and e == wanted[1]
        assert math.copysign(1, m) == math.copysign(1, v) or v != v


@pytest.mark.parametrize("dtype", [fb.uint8, fb.int8])
def test_bytes_moved_right(dtype):
    x = fb.arange(-128 if dtype is fb.int8 else 0, 128, dtype=dtype)
    for by in range(8):
        assert x.bitwise_right_shift(by).tolist() == [v >> by for v in x.tolist()]
        assert (x >> fb.full_like(x, by)).tolist() == [v >> by for v in x.tolist()]
    assert (x >> 9).tolist() == [-1 if v < 0 else 0 for v in x.tolist()]


def test_equal_stops_at_the_first_difference():
    x = fb.rand(70_000, 3)
    y = x.clone()
    assert x.equal(y) and x.t().equal(y.t()) and x.equal(x)
    for place in (0, 2048, -1):
        z = x.clone()
        z.view(-1)[place] += 1
        assert not x.equal(z)
    nan = fb.tensor([math.nan, 1.0])
    assert not nan.equal(nan) and not fb.equal(x, x.double()[:, :2])
    whole = fb.arange(10)
    assert whole.equal(whole) and whole.equal(whole.float()) and not whole[:5].equal(whole[5:])
    assert fb.empty(0).equal(fb.empty(0)) and fb.tensor([1 + 2j]).equal(fb.tensor([1 - 2j]).conj())


def windows(x, size, stride, pad, dilation):
    """Values and places of the largest in windows of a line, by the rules: first of equals, last NaN."""
    values, places = [], []
    for o in range((len(x) + 2 * pad - dilation * (size - 1) - 1) // stride + 1):
        best, where = None, -1
        for k in range(size):
            i = o * stride - pad + k * dilation
            if 0 <= i < len(x) and (best is None or x[i] > best or x[i] != x[i]):
                best, where = x[i], i
        values.append(best)
        places.append(where)
    return values, places


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("shape", [(1, 30), (12, 30), (2, 3, 31), (2, 16, 30)])
@pytest.mark.parametrize(
    "size, stride, pad, dilation", [(2, 2, 0, 1), (3, 3, 0, 1), (3, 1, 1, 1), (3, 2, 1, 2), (5, 1, 2, 1)]
)
def test_largest_of_lines(shape, dtype, size, stride, pad, dilation):
    values = np.random.default_rng(1).integers(0, 6, shape).astype(float)
    values[..., 0, 7] = math.nan
    values[..., 0, 8] = math.nan
    x = fb.tensor(values).to(dtype)
    y = F.max_pool1d(x, size, stride, pad, dilation)
    z, places = F.max_pool1d(x, size, stride, pad, dilation, return_indices=True)
    lines = values.reshape(-1, shape[-1])
    expected = [windows(line, size, stride, pad, dilation) for line in lines]
    for got in (y, z):
        assert np.array_equal(
            got.double().numpy().reshape(len(lines), -1), [v for v, _ in expected], equal_nan=True
        )
    assert np.array_equal(places.numpy().reshape(len(lines), -1), [p for _, p in expected])


def test_pictures_without_samples():
    x = fb.randn(16, 11, 13, requires_grad=True)
    for pool in (
        lambda t: F.max_pool2d(t, 3, 2, 1),
        lambda t: F.avg_pool2d(t, 3, 2, 1),
        lambda t: F.adaptive_avg_pool2d(t, 4),
    ):
        alone, batch = pool(x), pool(x[None])[0]
        assert alone.shape == batch.shape and fb.equal(alone, batch)
        (a,) = fb.autograd.grad(alone.square().sum(), x)
        (b,) = fb.autograd.grad(batch.square().sum(), x)
        assert fb.allclose(a, b)


def test_adaptive_places():
    x = fb.tensor(np.random.default_rng(3).integers(0, 4, (3, 5, 9, 14)).astype(np.float32))
    y, places = F.adaptive_max_pool2d(x, (4, 5), return_indices=True)
    flat = x.flatten(2)
    assert fb.equal(flat.gather(2, places.flatten(2)).view_as(y), y)
    for i in range(4):
        for j in range(5):
            h0, h1, w0, w1 = i * 9 // 4, -(-(i + 1) * 9 // 4), j * 14 // 5, -(-(j + 1) * 14 // 5)
            window = x[1, 2, h0:h1, w0:w1].numpy()
            at = divmod(int(window.argmax()), window.shape[1])
            assert places[1, 2, i, j].item() == (h0 + at[0]) * 14 + w0 + at[1]


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("spatial", [(), (1,), (3,), (2, 2), (5, 5)])
def test_group_norm_of_few_positions(dtype, spatial):
    fb.manual_seed(0)  # the bound of bfloat16 is met by most numbers only
    x = fb.randn(6, 12, *spatial, dtype=fb.float64)
    w, b = fb.randn(12, dtype=fb.float64), fb.randn(12, dtype=fb.float64)
    for weight, bias in ((None, None), (w, b), (w, None)):
        grouped = x.reshape(6, 4, -1)
        z = (grouped - grouped.mean(2, keepdim=True)) / (
            grouped.var(2, correction=0, keepdim=True) + 1e-5
        ).sqrt()
        z = z.view_as(x)
        shape = (12, *[1] * len(spatial))
        z = z if weight is None else z * weight.view(shape)
        z = z if bias is None else z + bias.view(shape)
        cast = [None if p is None else p.to(dtype) for p in (weight, bias)]
        got = F.group_norm(x.to(dtype), 4, *cast).double()
        assert float((got - z).abs().max()) < (0.1 if dtype is fb.bfloat16 else 1e-4)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_halves_are_resized_as_floats(dtype, mode):
    x = fb.randn(2, 3, 9, 7).to(dtype)
    y = F.interpolate(x, size=(14, 5), mode=mode)
    assert y.dtype is dtype and fb.equal(y, F.interpolate(x.float(), size=(14, 5), mode=mode).to(dtype))


def test_nearest_keeps_what_is_not_finite():
    x = fb.tensor([[[1.0, math.inf, math.nan, -2.0]]])
    assert F.interpolate(x, scale_factor=2).flatten().tolist()[:4] == [1.0, 1.0, math.inf, math.inf]
    assert F.interpolate(x, scale_factor=2).isnan().sum().item() == 2
    pixels = fb.arange(12, dtype=fb.uint8).view(1, 1, 3, 4)
    assert F.interpolate(pixels, size=(6, 4)).flatten().tolist()[4:8] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "kernel, stride, padding, dilation",
    [
        ((3, 3, 3), 1, 1, 1),
        ((2, 3, 3), 2, 1, 1),
        ((3, 1, 5), (1, 2, 1), (2, 0, 2), (2, 1, 1)),
        ((5, 3, 3), 1, (2, 1, 1), 1),
    ],
)
def test_depthwise_volumes(kernel, stride, padding, dilation):
    x, w, b = fb.randn(2, 10, 5, 9, 8), fb.randn(10, 1, *kernel), fb.randn(10)
    for bias in (None, b):
        got = F.conv3d(x, w, bias, stride, padding, dilation, 10)
        wide = F.conv3d(
            x.double(), w.double(), None if bias is None else b.double(), stride, padding, dilation, 10
        )
        assert fb.allclose(got.double(), wide, atol=1e-4)


@pytest.mark.parametrize(
    "patch, size, channels", [((4, 4), (16, 18), 3), ((16, 16), (64, 80), 3), ((8, 4), (35, 33), 1)]
)
def test_patches(patch, size, channels):
    x, w, b = fb.randn(3, channels, *size), fb.randn(20, channels, *patch, requires_grad=True), fb.randn(20)
    for source in (x, x.to(memory_format=fb.channels_last), x[:, :, 1:, 1:]):
        got = F.conv2d(source, w, b, stride=patch)
        wide = F.conv2d(source.double(), w.double(), b.double(), stride=patch)
        assert fb.allclose(got.double(), wide, atol=1e-3)
    (g,) = fb.autograd.grad(F.conv2d(x, w, None, stride=patch).sum(), w)
    (h,) = fb.autograd.grad(F.conv2d(x.double(), w.double(), None, stride=patch).sum(), w)
    assert fb.allclose(g.double(), h.double(), atol=1e-2)


@pytest.mark.parametrize("width", [12, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 200, 256, 300])
@pytest.mark.parametrize("dtype", [fb.uint8, fb.float32, fb.float64])
def test_strips_in_another_order(dtype, width):
    x = fb.arange(3 * 5 * 7 * width).view(3, 5, 7, width).to(dtype)
    assert np.array_equal(
        x.transpose(1, 2).contiguous().numpy(), np.ascontiguousarray(x.numpy().transpose(0, 2, 1, 3))
    )
    assert np.array_equal(x[:, :, 1:5].contiguous().numpy(), x.numpy()[:, :, 1:5])
    assert np.array_equal(F.pad(x, (1, 2, 1, 0)).numpy(), np.pad(x.numpy(), ((0, 0), (0, 0), (1, 0), (1, 2))))


def test_signs():
    for dtype in (fb.int8, fb.int32, fb.int64, fb.uint8):
        x = fb.tensor([-5, 0, 3] * 30 if dtype is not fb.uint8 else [0, 3] * 30, dtype=dtype)
        assert np.array_equal(x.sign().numpy(), np.sign(x.numpy()))
    a, b = fb.tensor([1.0, -2.0, 0.0, math.inf] * 9), fb.tensor([-0.0, 1.0, -1.0, math.nan] * 9)
    for half in (fb.float16, fb.bfloat16):
        assert fb.equal(fb.copysign(a.to(half), b.to(half)).float(), fb.copysign(a, b.to(half).float()))


@pytest.mark.parametrize("dtype", [fb.int64, fb.int32, fb.uint8, fb.float32, fb.float64])
@pytest.mark.parametrize("n", [5, 8192, 70_001, 200_000])
def test_both_extremes_at_once(dtype, n):
    x = fb.tensor(np.random.default_rng(n).integers(1, 200, n)).to(dtype)
    for place in (0, n // 2, n - 1):
        y = x.clone()
        y[place] = 0
        y[n - 1 - place] = 250 if n - 1 - place != place else 0
        low, high = y.aminmax()
        assert (
            (low.item(), high.item()) == (y.min().item(), y.max().item())
            and low.dtype is dtype
            and low.dim() == 0
        )
    if dtype.is_floating_point:
        x[n - 1] = math.nan
        assert all(math.isnan(v.item()) for v in x.aminmax())
        x = x.nan_to_num().requires_grad_()
        low, high = x.aminmax()
        (g,) = fb.autograd.grad(low + high, x)
        assert g.sum().item() == pytest.approx(2)


@pytest.mark.parametrize("dtype", [fb.complex64, fb.complex128])
def test_small_powers_and_signs_of_complex_numbers(dtype):
    x = fb.randn(70, dtype=dtype)
    assert fb.allclose(x**2, x * x) and fb.allclose(x**3, x * x * x)
    y = x.clone()
    assert fb.allclose(y.pow_(3), x * x * x)
    assert fb.allclose(x.sgn().abs(), fb.ones(70, dtype=x.real.dtype)) and fb.allclose(x.sgn() * x.abs(), x)
    large = fb.tensor([complex(1e30, 1e30), complex(0, 0), complex(1e-30, 0)], dtype=dtype)
    assert fb.allclose(large.sgn(), fb.tensor([(1 + 1j) / 2**0.5, 0, 1], dtype=dtype))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_tiny_systems(n):
    a = fb.randn(200, n, n, dtype=fb.float64)
    a[0] = 0
    a[1, :, 0] = 0
    lu, pivots, info = fb.linalg.lu_factor_ex(a)
    p, l, u = fb.lu_unpack(lu, pivots)
    assert fb.allclose(p @ l @ u, a, atol=1e-9) and info[0].item() == 1 and info[1].item() == 1
    b = fb.randn(200, n, 2, dtype=fb.float64)
    assert fb.allclose(a[2:] @ fb.linalg.solve(a[2:], b[2:]), b[2:], atol=1e-6)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
def test_angles_of_infinities(dtype):
    values = [math.inf, -math.inf, 1.0, 300.0, -1e30, 3e38, 0.0]
    a, b = (t.flatten().to(dtype) for t in fb.meshgrid(fb.tensor(values), fb.tensor(values), indexing="ij"))
    exact = fb.tensor([math.atan2(y, x) for y, x in zip(a.tolist(), b.tolist(), strict=True)])
    fb.testing.assert_close(fb.atan2(a, b), exact.to(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("descending", [False, True])
def test_bytes_sorted(dtype, descending):
    """Lines long enough to be counted: stable both ways, along any dimension and in any steps."""
    rng = np.random.default_rng(5)
    a = rng.integers(0, 2 if dtype == "bool" else 256, (140, 3, 150)).astype(np.uint8).astype(dtype)
    x = fb.from_numpy(a)
    for given, dim in ((x, 0), (x, 2), (x.transpose(0, 2), 0), (x[:, 1], 0)):
        values, places = fb.sort(given, dim=dim, descending=descending, stable=True)
        key = given.numpy().astype(np.int64) * (-1 if descending else 1)
        expected = np.argsort(key, axis=dim, kind="stable")
        np.testing.assert_array_equal(places.numpy(), expected)
        np.testing.assert_array_equal(values.numpy(), np.take_along_axis(given.numpy(), expected, dim))


def test_short_lines_across():
    """Lines of few values that lie far from each other are brought together first."""
    a = np.random.default_rng(6).standard_normal((3, 700)).astype(np.float32)
    a[1, 5] = np.nan
    for x, dim in (
        (fb.from_numpy(a), 0),
        (fb.from_numpy(a.reshape(3, 7, 100)), 0),
        (fb.from_numpy(a.T.copy()).t(), 0),
    ):
        b = x.numpy()
        np.testing.assert_array_equal(fb.sort(x, dim)[0].numpy(), np.sort(b, axis=dim))
        np.testing.assert_array_equal(fb.argsort(x, dim).numpy(), np.argsort(b, axis=dim, kind="stable"))
        np.testing.assert_array_equal(fb.median(x, dim)[0].numpy(), np.median(b, axis=dim))
        values, places = fb.topk(x, 2, dim, largest=False)
        np.testing.assert_array_equal(values.numpy(), np.sort(b, axis=dim)[:2])
        np.testing.assert_array_equal(np.take_along_axis(b, places.numpy(), dim), values.numpy())
        kept = fb.kthvalue(x, 3, dim, keepdim=True)
        np.testing.assert_array_equal(kept[0].numpy(), np.sort(b, axis=dim)[2:])
        out = (fb.empty(0), fb.empty(0, dtype=fb.int64))
        fb.sort(x, dim=dim, out=out)
        np.testing.assert_array_equal(out[0].numpy(), np.sort(b, axis=dim))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("rows", [2, 3, 9, 16, 17])
def test_a_few_long_rows_folded(dtype, rows):
    a = np.random.default_rng(7).integers(-3, 4, (rows, 2500)).astype(dtype)
    if dtype.startswith("float"):
        a[0, 3], a[1, 4], a[0, 5], a[1, 5] = np.nan, np.nan, np.inf, -np.inf
    x = fb.from_numpy(a)
    for given, b in (
        (x, a),
        (x[:, 100:2000], a[:, 100:2000]),
        (fb.from_numpy(a.copy()).t().contiguous().t(), a),
    ):
        np.testing.assert_array_equal(given.sum(0).numpy(), b.sum(0))
        np.testing.assert_array_equal(given.prod(0).numpy(), b.prod(0))
        np.testing.assert_array_equal(given.amax(0).numpy(), b.max(0))
        np.testing.assert_array_equal(given.amin(0).numpy(), b.min(0))
        if dtype.startswith("float"):
            np.testing.assert_allclose(given.mean(0).numpy(), b.mean(0), rtol=3e-7)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
def test_unpooling_many_planes(dtype):
    x = fb.randn(5, 7, 12, 10).to(dtype)
    values, places = fb.nn.functional.max_pool2d(x, 2, return_indices=True)
    back = fb.nn.functional.max_unpool2d(values, places, 2)
    expected = fb.zeros(5, 7, 120, dtype=dtype).scatter(2, places.flatten(2), values.flatten(2))
    assert fb.equal(back, expected.reshape(x.shape))
    places[3, 2, 1, 1] = 120
    with pytest.raises(RuntimeError, match="invalid max index: 120"):
        fb.nn.functional.max_unpool2d(values, places, 2)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16, fb.int64, fb.uint8, fb.complex128])
@pytest.mark.parametrize(
    ("size", "own"),
    [
        ((7, 100), (7, 1)),
        ((300, 400), (300, 1)),
        ((3, 70, 64), (3, 70, 1)),
        ((300, 49, 50), (1, 49, 1)),
        ((5000,), (1,)),
        ((4, 3, 129), (4, 1, 1)),
    ],
)
def test_strips_of_one_value(dtype, size, own):
    """Inputs that repeat along a strip: computed once, written everywhere, also where the output steps."""
    count = math.prod(own)
    few = (fb.arange(count) % 11).to(dtype).reshape(own)
    x = few.expand(size)
    same = x.clone()
    for f in (lambda t: t + t, lambda t: t * 3, lambda t: t == 3, lambda t: fb.where(t == 2, t, t + t)):
        assert f(x).equal(f(same))
    wide = fb.zeros(*size[:-1], size[-1] * 2, dtype=dtype)
    fb.add(x, x, out=wide[..., ::2])
    assert wide[..., ::2].equal(same + same)
    assert not (wide[..., 1::2] != 0).any()
