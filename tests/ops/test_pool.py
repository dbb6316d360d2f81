"""Pooling: results, gradients and gradients of gradients, against values of PyTorch 2.13."""

import itertools
import math

import numpy as np
import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import digest, same_digest, wave

INDICES = fb.tensor([[[[0, 3], [9, 14]], [[5, 2], [8, 11]]]])
CASES = [
    (
        lambda x: F.max_pool1d(x, 3, 2, 1),
        lambda: (wave(2, 3, 9),),
        [[2, 3, 5], 1.29968995, 10.8328672, 0.0, -2.15553923],
    ),
    (
        lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0), (1, 2), True),
        lambda: (wave(2, 3, 7, 8),),
        [[2, 3, 4, 4], -1.82959295, 1.59455663, 0.0, -7.85676685],
    ),
    (
        lambda x: F.max_pool3d(x, 2, 1),
        lambda: (wave(1, 2, 3, 4, 3),),
        [[1, 2, 2, 3, 2], 2.60152383, -1.56045187, 0.0, -2.09162374],
    ),
    (
        lambda x: F.avg_pool1d(x, 3, 2, 1),
        lambda: (wave(2, 3, 9),),
        [[2, 3, 5], 0.217307635, 9.00904489, 0.0, -1.08070247],
    ),
    (
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, False),
        lambda: (wave(2, 3, 7, 8),),
        [[2, 3, 4, 5], 1.54620454, -0.478958232, 0.0, -0.247941701],
    ),
    (
        lambda x: F.avg_pool2d(x, 2, 1, divisor_override=3),
        lambda: (wave(3, 4, 5),),
        [[3, 3, 4], -0.226892087, 14.5555664, 0.0, 3.37011148],
    ),
    (
        lambda x: F.avg_pool3d(x, 2, 2, 1),
        lambda: (wave(1, 2, 4, 4, 4),),
        [[1, 2, 3, 3, 3], -0.48763687, 4.91552827, 0.0, -0.32549681],
    ),
    (
        lambda x: F.adaptive_avg_pool1d(x, 4),
        lambda: (wave(2, 3, 7),),
        [[2, 3, 4], 0.0852801294, 10.4531187, 0.0, -2.5205481],
    ),
    (
        lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        lambda: (wave(2, 3, 7, 5),),
        [[2, 3, 3, 2], -0.351169494, 0.00975828888, 0.0, 0.897642806],
    ),
    (
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda: (wave(2, 3, 4, 4),),
        [[2, 3, 1, 1], 0.0293536624, 0.106037205, 0.0, 0.265102955],
    ),
    (
        lambda x: F.adaptive_avg_pool3d(x, 2),
        lambda: (wave(1, 2, 3, 4, 5),),
        [[1, 2, 2, 2, 2], -0.173707254, 0.0407042667, 0.0, -0.405123049],
    ),
    (
        lambda x: F.adaptive_max_pool2d(x, (3, 2)),
        lambda: (wave(2, 3, 7, 5),),
        [[2, 3, 3, 2], -2.42591275, 1.90684015, 0.0, -5.44460079],
    ),
    (
        lambda x: F.adaptive_max_pool3d(x, 2),
        lambda: (wave(1, 2, 3, 4, 5),),
        [[1, 2, 2, 2, 2], -2.77114593, 0.809351956, 0.0, -3.73062613],
    ),
    (
        lambda x: F.max_unpool2d(x, INDICES, 2),
        lambda: (wave(1, 2, 2, 2),),
        [[1, 2, 4, 4], -0.31084911, 0.633399641, 0.0, 0.359298892],
    ),
    (
        lambda x: F.lp_pool2d(x + 2, 3, 2),
        lambda: (wave(1, 2, 4, 4),),
        [[1, 2, 2, 2], 10.5704417, 0.22154578, -0.0130238033, 4.07345921],
    ),
]


@pytest.mark.parametrize(("function", "inputs", "golden"), CASES)
def test_values(function, inputs, golden):
    same_digest(digest(function, *inputs()), golden)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize(
    "size, kernel, stride, padding",
    [
        ((40, 50), 3, 3, 0),
        ((40, 50), 3, 1, 1),
        ((13, 17), (4, 9), (3, 5), (2, 4)),
        ((13, 17), (13, 17), None, 0),
        ((9, 31), 5, 7, 2),
        ((2, 3), 5, 1, 2),
    ],
)
def test_average_of_one_picture_is_a_convolution(dtype, size, kernel, stride, padding):
    fb.manual_seed(0)
    x = fb.randn(1, 1, *size, dtype=dtype)
    window = fb.ones(1, 1, *(kernel if isinstance(kernel, tuple) else (kernel, kernel)), dtype=dtype)
    options = {"stride": stride or kernel, "padding": padding}
    sums, counts = F.conv2d(x, window, **options), F.conv2d(fb.ones_like(x), window, **options)
    average = F.avg_pool2d(x, kernel, stride, padding)
    fb.testing.assert_close(average, sums / window.numel())
    fb.testing.assert_close(F.avg_pool2d(x, kernel, stride, padding, False, False), sums / counts)
    if dtype == fb.float64:
        x.requires_grad_()
        assert fb.autograd.gradcheck(lambda a: F.avg_pool2d(a, kernel, stride, padding), (x[..., :20],))


def test_no_stride_is_the_window():
    x = wave(2, 3, 8, 8)
    assert fb.equal(F.avg_pool2d(x, 2, None), F.avg_pool2d(x, 2, 2))
    assert fb.equal(F.avg_pool1d(x[0], 2, stride=None), F.avg_pool1d(x[0], 2, 2))
    assert fb.equal(F.avg_pool3d(x, 2, None), F.avg_pool3d(x, 2, 2))
    assert fb.equal(fb.max_pool2d(x, 2, None), F.max_pool2d(x, 2, 2))
    assert fb.equal(fb.amax(x, None), x.max())


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("length", [32, 33, 40, 100, 257])
def test_wide_windows(dtype, length):
    """The first of equal values, the last NaN, over windows of many neighbours."""
    x = fb.randn(2, 3, length).to(getattr(fb, dtype))
    ties, nan, low = (x * 2).round(), x.clone(), fb.full_like(x, -fb.inf)
    nan[:, :, length // 3] = nan[:, 1, length // 2] = nan[0, 0, -1] = fb.nan
    for t in (x, ties, nan, low):
        a = t.float().numpy()
        last_nan = length - 1 - np.isnan(a)[:, :, ::-1].argmax(2)
        place = np.where(np.isnan(a).any(2), last_nan, a.argmax(2))[..., None]
        values, places = F.adaptive_max_pool1d(t, 1, return_indices=True)
        np.testing.assert_array_equal(places.numpy(), place)
        np.testing.assert_array_equal(values.float().numpy(), np.take_along_axis(a, place, 2))
        np.testing.assert_array_equal(F.max_pool1d(t, length).float().numpy(), values.float().numpy())
        if length % 4 == 0:  # the same numbers as a plane
            planes = F.adaptive_max_pool2d(t.view(2, 3, 4, length // 4), 1, return_indices=True)
            np.testing.assert_array_equal(planes[1].numpy()[..., 0], place)
            np.testing.assert_array_equal(planes[0].float().numpy()[..., 0], values.float().numpy())


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("length", [1, 5, 23, 50, 131, 600])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "ceil"),
    [
        (2, 1, 0, 1, False),
        (3, 1, 1, 1, False),
        (3, 2, 1, 1, True),
        (3, 3, 0, 1, False),
        (5, 4, 2, 2, True),
        (16, 1, 8, 1, False),
        (20, 2, 10, 3, False),
        (1, 1, 0, 1, False),
    ],
)
def test_rows(dtype, length, kernel, stride, padding, dilation, ceil):
    """Rows alone are pooled in vectors: the same values and gradients as windows one by one."""
    if length + 2 * padding < dilation * (kernel - 1) + 1:
        pytest.skip("no window fits")
    fb.manual_seed(length)
    x = fb.randint(-9, 9, (2, 3, length)).to(dtype)  # many of them equal
    x[0, 1, length // 2] = math.nan
    x[1, 2, 0] = -math.inf
    x[0, 2, -1] = math.inf
    found = F.max_pool1d(x, kernel, stride, padding, dilation, ceil)
    copy = x.clone().requires_grad_()
    y = F.max_pool1d(copy, kernel, stride, padding, dilation, ceil)
    g = fb.randint(1, 5, y.shape).to(dtype)
    y.backward(g)
    expected, gradient = fb.empty_like(found), fb.zeros_like(x)
    for a, b, o in itertools.product(*map(range, found.shape)):
        first = o * stride - padding
        best, where = -math.inf, -1
        for at in range(first, first + kernel * dilation, dilation):
            v = x[a, b, at].item() if 0 <= at < length else -math.inf
            if 0 <= at < length and (where < 0 or v > best or math.isnan(v)):
                best, where = v, at
        expected[a, b, o] = best
        if where >= 0:
            gradient[a, b, where] += g[a, b, o]
    for values in (found, y):
        assert fb.allclose(values, expected, rtol=0, atol=0, equal_nan=True)
    assert copy.grad.equal(gradient)


def test_windows_of_borders_alone():
    """The largest of no input is what every input exceeds."""
    x = fb.ones(1, 2, 2)
    assert F.max_pool1d(x, 2, 1, 1, 3).flatten().tolist() == [-math.inf] * 2
    x = fb.ones(1, 2, 2, 2)
    assert F.max_pool2d(x, 2, 1, 1, 3).flatten().tolist() == [-math.inf] * 2
    assert F.max_pool2d(x, 2, 1, 1, 3, return_indices=True)[0].flatten().tolist() == [-math.inf] * 2
