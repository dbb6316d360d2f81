# ruff: noqa: E501 (a table of calls and their values)
"""Hidden layouts are not to be seen: float networks, which use them, agree with the same in double, which do not."""

import threading

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import wave

CHANNELS = [16, 20, 6]  # whole blocks, a last block that is filled up, less than a block


def stages(x, first, second, scale, shift):
    """Every kind of reader of a hidden tensor, after every kind of operator that passes one on."""
    channels = first.shape[0]
    h = F.conv2d(x, first, padding=1)
    h = F.relu(F.batch_norm(h, None, None, scale, shift, True))
    p = F.max_pool2d(h, 2)
    y = F.conv2d(p, second, padding=1) + p
    y = F.relu(y, inplace=True)
    return [
        h, p, y, F.avg_pool2d(y, 2), y.flatten(1), y[:, 1:3], y.transpose(1, 2), y.sum((2, 3)), y.exp(), y + 1, y * y,
        F.softmax(y, 1), fb.cat([y, p], 1), y.clone(), y.view(-1), y.mean(), F.adaptive_avg_pool2d(y, 1), y.max(1).values,
        F.group_norm(y, 2), y.reshape(2, channels, -1), y.permute(0, 2, 3, 1).contiguous(),
    ]  # fmt: skip


def arguments(channels, dtype):
    sizes = [(2, 3, 12, 12), (channels, 3, 3, 3), (channels, channels, 3, 3), (channels,), (channels,)]
    return [wave(*s, step=0.31 + 0.17 * i, dtype=dtype) for i, s in enumerate(sizes)]


@pytest.mark.parametrize("channels", CHANNELS)
def test_float_agrees_with_double(channels):
    single, double = arguments(channels, fb.float32), arguments(channels, fb.float64)
    for i, (a, b) in enumerate(zip(stages(*single), stages(*double))):
        assert a.shape == b.shape
        assert a.is_contiguous() == b.is_contiguous()
        assert fb.allclose(a.double(), b, rtol=1e-4, atol=1e-3), i
        found = fb.autograd.grad(a.sum(), single, retain_graph=True, allow_unused=True)
        wanted = fb.autograd.grad(b.sum(), double, retain_graph=True, allow_unused=True)
        for grad, want in zip(found, wanted):
            assert (grad is None) == (want is None)
            if want is not None:
                room = 1e-4 * (1 + float(want.abs().max()))
                assert float((grad.double() - want).abs().max()) <= room, i


def test_hidden_gradient_of_a_plain_input():
    def gradients(dtype):
        x, w = wave(2, 16, 8, 8, dtype=dtype), wave(16, 16, 3, 3, step=0.4, dtype=dtype)
        y = F.conv2d(F.batch_norm(x, None, None, None, None, True), w)
        z = F.relu(y) * y.transpose(2, 3)
        return fb.autograd.grad(z.sum(), (x, w))

    for a, b in zip(gradients(fb.float32), gradients(fb.float64)):
        assert float((a.double() - b).abs().max()) <= 1e-4 * (1 + float(b.abs().max()))


@pytest.mark.parametrize("channels", CHANNELS)
def test_gradients_of_gradients(channels):
    def second(args):
        h = F.relu(F.batch_norm(F.conv2d(args[0], args[1], padding=1), None, None, args[3], args[4], True))
        y = F.avg_pool2d(F.conv2d(h, args[2]), 2)
        first = fb.autograd.grad((y * y).sum(), args, create_graph=True)
        return fb.autograd.grad(sum(g.pow(2).mean() for g in first), args)

    for a, b in zip(second(arguments(channels, fb.float32)), second(arguments(channels, fb.float64))):
        assert float((a.double() - b).abs().max()) <= 2e-3 * (1 + float(b.abs().max()))


def test_channels_last_stays_visible():
    x, w = wave(2, 16, 8, 8, dtype=fb.float32), wave(16, 16, 3, 3, dtype=fb.float32)
    plain = F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2)
    last = F.max_pool2d(F.relu(F.conv2d(x.contiguous(memory_format=fb.channels_last), w, padding=1)), 2)
    assert last.is_contiguous(memory_format=fb.channels_last)
    assert plain.is_contiguous()
    assert fb.allclose(plain, last, rtol=1e-4, atol=1e-4)


def test_memory_is_shared_after_revealing():
    y = F.conv2d(
        wave(1, 4, 6, 6, dtype=fb.float32, grad=False), wave(16, 4, 3, 3, dtype=fb.float32, grad=False)
    )
    rows = y.view(16, 16)
    y.zero_()
    assert rows.abs().sum().item() == 0
    y.numpy()[0, 3] = 1
    assert rows[3].sum().item() == 16


@pytest.mark.parametrize(
    "part",
    [
        (slice(None), slice(2, 8)),
        (slice(None), slice(6), slice(1, 7)),
        (slice(None), slice(6), slice(None), slice(2, 9)),
        (slice(None, None, 2), slice(6)),
        (slice(None), slice(6), slice(None, None, 2), slice(None, None, 2)),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda t: fb.conv2d(t, fb.ones(4, 6, 3, 3)),
        lambda t: fb.conv2d(t, fb.ones(6, 1, 3, 3), groups=6),
        lambda t: fb.conv_transpose2d(t, fb.ones(6, 2, 2, 2)),
        fb.nn.BatchNorm2d(6),
        lambda t: fb.nn.functional.group_norm(t, 2),
        lambda t: fb.nn.functional.max_pool2d(t, 2),
        lambda t: fb.nn.functional.avg_pool2d(t, 2),
        lambda t: fb.nn.functional.interpolate(t, scale_factor=2, mode="bilinear"),
    ],
)
def test_slices_of_channels_last_tensors_have_gaps(function, part):
    """Such a slice has the order of channels-last strides but not all of its memory, and so may a gradient."""
    fb.manual_seed(0)
    base = fb.randn(3, 12, 9, 10).contiguous(memory_format=fb.channels_last)
    sliced = base[part].requires_grad_()
    plain = base[part].contiguous().requires_grad_()
    out, expected = function(sliced), function(plain)
    fb.testing.assert_close(out, expected)
    wide = fb.randn(*(2 * size for size in out.shape)).contiguous(memory_format=fb.channels_last)
    gradient = wide[tuple(slice(size) for size in out.shape)]
    (got,) = fb.autograd.grad(out, sliced, gradient)
    (want,) = fb.autograd.grad(expected, plain, gradient.contiguous())
    fb.testing.assert_close(got, want)


def test_weights_get_the_gradient_of_a_strided_output():
    """Detectors turn [N, A * C, H, W] into [N, H * W * A, C] and join maps: the gradient is a slice."""
    fb.manual_seed(0)
    weight, x = fb.randn(12, 6, 1, 1, requires_grad=True), fb.randn(2, 6, 4, 5)
    gradient = fb.randn(2, 100, 4)[:, 20:80].view(2, 4, 5, 3, 4).permute(0, 3, 4, 1, 2).reshape(2, 12, 4, 5)
    assert not gradient.is_contiguous()
    fb.conv2d(x, weight).backward(gradient)
    fb.testing.assert_close(weight.grad[:, :, 0, 0], fb.einsum("nohw,nihw->oi", gradient, x))


def test_threads_may_read_one_result_for_the_first_time_at_once():
    # whoever waits for the plain bytes must not keep the interpreter lock, which their writer needs to come back
    def read(x):
        for _ in range(3):
            x.flatten(1).sum()

    for _ in range(10):
        x = F.conv2d(fb.ones(8, 16, 48, 48), fb.ones(32, 16, 1, 1))
        threads = [threading.Thread(target=read, args=(x,), daemon=True) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
            assert not t.is_alive(), "two readers wait for each other"


_WEIGHT, _SCALE, _PLAIN = fb.ones(32, 32, 3, 3) / 288, fb.ones(32), fb.ones(4, 32, 48, 48)


@pytest.mark.parametrize(
    "read",
    [
        F.relu,
        fb.clone,
        lambda x: x.sum((2, 3)),
        lambda x: x + _PLAIN,
        lambda x: fb.cat([x, x], 1),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.batch_norm(x, None, None, _SCALE, _SCALE, training=True),
        lambda x: F.conv2d(x, _WEIGHT, padding=1),
        lambda x: F.conv2d(x, _WEIGHT[:, :1], padding=1, groups=32),
    ],
    ids=[
        "relu",
        "clone",
        "sum",
        "add",
        "cat",
        "max",
        "avg",
        "interpolate",
        "batch_norm",
        "conv",
        "depthwise",
    ],
)
def test_a_thread_keeps_what_it_reads_while_another_one_asks_for_plain_bytes(read):
    picture = fb.arange(4 * 16 * 48 * 48).reshape(4, 16, 48, 48).remainder(97) / 97
    made = lambda: F.conv2d(picture, fb.ones(32, 16, 1, 1))  # noqa: E731
    expected = read(made()).flatten(1)
    results = []

    def reader(x, start):
        start.wait()
        results.append(read(x))

    def revealer(x, start):
        start.wait()
        x.view(-1)[0].item()
        for _ in range(3):
            fb.full(x.shape, 777.0)  # takes the memory that is free now

    for _ in range(6):
        x, start = made(), threading.Barrier(3)
        threads = [threading.Thread(target=f, args=(x, start)) for f in (reader, reader, revealer)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    for r in results:
        fb.testing.assert_close(r.flatten(1), expected)


@pytest.mark.parametrize("channels", [100, 128, 144])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_many_blocks_agrees_with_double(channels, training):
    results = []
    for dtype in (fb.float32, fb.float64):
        x = wave(4, channels, 12, 12, step=0.13, dtype=dtype).detach()
        filters = wave(channels, channels, 1, 1, step=0.29, dtype=dtype).detach() / channels
        mean, var = fb.zeros(channels, dtype=dtype), fb.ones(channels, dtype=dtype)
        h = F.conv2d(x, filters).requires_grad_()
        weight, bias = (wave(channels, step=s, dtype=dtype).detach().requires_grad_() for s in (0.7, 0.9))
        y = F.batch_norm(h, mean, var, weight, bias, training)
        grads = fb.autograd.grad((y * wave(*y.shape, step=0.41, dtype=dtype)).sum(), (h, weight, bias))
        results.append([y, mean, var, *grads])
    for a, b in zip(*results):
        assert float((a.double() - b).abs().max()) <= 1e-4 * (1 + float(b.abs().max()))


@pytest.mark.parametrize("channels", [3, 6, 16, 20, 33])
@pytest.mark.parametrize("size", [(1, 5), (4, 4), (7, 7), (14, 14), (17, 3)])
def test_images_come_back_as_they_were(channels, size):
    x = wave(2, channels, *size, step=0.31, dtype=fb.float32).detach()
    one = fb.ones(channels, 1, 3, 3)
    one[:, :, :1] = one[:, :, 2:] = one[:, :, :, 0] = one[:, :, :, 2] = 0
    assert F.conv2d(x, one, padding=1, groups=channels).tolist() == x.tolist()
