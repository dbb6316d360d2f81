"""The core's passes between numbers and bytes against sums in double precision."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb

LIMITS = {fb.quint8: (0, 255, np.uint8), fb.qint8: (-128, 127, np.int8)}


def _numbers(n: int) -> np.ndarray:
    x = np.random.default_rng(n).normal(0, 3, n).astype(np.float32)
    x[: n // 4] = (np.arange(n // 4) - n // 8) * 0.5 * np.float32(0.05)  # halfway between two levels
    return x


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("n", [1, 5, 8, 31, 64, 999])
def test_levels_are_the_nearest_whole_numbers(kind, n):
    low, high, dtype = LIMITS[kind]
    x, factor = _numbers(n), float(np.float32(20.0))
    exact = x.astype(np.float64) * factor
    together = np.clip(np.rint((exact + 7).astype(np.float32)), low, high).astype(dtype)
    apart = np.clip(np.rint(exact.astype(np.float32)) + 7, low, high).astype(dtype)
    for want, flag in ((together, False), (apart, True)):
        t = fb.from_numpy(x)
        assert np.array_equal(fb._quantized_levels(t, factor, 7, low, high, flag).numpy(), want)
        spread = fb.zeros(n, 3)
        spread[:, 1] = t
        got = fb._quantized_levels(spread[:, 1], factor, 7, low, high, flag)
        assert np.array_equal(got.numpy(), want)


@pytest.mark.parametrize("kind", LIMITS)
def test_levels_of_what_is_no_number(kind):
    low, high, _ = LIMITS[kind]
    x = fb.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30] * 9)
    levels = fb._quantized_levels
    assert levels(x, 2.0, 3, low, high, False).tolist() == [high, high, low, high, low] * 9
    assert levels(x, 2.0, 3, low, high, True).tolist() == [low, high, low, high, low] * 9


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("n", [1, 7, 40, 1003])
def test_numbers_sums_and_products_of_levels(kind, n):
    low, high, dtype = LIMITS[kind]
    rng = np.random.default_rng(n)
    a, b = (rng.integers(low, high + 1, n).astype(dtype) for _ in range(2))
    s, t = float(np.float32(0.037)), float(np.float32(0.011))
    ta, tb = fb.from_numpy(a), fb.from_numpy(b)
    plain = (a.astype(np.float32) - np.float32(9)) * np.float32(s)
    assert np.array_equal(fb._quantized_numbers(ta, s, 9.0, False).numpy(), plain)
    shift = float(np.float32(-s * 9))
    x = (a.astype(np.float64) * s + shift).astype(np.float32)
    assert np.array_equal(fb._quantized_numbers(ta, s, shift, True).numpy(), x)
    y = (b.astype(np.float64) * t + shift).astype(np.float32)
    for relu in (False, True):
        least = max(5, low) if relu else low
        want = np.clip(np.rint((x + y) * np.float32(11.3)) + 5, least, high)
        got = fb._quantized_pair(ta, tb, s, shift, t, shift, float(np.float32(11.3)), 5, False, relu)
        assert np.array_equal(got.numpy(), want.astype(dtype))
        product = (a.astype(np.float32) - 9) * (b.astype(np.float32) + 4)
        want = np.clip(np.rint(product * np.float32(0.01)) + 5, least, high)
        got = fb._quantized_pair(ta, tb, 1.0, 9.0, 1.0, -4.0, float(np.float32(0.01)), 5, True, relu)
        assert np.array_equal(got.numpy(), want.astype(dtype))


@pytest.mark.parametrize("shape", [(3, 5), (4, 64), (2, 6, 5, 7)])
def test_sums_of_channels_in_steps(shape):
    sums = fb.from_numpy(np.random.default_rng(3).normal(0, 400, shape).astype(np.float32))
    channels = shape[1]
    of_channel = (channels, *[1] * (len(shape) - 2))
    bias, factor = fb.arange(channels).float().reshape(of_channel), fb.full(of_channel, 0.3)
    for x in (sums, sums.contiguous(memory_format=fb.channels_last) if len(shape) == 4 else sums.t().t()):
        for relu in (False, True):
            want = ((x + bias) * factor).round().add(100).clamp(100 if relu else 0, 255).to(fb.uint8)
            got = fb._quantized_sums(x, bias, factor, 100, relu)
            assert fb.equal(got, want) and got.stride() == x.stride()
            one = fb._quantized_sums(x, fb.zeros(()), factor, 100, relu)
            assert fb.equal(one, (x * factor).round().add(100).clamp(100 if relu else 0, 255).to(fb.uint8))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 6, 13])
@pytest.mark.parametrize(("depth", "outputs"), [(1, 1), (2, 16), (33, 17), (64, 70)])
def test_products_of_bytes_are_exact(rows, depth, outputs):
    rng = np.random.default_rng(rows * depth)
    x = rng.integers(0, 256, (rows, depth)).astype(np.uint8)
    w = rng.integers(-255, 256, (outputs, depth)).astype(np.int16)
    packed = fb._quantized_pack(fb.from_numpy(w))
    for zero in (0, 77, 255):
        want = (x.astype(np.int64) - zero) @ w.astype(np.int64).T
        got = fb._quantized_linear(fb.from_numpy(x), zero, packed, outputs)
        assert np.array_equal(got.numpy(), want.astype(np.float32))
        spread = fb.zeros(rows, depth, 2, dtype=fb.uint8)
        spread[..., 1] = fb.from_numpy(x)
        assert fb.equal(fb._quantized_linear(spread[..., 1], zero, packed, outputs), got)


@pytest.mark.parametrize(("rows", "depth"), [(3000, 40), (1, 40_000), (0, 8)])
def test_quantized_layers_of_many_rows_and_inputs(rows, depth):
    weight = fb.quantize_per_tensor(fb.full((20, depth), 1.27), 0.01, 0, fb.qint8)
    packed = fb.ops.quantized.linear_prepack(weight, None)
    x = fb.quantize_per_tensor(fb.ones(rows, depth), 1 / 255, 0, fb.quint8)
    got = fb.ops.quantized.linear(x, packed, depth * 1.27 / 200, 0)
    assert got.shape == (rows, 20) and (got.int_repr() == 200).all()


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((1, 1), 1, 0, 1),
        ((3, 3), 1, 1, 1),
        ((3, 2), 2, (1, 2), 1),
        ((2, 3), 1, (0, 4), (1, 2)),
        ((5, 5), 3, 2, 2),
    ],
)
def test_convolutions_of_bytes_are_exact(channels, kernel, stride, padding, dilation):
    rng = np.random.default_rng(channels)
    x = fb.from_numpy(rng.integers(0, 256, (2, channels, 19, 23)).astype(np.uint8))
    w = fb.from_numpy(rng.integers(-255, 256, (21, channels, *kernel)).astype(np.int16))
    packed = fb._quantized_pack(w.permute(0, 2, 3, 1).flatten(1))
    want = fb.nn.functional.conv2d(x.double() - 100, w.double(), None, stride, padding, dilation)
    geometry = [[v, v] if isinstance(v, int) else list(v) for v in (kernel, stride, padding, dilation)]
    for picture in (x, x.contiguous(memory_format=fb.channels_last)):
        got = fb._quantized_conv(picture, 100, packed, 21, *geometry)
        assert fb.equal(got.double(), want)
        assert got.is_contiguous(memory_format=fb.channels_last)
    many = x.repeat(40, 1, 1, 1)  # shared out by rows
    assert fb.equal(fb._quantized_conv(many, 100, packed, 21, *geometry).double(), want.repeat(40, 1, 1, 1))
