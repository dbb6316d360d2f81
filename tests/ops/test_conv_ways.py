"""Convolutions that take a way of their own, depthwise and Winograd, beside the same sums in double."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F


def results(dtype, arrays, seed, **options):
    """The result of a convolution and its gradients."""
    x, w, b = (a.to(dtype).requires_grad_() for a in arrays)
    convolve = F.conv2d if x.dim() == 4 else F.conv1d
    y = convolve(x, w, b, **options)
    return [y, *fb.autograd.grad(y, [x, w, b], seed(y).to(dtype))]


def compare(arrays, rtol, atol, **options):
    fb.manual_seed(9)
    shape = {}

    def seed(y):
        return shape.setdefault("g", fb.randn(y.shape))

    expected = results(fb.float64, arrays, seed, **options)
    for ours, theirs in zip(results(fb.float32, arrays, seed, **options), expected, strict=True):
        fb.testing.assert_close(ours.double(), theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    "channels, kernel, stride, padding, dilation, size",
    [
        (32, 3, 1, 1, 1, (9, 12)),
        (32, 3, 2, 1, 1, (9, 12)),
        (40, 3, 2, 1, 1, (8, 5)),
        (16, 5, 1, 2, 1, (9, 7)),
        (16, 5, 2, 2, 1, (8, 8)),
        (24, 7, 1, 3, 1, (10, 4)),
        (16, 3, 1, 2, 2, (9, 9)),
        (16, 3, 3, 0, 1, (9, 10)),
        (16, 4, 2, 1, 1, (9, 10)),
        (32, 3, 1, 1, 1, (2, 2)),
        (16, 3, 1, 4, 1, (5, 5)),
        (16, 5, 2, 4, 2, (7, 9)),
        (32, 3, 1, 1, 1, (20,)),
        (32, 9, 4, 3, 1, (40,)),
        (9, 3, 1, 1, 1, (6, 6)),
    ],
)
def test_depthwise(channels, kernel, stride, padding, dilation, size):
    fb.manual_seed(0)
    x = fb.randn(3, channels, *size)
    w, b = fb.randn(channels, 1, *[kernel] * len(size)), fb.randn(channels)
    compare((x, w, b), 1e-4, 1e-4, stride=stride, padding=padding, dilation=dilation, groups=channels)


@pytest.mark.parametrize(
    "samples, inputs, outputs, size, padding",
    [
        (2, 32, 32, (24, 24), 1),
        (1, 32, 64, (22, 27), 1),
        (3, 64, 32, (16, 17), 0),
        (1, 64, 64, (21, 30), (2, 0)),
        (8, 128, 32, (14, 14), 1),
        (2, 256, 32, (16, 16), 1),
        (100, 32, 32, (4, 4), 1),
    ],
)
def test_winograd_stays_within_the_tolerance_of_float(samples, inputs, outputs, size, padding):
    fb.manual_seed(0)
    bound = 1 / (inputs * 9) ** 0.5  # as a layer is initialised
    x = fb.randn(samples, inputs, *size)
    w = fb.empty(outputs, inputs, 3, 3).uniform_(-bound, bound)
    b = fb.empty(outputs).uniform_(-bound, bound)
    exact = F.conv2d(x.double(), w.double(), b.double(), padding=padding)
    fb.testing.assert_close(F.conv2d(x, w, b, padding=padding).double(), exact, rtol=1.3e-6, atol=1e-5)
    compare((x, w, b), 1e-4, 3e-4, padding=padding)  # the weight gradient sums over thousands of positions
    fb.testing.assert_close(
        F.conv2d(F.relu(x), w, b, padding=padding), F.conv2d(x.relu(), w, b, padding=padding)
    )


@pytest.mark.parametrize(
    "shape, outputs, kernel, stride, padding",
    [
        ((2, 32, 200), 64, 3, 1, 1),
        ((3, 64, 149), 32, 3, 1, 0),
        ((1, 256, 403), 32, 3, 1, 2),
        ((2, 64, 231), 320, 3, 1, 0),  # the shorter tiles of long sums
        ((9, 320, 7, 7), 64, 3, 1, 1),
        ((3, 288, 15, 14), 96, 3, 1, (1, 0)),
        ((4, 512, 28, 27), 224, 3, 2, 1),  # more weights than the caches keep, in two portions
        ((1, 32, 401), 32, 3, 2, 1),  # lines of stride 2 go elsewhere
        ((2, 64, 32, 32), 128, 3, 2, 1),
        ((3, 128, 29, 30), 64, 3, 2, 1),
        ((4, 64, 23, 28), 64, 3, 2, (1, 2)),
        ((4, 64, 31, 21), 96, 3, 2, 0),
        ((1, 64, 41, 47), 64, 3, 2, (1, 0)),
        ((2, 64, 32, 32), 128, 4, 2, 1),
        ((3, 128, 31, 30), 64, 4, 2, 1),
        ((3, 64, 27, 30), 64, 4, 2, 3),
        ((3, 64, 27, 30), 64, 4, 2, (0, 2)),
    ],
)
def test_winograd_in_lines_of_long_sums_and_with_stride_2(shape, outputs, kernel, stride, padding):
    fb.manual_seed(0)
    bound = 1 / (shape[1] * kernel ** (len(shape) - 2)) ** 0.5
    x, b = fb.randn(shape), fb.empty(outputs).uniform_(-bound, bound)
    w = fb.empty(outputs, shape[1], *[kernel] * (len(shape) - 2)).uniform_(-bound, bound)
    options = {"stride": stride, "padding": padding}
    convolve = F.conv2d if x.dim() == 4 else F.conv1d
    exact = convolve(x.double(), w.double(), b.double(), **options)
    fb.testing.assert_close(convolve(x, w, b, **options).double(), exact, rtol=1.3e-6, atol=1e-5)
    compare((x, w, b), 1e-4, 3e-4, **options)


@pytest.mark.parametrize(
    "kernel, padding, output_padding, size",
    [(4, 1, 0, (16, 17)), (4, 3, 1, (19, 15)), (4, 0, 0, (13, 16)), (3, 1, 1, (16, 15)), (3, 1, 0, (14, 16))],
)
def test_winograd_of_transposed_convolutions(kernel, padding, output_padding, size):
    fb.manual_seed(0)
    x, w, b = fb.randn(3, 64, *size), fb.randn(64, 64, kernel, kernel) / 24, fb.randn(64)
    options = {"stride": 2, "padding": padding, "output_padding": output_padding}
    seed = fb.randn(F.conv_transpose2d(x, w, b, **options).shape)

    def all_of(dtype):
        arrays = [a.to(dtype).requires_grad_() for a in (x, w, b)]
        y = F.conv_transpose2d(*arrays, **options)
        return [y, *fb.autograd.grad(y, arrays, seed.to(dtype))]

    for ours, exact in zip(all_of(fb.float32), all_of(fb.float64), strict=True):
        fb.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=3e-4)


def test_winograd_sees_new_weights():
    fb.manual_seed(0)
    x, w = fb.randn(2, 32, 24, 24), fb.randn(32, 32, 3, 3) / 20
    first = [F.conv2d(x, w, padding=1) for _ in range(3)][-1].clone()
    w.data.mul_(2)
    fb.testing.assert_close(F.conv2d(x, w, padding=1), 2 * first)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 3e38])
def test_winograd_spreads_no_infinity(value):
    """What is not finite reaches the results that see it and no others, as in a direct sum."""
    fb.manual_seed(0)
    x, w = fb.randn(2, 32, 24, 24), fb.rand(32, 32, 3, 3) + 0.1
    x[1, 3, 10, 11] = value
    y = F.conv2d(x, w, padding=1)
    seen = fb.zeros_like(y, dtype=fb.bool)
    seen[1, :, 9:12, 10:13] = True
    exact = F.conv2d(x.double(), w.double(), padding=1)
    assert fb.equal(y.isnan(), exact.isnan()) and fb.equal(y.isinf(), exact.isinf() | (exact.abs() > 3.4e38))
    fb.testing.assert_close(y[~seen].double(), exact[~seen], rtol=1e-4, atol=1e-4)

    seed = fb.zeros_like(y)
    seed[1, :, 10, 11] = value
    seed[0] = 1
    w, x = w.requires_grad_(), fb.ones_like(x).requires_grad_()
    data, weight = fb.autograd.grad(F.conv2d(x, w, padding=1), [x, w], seed)
    assert fb.equal(data[0].isfinite(), fb.ones(32, 24, 24, dtype=fb.bool))
    assert data[1].isfinite().sum() == 32 * (24 * 24 - 9)
    assert value == 3e38 or not weight.isfinite().any()


@pytest.mark.parametrize(
    "shape, kernel, options, seen",
    [
        ((2, 64, 200), 3, {"padding": 1}, slice(9, 12)),
        ((2, 64, 31, 40), 3, {"padding": 1, "stride": 2}, slice(5, 6)),
        ((2, 64, 32, 40), 4, {"padding": 1, "stride": 2}, slice(4, 6)),
    ],
)
def test_other_tiles_spread_no_infinity(shape, kernel, options, seen):
    fb.manual_seed(0)
    n = len(shape) - 2
    x, w = fb.randn(shape), fb.rand(64, 64, *[kernel] * n) + 0.1
    x[(1, 3, *[10] * n)] = float("inf")
    y = (F.conv1d if n == 1 else F.conv2d)(x, w, **options)
    infinite = fb.zeros_like(y, dtype=fb.bool)
    infinite[(1, slice(None), *[seen] * n)] = True
    assert fb.equal(y.isinf(), infinite) and not y.isnan().any()


def test_strided_winograd_reads_any_strides():
    """Transposed, sliced and channels-last operands, a small batch on both threads."""
    fb.manual_seed(0)
    base, w = fb.randn(40, 64, 3, 40), fb.randn(3, 64, 64, 3) / 24
    x, w = base.permute(2, 1, 0, 3)[:, :, 1:], w.permute(1, 2, 0, 3)
    exact = F.conv2d(x.double(), w.double(), stride=2, padding=1)
    for kind in (x, x.contiguous(), x.contiguous(memory_format=fb.channels_last)):
        fb.testing.assert_close(F.conv2d(kind, w, stride=2, padding=1).double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "shape, outputs, kernel, options",
    [
        ((3, 512, 2, 2), 64, 3, {"padding": 1}),
        ((2, 96, 9, 8), 112, 5, {"padding": 2, "stride": 2}),
        ((1, 264, 7, 6), 120, 3, {"padding": (0, 2), "dilation": 2}),
        ((5, 600, 3, 3), 450, 1, {}),
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_gradients_with_few_positions(shape, outputs, kernel, options, hidden):
    fb.manual_seed(0)
    x, w = fb.randn(shape), fb.randn(outputs, shape[1], kernel, kernel) / 50
    if hidden:
        x = F.conv2d(x, fb.randn(shape[1], shape[1], 1, 1) / 30)
    compare((x, w, fb.randn(outputs)), 1e-4, 1e-4, **options)


@pytest.mark.parametrize(
    "samples, inputs, outputs, size",
    [
        (2, 32, 32, (28, 28)),
        (1, 16, 16, (7, 7)),
        (3, 17, 33, (5, 9)),
        (2, 20, 18, (3, 3)),
        (1, 64, 40, (1, 9)),
        (2, 48, 16, (32, 32)),
        (2, 24, 40, (77,)),
        (2, 101, 33, (9, 8)),
    ],
)
def test_pointwise_of_plain_pictures(samples, inputs, outputs, size):
    fb.manual_seed(1)
    w = fb.randn(outputs, inputs, *[1] * len(size)) / inputs**0.5
    before = fb._C._hidden_counts()
    compare((fb.randn(samples, inputs, *size), w, fb.randn(outputs)), 1e-4, 1e-4)
    if fb.backends.cpu.get_cpu_capability() == "AVX512":  # with less, oneDNN's blocks are faster
        assert fb._C._hidden_counts()[0] == before[0]


def test_pointwise_of_plain_pictures_with_numbers_that_are_not_finite():
    x = fb.ones(1, 16, 4, 4)
    x[0, 3, 1, 2] = float("inf")
    y = F.conv2d(x, fb.ones(16, 16, 1, 1))
    assert y.isinf().sum() == 16 and y.isinf()[:, :, 1, 2].all()
    assert (y[:, :, 0] == 16).all()


@pytest.mark.parametrize(
    "inputs, outputs, kernel, size, options",
    [
        (3, 40, 7, (30, 27), {"stride": 2, "padding": 3}),
        (1, 6, 5, (12, 12), {}),
        (4, 16, 3, (9, 11), {"padding": 1, "dilation": 2}),
        (2, 33, 4, (10, 7), {"stride": 3, "padding": 5}),
        (3, 8, 3, (60, 50), {"padding": 1}),
        (1, 32, 20, (300,), {"stride": 4}),
        (3, 5, 3, (17,), {"padding": 2}),
    ],
)
def test_few_channels(inputs, outputs, kernel, size, options):
    fb.manual_seed(2)
    w = fb.randn(outputs, inputs, *[kernel] * len(size)) / kernel ** len(size)
    compare((fb.randn(3, inputs, *size), w, fb.randn(outputs)), 1e-4, 2e-3, **options)


@pytest.mark.parametrize("padding, stride, size", [(1, 1, 2), (1, 2, 4), (0, 1, 4), (1, 1, 3)])
def test_few_positions_and_many_weights(padding, stride, size):
    fb.manual_seed(3)
    w = fb.randn(200, 160, 3, 3) / 40
    compare((fb.randn(3, 160, size, size), w, fb.randn(200)), 1e-4, 1e-4, padding=padding, stride=stride)


@pytest.mark.parametrize(
    "shape, outputs, kernel, options",
    [
        ((20, 1, 17, 19), 6, 5, {}),
        ((3, 1, 14, 14), 32, 3, {"padding": 1}),
        ((2, 2, 30, 31), 20, (5, 3), {"stride": (2, 1), "padding": (2, 0), "dilation": (1, 2)}),
        ((1, 3, 40, 210), 9, 3, {"padding": 1}),
        ((5, 4, 9, 9), 3, 3, {"stride": 3}),
        ((2, 1, 4, 3), 8, 4, {"padding": (3, 2)}),
        ((4, 2, 50), 24, 7, {"padding": 3, "stride": 2}),
    ],
)
def test_few_inputs(shape, outputs, kernel, options):
    """First layers: more samples than parts, lines with rests, large pictures, borders that are not read."""
    fb.manual_seed(0)
    taps = kernel if isinstance(kernel, tuple) else (kernel,) * (len(shape) - 2)
    compare((fb.randn(shape), fb.randn(outputs, shape[1], *taps), fb.randn(outputs)), 1e-4, 1e-4, **options)


def test_few_inputs_of_no_samples():
    w = fb.ones(3, 1, 3, 3, requires_grad=True)
    F.conv2d(fb.ones(0, 1, 9, 9), w).sum().backward()
    assert fb.equal(w.grad, fb.zeros(3, 1, 3, 3))
